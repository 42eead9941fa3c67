/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A snapshot is made in three parts:
 *
 *   prepare   the journal knows it; all that takes time, while the guest runs
 *   take      the guest stands still: the stores that act by themselves, then all disks of QEMU in
 * one transaction. So when QEMU's are taken, all are. settle    the guest runs on: what must reach
 * the disk; the record; the journal forgets it
 *
 * Until the end of take it can be undone, and is where anything fails. After that it is finished,
 * whatever happens: by the next command, if this one is killed.
 */
#include "snapshot/create.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/killpoint.h"
#include "host/qmp.h"
#include "snapshot/config.h"
#include "snapshot/freeze.h"
#include "snapshot/memory.h"
#include "snapshot/quiesce.h"
#include "snapshot/recover.h"

#define STANDSTILL_LIMIT_MS 60000
#define TRANSACTION_MS 45000

static int prepare_disks(struct xw_session *session, struct xw_create *create, json_t *actions,
                         struct xw_error *err)
{
    int rc = xw_session_connect(session, create->disks, err);

    for (struct xw_store_disk *disk = create->disks; disk && !rc; disk = disk->next)
        rc = disk->store->prepare(disk, err);
    for (struct xw_store_disk *disk = create->disks; disk && !rc; disk = disk->next) {
        if (disk->qemu && disk->store->add_actions)
            rc = disk->store->add_actions(disk, actions, err);
    }
    return rc;
}

static int take_disks(struct xw_session *session, struct xw_create *create, json_t *actions,
                      struct xw_error *err)
{
    int rc = 0;

    for (struct xw_store_disk *disk = create->disks; disk && !rc; disk = disk->next) {
        if (!disk->qemu || !disk->store->add_actions)
            rc = disk->store->take(disk, err);
    }
    if (rc || json_array_size(actions) == 0)
        return rc;
    rc = xw_qmp_execute(xw_guest_qemu_qmp(session->qemu), "transaction",
                        json_pack("{s:O}", "actions", actions), TRANSACTION_MS, NULL, err);
    if (rc)
        xw_error_prefix(err, "QEMU cannot take the snapshot");
    xw_kill_point("create/pivoted");
    for (struct xw_store_disk *disk = create->disks; disk && !rc; disk = disk->next) {
        if (disk->late)
            rc = disk->store->take(disk, err);
    }
    return rc;
}

/* What the guard is to do where we die between QEMU's transaction and the renames that belong to
 * it. */
static int tell_guard(const struct xw_create *create, struct xw_standstill *guard,
                      struct xw_error *err)
{
    char from[PATH_MAX];
    int rc = 0;

    for (const struct xw_store_disk *disk = create->disks; disk && !rc; disk = disk->next) {
        if (disk->store->late_rename && disk->store->late_rename(disk, from))
            rc = xw_standstill_rename(guard, from, disk->path, err);
    }
    return rc;
}

static int take_held(struct xw_session *session, struct xw_create *create, json_t *actions,
                     struct xw_standstill *guard, struct xw_error *err)
{
    int rc = tell_guard(create, guard, err);

    if (!rc && create->quiesce != XW_QUIESCE_NONE)
        rc = xw_standstill_begin(guard, err);
    if (!rc)
        rc = take_disks(session, create, actions, err);
    if (rc)
        return rc;
    rc = xw_standstill_end(guard, &create->snapshot->standstill_us, err);
    /* Somebody else has let it go: who knows when. */
    if (rc && xw_create_check_one_action(create, NULL)) {
        xw_journal_step(session->journal, "let-go", NULL, NULL);
        xw_error_prefix(err, "no snapshot was made, as the guest was let go by somebody else while "
                             "its disks were taken; try again");
    }
    return rc;
}

/* The guest stands still for the taking, unless it does already or need not. */
static int take_standing(struct xw_session *session, struct xw_create *create, json_t *actions,
                         struct xw_error *err)
{
    struct xw_standstill standstill = XW_STANDSTILL_INIT;
    int rc;

    create->snapshot->standstill_us = session->subject.running ? 0 : -1;
    if (!session->subject.running)
        return take_disks(session, create, actions, err);
    if (create->standstill) {
        rc = tell_guard(create, create->standstill, err);
        return rc ? rc : take_disks(session, create, actions, err);
    }
    rc = xw_standstill_prepare(&standstill, session->subject.domid, STANDSTILL_LIMIT_MS, err);
    if (!rc)
        rc = take_held(session, create, actions, &standstill, err);
    if (rc)
        xw_standstill_abandon(&standstill);
    else
        xw_standstill_release(&standstill);
    return rc;
}

/* After a failure: undone, or (QEMU has taken it nevertheless) finished, which is said. */
static int resolve(struct xw_session *session, struct xw_create *create, int rc,
                   struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    bool finished = false;

    xw_session_disconnect(session, create->disks);
    if (xw_recover_create(session, &finished, &why) == 0) {
        if (finished)
            xw_error_prefix(
                err,
                "the snapshot '%s' was made all the same, as after a power cut: QEMU had "
                "taken it when this failed",
                create->snapshot->name);
        return rc;
    }
    xw_error_prefix(err,
                    "what was begun could not be undone (%s), 'xenwright snapshot recover' will "
                    "try again; before that",
                    why.message);
    return rc;
}

int xw_create_prepare(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    xw_auto_json json_t *args = json_pack("{s:o, s:s*}",
                                          "snapshot", xw_snapshot_json(create->snapshot),
                                          "file", create->file);

    if (!args)
        return xw_error_set(err, ENOMEM, "snapshot '%s': out of memory", create->snapshot->name);
    return xw_journal_begin(session->journal, "create", args, err);
}

/* What can be done while the guest runs; last what the guest does itself, which takes longest. */
static int start(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    int rc;

    create->actions = json_array();
    rc = xw_config_keep(session, create->snapshot->id, err);
    if (!rc)
        rc = prepare_disks(session, create, create->actions, err);
    if (!rc)
        rc = xw_journal_step(session->journal, "prepared", NULL, err);
    return rc ? rc : xw_quiesce_start(session, create, err);
}

/*
 * The guest is suspended, its memory (where that is kept) written: its disks are taken, and (as a
 * rule) it goes on.
 */
static int take_suspended(struct xw_session *session, struct xw_create *create,
                          struct xw_error *err)
{
    int rc = xw_session_connect(session, create->disks, err);

    if (!rc)
        rc = xw_memory_wake_qemu(session, err);
    if (!rc)
        rc = tell_guard(create, xw_memory_guard(create->saving), err);
    if (!rc)
        rc = take_disks(session, create, create->actions, err);
    xw_session_disconnect(session, create->disks);
    if (rc)
        return rc;
    return create->end ? create->end(session, create, err)
                       : xw_memory_finish(create->saving, create->snapshot, err);
}

/* Its agent has frozen its file systems: it is held, its disks are taken, and it goes on. */
static int take_frozen(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    struct xw_standstill *guard = xw_freeze_guard(create->freezing);
    int rc = xw_session_connect(session, create->disks, err);

    xw_kill_point("create/frozen");
    if (!rc)
        rc = take_held(session, create, create->actions, guard, err);
    xw_session_disconnect(session, create->disks);
    return rc ? rc : xw_freeze_thaw(create->freezing, err);
}

static int note_taken(struct xw_session *session, const struct xw_create *create,
                      struct xw_error *err)
{
    xw_auto_json json_t *args =
        json_pack("{s:I, s:I}", "standstill_us", (json_int_t)create->snapshot->standstill_us,
                  "memory_bytes", (json_int_t)create->snapshot->memory_bytes);

    return xw_journal_step(session->journal, "taken", args, err);
}

void xw_create_abandon(struct xw_session *session, struct xw_create *create)
{
    xw_quiesce_end(create);
    resolve(session, create, -ECANCELED, NULL);
}

int xw_create_take(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    int rc = xw_quiesce_goes_on(create) ? xw_quiesce_step(create, err)
                                        : start(session, create, err);

    if (rc == 1)
        return 1;
    if (!rc)
        rc = create->saving     ? take_suspended(session, create, err)
             : create->freezing ? take_frozen(session, create, err)
                                : take_standing(session, create, create->actions, err);
    xw_session_disconnect(session, create->disks);
    xw_quiesce_end(create); /* where it failed: the guest goes on before anything else */
    if (!rc)
        rc = note_taken(session, create, err);
    return rc ? resolve(session, create, rc, err) : 0;
}

int xw_create_complete(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    int rc = 0;

    if (!xw_journal_pending(session->journal))
        return 0; /* it was finished while a failure was put right */
    for (struct xw_store_disk *disk = create->disks; disk && !rc; disk = disk->next)
        rc = disk->store->settle(disk, err);
    if (!rc)
        rc = xw_snapshot_write(session->snapshots, session->subject.vm->id, create->snapshot, err);
    if (!rc)
        rc = xw_journal_step(session->journal, "recorded", NULL, err);
    if (!rc)
        rc = xw_session_set_current(session, create->snapshot->id, err);
    return rc ? rc : xw_journal_done(session->journal, err);
}

int xw_create_settle(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    int rc = xw_create_complete(session, create, err);

    if (rc)
        xw_session_tell_pending(session, err);
    return rc;
}

int xw_create_run(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    int rc = xw_create_prepare(session, create, err);

    if (!rc)
        rc = xw_create_take(session, create, err);
    return rc ? rc : xw_create_settle(session, create, err);
}
