/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public operations that are short: rename, recover, the space of a disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/session.h"

static int rename_in(struct xw_session *session, const char *name, const char *new_name,
                     const char *description, struct xw_error *err)
{
    const struct xw_snapshot *found, *other = NULL;
    struct xw_snapshot *snapshot = NULL;
    char *text = NULL;
    int rc = xw_session_snapshot(session, name, &found, err);

    if (!rc && new_name)
        other = xw_snapshot_find(session->subject.vm, new_name);
    if (!rc && other && other != found)
        rc = xw_error_set(err, EEXIST, "'%s' has a snapshot '%s' already", session->subject.name,
                          new_name);
    if (!rc)
        rc = xw_snapshot_read(session->snapshots, session->subject.vm->id, found->id, &snapshot,
                              err);
    if (rc)
        return rc;
    if (new_name)
        memcpy(snapshot->name, new_name, strlen(new_name) + 1);
    if (description && (text = strdup(description))) {
        free(snapshot->description);
        snapshot->description = text;
    }
    rc = description && !text
             ? xw_error_set(err, ENOMEM, "'%s': out of memory", name)
             : xw_snapshot_write(session->snapshots, session->subject.vm->id, snapshot, err);
    xw_snapshot_free(snapshot);
    return rc;
}

int xw_snapshot_rename(struct xw_snapshots *snapshots, const char *domain, const char *snapshot,
                       const char *name, const char *description, struct xw_error *err)
{
    struct xw_session session = XW_SESSION_INIT;
    int rc = name ? xw_snapshot_name_check(name, err) : 0;

    if (!rc && description)
        rc = xw_snapshot_description_check(description, err);
    if (!rc)
        rc = xw_session_open(&session, snapshots, domain, false, err);
    if (!rc)
        rc = rename_in(&session, snapshot, name, description, err);
    xw_session_close(&session);
    return rc;
}

/* *postponed, where that is not NULL, becomes whether a deletion was left as it is. */
static int recover_vm(struct xw_snapshots *snapshots, const char *vm, bool *postponed,
                      uint32_t *found, struct xw_error *err)
{
    struct xw_session session = XW_SESSION_INIT;
    int rc;

    session.postpones = postponed;
    rc = xw_session_open_vm(&session, snapshots, vm, err);
    if (postponed)
        *postponed = !rc && xw_journal_pending(session.journal);
    *found += session.recovered;
    xw_session_close(&session);
    return rc == -ESTALE ? 0 : rc;
}

/*
 * All are tried; the first failure is the one that is told. Deletions come last: they may copy a
 * lot, and nothing is wrong with the VM meanwhile. At boot the others are waited for.
 */
int xw_snapshot_recover(struct xw_snapshots *snapshots, const char *domain, uint32_t *found,
                        struct xw_error *err)
{
    struct xw_snapshot_vm *vms = NULL;
    int rc = xw_snapshot_list(snapshots, domain, &vms, err);

    *found = 0;
    for (struct xw_snapshot_vm *vm = vms; vm; vm = vm->next) {
        bool postponed = false;
        int failed = recover_vm(snapshots, vm->id, &postponed, found, rc ? NULL : err);

        rc = rc ? rc : failed;
        if (!postponed)
            vm->id[0] = '\0'; /* it is done */
    }
    for (const struct xw_snapshot_vm *vm = vms; vm; vm = vm->next) {
        int failed = vm->id[0] ? recover_vm(snapshots, vm->id, NULL, found, rc ? NULL : err) : 0;

        rc = rc ? rc : failed;
    }
    xw_snapshot_vm_free(vms);
    return rc;
}

int xw_snapshot_disk_space(struct xw_snapshots *snapshots, const struct xw_snapshot_disk *disk,
                           struct xw_snapshot_space *ret, struct xw_error *err)
{
    const struct xw_store *store = xw_store_find(disk->store);
    struct xw_store_disk *at;
    int rc;

    (void)snapshots;
    if (!store)
        return xw_error_set(err, ENOTSUP, "disk %s: this version has no store '%s'", disk->vdev,
                            disk->store);
    at = xw_store_disk_new(disk->vdev, disk->path, disk->format, "");
    if (!at)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", disk->vdev);
    snprintf(at->data, sizeof(at->data), "%s", disk->data);
    rc = store->space(at, ret, err);
    xw_store_disk_free(at);
    return rc;
}
