/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A creation that was cut off, or has failed: undone, finished, or given back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/create.h"
#include "snapshot/recover.h"
#include "snapshot/saved.h"

/* Of a 'vm save'; NULL: it was none. */
static const char *file_of(const struct xw_session *session)
{
    return json_string_value(json_object_get(xw_journal_args(session->journal), "file"));
}

/*
 * A 'vm save' has come so far that its file is there, whole: then what that needs is kept, whatever
 * has become of the guest.
 */
static bool is_saved(const struct xw_session *session, const struct xw_snapshot *snapshot)
{
    const char *file = file_of(session);
    struct xw_saved saved = {0};
    bool is = file && !xw_saved_read(file, &saved, NULL) &&
              !strcmp(saved.snapshot->id, snapshot->id);

    xw_saved_free(&saved);
    return is;
}

static int remove_part(const struct xw_session *session, const struct xw_snapshot *snapshot,
                       struct xw_error *err)
{
    xw_auto_free char *part =
        file_of(session) ? xw_saved_part(file_of(session), snapshot->id) : NULL;

    if (!part || unlink(part) == 0 || errno == ENOENT)
        return 0;
    return xw_error_set_errno(err, "'%s' cannot be removed", part);
}

enum outcome {
    UNDO,     /* nothing depends on it: all is as it was before */
    FINISH,   /* it is whole */
    WITHDRAW, /* some disks are taken, and were written to since; others are not, or not at the
                 same moment, and it is no snapshot */
};

/*
 * How a creation that was cut off is to end. By its own word, or by the disks that QEMU serves:
 * under a running guest they come last and at once, unless it was started again between prepare
 * and take, on the new images; of a VM that does not run the disks are taken one by one.
 */
static int find_outcome(const struct xw_session *session, const struct xw_snapshot *snapshot,
                        struct xw_store_disk *disks, enum outcome *ret, struct xw_error *err)
{
    bool lacking = xw_journal_find(session->journal, "let-go");
    bool used = false;
    int rc = 0;

    *ret = FINISH;
    if (xw_journal_find(session->journal, "taken") || is_saved(session, snapshot))
        return 0;
    for (struct xw_store_disk *disk = disks; disk && !rc; disk = disk->next) {
        enum xw_store_found found = XW_STORE_NOTHING;

        rc = disk->store->find(disk, &found, err);
        used = used || (found == XW_STORE_TAKEN && disk->store->add_actions);
        lacking = lacking || found == XW_STORE_NOTHING || found == XW_STORE_PREPARED;
    }
    *ret = !used ? UNDO : lacking ? WITHDRAW : FINISH;
    return rc;
}

static void forget_memory(const struct xw_session *session, const struct xw_snapshot *snapshot)
{
    char path[2 * XW_SNAPSHOT_ID_SIZE + 16];

    snprintf(path, sizeof(path), "%s/%s/memory", session->subject.vm->id, snapshot->id);
    unlinkat(session->snapshots->dirfd, path, 0);
}

static int finish(struct xw_session *session, struct xw_snapshot *snapshot,
                  struct xw_store_disk *disks, struct xw_error *err)
{
    const json_t *taken = xw_journal_find(session->journal, "taken");
    struct xw_create create = {.snapshot = snapshot, .disks = disks};

    if (taken) {
        snapshot->standstill_us = json_integer_value(json_object_get(taken, "standstill_us"));
        snapshot->memory_bytes =
            (uint64_t)json_integer_value(json_object_get(taken, "memory_bytes"));
    } else if (snapshot->consistency != XW_CONSISTENCY_OFFLINE &&
               !is_saved(session, snapshot)) {
        /* How long the guest was held, and whether its memory is whole, nobody knows. */
        snapshot->consistency = XW_CONSISTENCY_CRASH;
        forget_memory(session, snapshot);
        if (file_of(session)) {
            free(snapshot->description);
            snapshot->description = strdup("of a save that was cut off");
        }
    }
    return xw_create_complete(session, &create, err);
}

static int forget(struct xw_session *session, const struct xw_snapshot *snapshot,
                  struct xw_error *err)
{
    int rc = xw_snapshot_forget(session->snapshots, session->subject.vm->id, snapshot->id, err);

    return rc ? rc : xw_journal_done(session->journal, err);
}

static int undo(struct xw_session *session, struct xw_snapshot *snapshot,
                struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = 0;

    for (struct xw_store_disk *disk = disks; disk && !rc; disk = disk->next)
        rc = disk->store->undo(disk, err);
    return rc ? rc : forget(session, snapshot, err);
}

/* What was written since stays: the content of the disks that were taken goes back beneath it. */
static int withdraw(struct xw_session *session, struct xw_snapshot *snapshot,
                    struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = 0;

    for (struct xw_store_disk *disk = disks; disk && !rc; disk = disk->next) {
        enum xw_store_found found;

        rc = disk->store->find(disk, &found, err);
        if (!rc && found != XW_STORE_TAKEN)
            rc = disk->store->undo(disk, err);
    }
    xw_session_disconnect(session, disks);
    if (!rc)
        rc = xw_recover_drop(session, disks, err);
    return rc ? rc : forget(session, snapshot, err);
}

static int end(struct xw_session *session, struct xw_snapshot *snapshot,
               struct xw_store_disk *disks, enum outcome outcome, struct xw_error *err)
{
    switch (outcome) {
    case FINISH:
        return finish(session, snapshot, disks, err);
    case WITHDRAW:
        return withdraw(session, snapshot, disks, err);
    default:
        return undo(session, snapshot, disks, err);
    }
}

int xw_recover_create(struct xw_session *session, bool *finished, struct xw_error *err)
{
    struct xw_snapshot *snapshot = NULL;
    struct xw_store_disk *disks = NULL;
    enum outcome outcome = UNDO;
    int rc = xw_recover_snapshot(session, &snapshot, err);

    *finished = false;
    if (!rc)
        rc = xw_session_disks_of(session, snapshot, &disks, err);
    if (!rc)
        rc = xw_session_connect_if_alive(session, disks, err);
    if (!rc)
        rc = find_outcome(session, snapshot, disks, &outcome, err);
    if (!rc)
        rc = remove_part(session, snapshot, err);
    if (!rc)
        rc = end(session, snapshot, disks, outcome, err);
    *finished = outcome == FINISH;
    xw_session_disconnect(session, disks);
    xw_store_disk_free(disks);
    xw_snapshot_free(snapshot);
    return rc;
}
