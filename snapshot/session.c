/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapshot/recover.h"

/* libxl holds its connection for seconds only; so do we. */
#define QEMU_MS 20000

/* The record that was found may be gone once it is locked, with its last snapshot. */
#define MOST_TRIES 5

static int open_journal(struct xw_session *session, struct xw_error *err)
{
    char path[XW_SNAPSHOT_ID_SIZE + 16];
    int rc;

    snprintf(path, sizeof(path), "%s/journal", session->subject.vm->id);
    rc = xw_journal_open(session->snapshots->dirfd, path, &session->journal, err);
    if (rc == -EBADMSG)
        xw_error_prefix(err,
                        "whether a command was interrupted cannot be told; see that the disks of "
                        "'%s' are right, then remove '%s/%s'",
                        session->subject.name, session->snapshots->state, path);
    return rc;
}

int xw_session_reload(struct xw_session *session, struct xw_error *err)
{
    struct xw_subject *subject = &session->subject;
    struct xw_snapshot_vm *vm;
    json_t *disks;
    int rc = xw_vm_read(session->snapshots, subject->vm->id, &vm, &disks, err);

    if (rc)
        return rc;
    xw_snapshot_vm_free(subject->vm);
    json_decref(subject->vm_disks);
    subject->vm = vm;
    subject->vm_disks = disks;
    return xw_vm_read_snapshots(session->snapshots, vm, err);
}

/* From here on nobody else works on this VM. */
static int enter(struct xw_session *session, struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    int rc = xw_snapshots_lock(session->snapshots, subject->vm->id, &session->lock, err);

    if (rc == -EBUSY)
        xw_error_prefix(err, "another command is at work on the snapshots of '%s'", subject->name);
    if (!rc && faccessat(session->snapshots->dirfd, subject->vm->id, F_OK, 0) < 0)
        return xw_error_set(err, ESTALE, "'%s': its last snapshot was just deleted", subject->name);
    if (!rc)
        rc = open_journal(session, err);
    if (!rc)
        rc = xw_session_reload(session, err);
    return rc ? rc : xw_recover(session, err);
}

static int open_once(struct xw_session *session, const char *domain, bool make,
                     struct xw_error *err)
{
    struct xw_subject *subject = &session->subject;
    int rc = xw_subject_find(session->snapshots, domain, subject, err);

    if (!rc && make && !subject->vm)
        rc = xw_subject_remember(session->snapshots, subject, err);
    if (!rc && !subject->vm)
        rc = xw_error_set(err, ENOENT, "'%s' has no snapshots", domain);
    if (!rc)
        rc = enter(session, err);
    return rc || !make ? rc : xw_subject_update(session->snapshots, subject, err);
}

int xw_session_open(struct xw_session *session, struct xw_snapshots *snapshots, const char *domain,
                    bool make, struct xw_error *err)
{
    int rc = -ESTALE;

    for (int i = 0; rc == -ESTALE && i < MOST_TRIES; i++) {
        xw_session_close(session);
        session->snapshots = snapshots;
        rc = open_once(session, domain, make, err);
    }
    return rc;
}

int xw_session_peek(struct xw_session *session, struct xw_snapshots *snapshots, const char *domain,
                    bool make, struct xw_error *err)
{
    struct xw_subject *subject = &session->subject;
    int rc = xw_subject_find(snapshots, domain, subject, err);

    session->snapshots = snapshots;
    if (rc || subject->vm)
        return rc ? rc : xw_session_reload(session, err);
    if (!make)
        return xw_error_set(err, ENOENT, "'%s' has no snapshots", domain);
    subject->vm = calloc(1, sizeof(*subject->vm));
    return subject->vm ? 0 : xw_error_set(err, ENOMEM, "'%s': out of memory", domain);
}

int xw_session_peek_vm(struct xw_session *session, struct xw_snapshots *snapshots, const char *vm,
                       struct xw_error *err)
{
    int rc = xw_subject_of_vm(snapshots, vm, &session->subject, err);

    session->snapshots = snapshots;
    return rc ? rc : xw_session_reload(session, err);
}

int xw_session_open_vm(struct xw_session *session, struct xw_snapshots *snapshots, const char *vm,
                       struct xw_error *err)
{
    int rc = xw_subject_of_vm(snapshots, vm, &session->subject, err);

    session->snapshots = snapshots;
    return rc ? rc : enter(session, err);
}

/* A VM without snapshots has no record. */
static void tidy(struct xw_session *session)
{
    const struct xw_snapshot_vm *vm = session->subject.vm;

    if (session->journal && !xw_journal_pending(session->journal) && !vm->snapshots &&
        xw_vm_is_bare(session->snapshots, vm->id))
        xw_vm_forget(session->snapshots, vm->id, NULL);
}

void xw_session_close(struct xw_session *session)
{
    tidy(session);
    xw_session_disconnect(session, NULL);
    xw_journal_close(session->journal);
    session->journal = NULL;
    xw_lock_release(&session->lock);
    xw_subject_free(&session->subject);
}

void xw_session_tell_pending(const struct xw_session *session, struct xw_error *err)
{
    const char *pending = session->journal ? xw_journal_pending(session->journal) : NULL;

    if (pending)
        xw_error_prefix(err,
                        "the '%s' of '%s' is not finished, 'xenwright snapshot recover' goes on "
                        "with it",
                        pending, session->subject.name);
}

int xw_session_snapshot(const struct xw_session *session, const char *name,
                        const struct xw_snapshot **ret, struct xw_error *err)
{
    *ret = xw_snapshot_find(session->subject.vm, name);
    if (*ret)
        return 0;
    return xw_error_set(err, ENOENT,
                        "'%s' has no snapshot '%s'; 'xenwright snapshot list %s' shows those there "
                        "are",
                        session->subject.name, name, session->subject.name);
}

int xw_session_set_current(struct xw_session *session, const char *id, struct xw_error *err)
{
    struct xw_snapshot_vm *vm = session->subject.vm;

    snprintf(vm->current, sizeof(vm->current), "%s", id);
    return xw_vm_write(session->snapshots, vm, session->subject.vm_disks, err);
}

/* The disk of the VM as it is now; NULL where it has none at this path. */
static const struct xw_store_disk *present_disk(const struct xw_session *session, const char *path)
{
    const struct xw_store_disk *disk = session->subject.disks;

    while (disk && strcmp(disk->path, path) != 0)
        disk = disk->next;
    return disk;
}

static int make_disk(const struct xw_session *session, const struct xw_snapshot *snapshot,
                     const struct xw_snapshot_disk *from, struct xw_store_disk **ret,
                     struct xw_error *err)
{
    const struct xw_store_disk *present = present_disk(session, from->path);
    struct xw_store_disk *disk =
        xw_store_disk_new(from->vdev, from->path, from->format, present ? present->backend : "");

    if (!disk)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", from->vdev);
    *ret = disk;
    disk->running = present && present->running;
    disk->size = from->size;
    memcpy(disk->id, snapshot->id, sizeof(disk->id));
    snprintf(disk->data, sizeof(disk->data), "%s", from->data);
    disk->store = xw_store_find(from->store);
    if (disk->store)
        return 0;
    return xw_error_set(
        err, ENOTSUP,
        "disk %s: this version of xenwright has no store '%s'; use the one that made "
        "the snapshot",
        from->vdev, from->store);
}

int xw_session_disks_of(const struct xw_session *session, const struct xw_snapshot *snapshot,
                        struct xw_store_disk **ret, struct xw_error *err)
{
    struct xw_store_disk **at = ret;
    int rc = 0;

    *ret = NULL;
    for (const struct xw_snapshot_disk *from = snapshot->disks; from && !rc; from = from->next) {
        rc = make_disk(session, snapshot, from, at, err);
        if (*at)
            at = &(*at)->next;
    }
    if (rc) {
        xw_store_disk_free(*ret);
        *ret = NULL;
    }
    return rc;
}

static bool is_served_by_qemu(const struct xw_store_disk *disk)
{
    return disk->running && !strcmp(disk->backend, "qdisk");
}

int xw_session_connect(struct xw_session *session, struct xw_store_disk *disks,
                       struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    struct xw_store_disk *disk = disks;
    int rc;

    while (disk && !is_served_by_qemu(disk))
        disk = disk->next;
    if (!disk)
        return 0;
    rc = xw_guest_qemu_open(subject->domid, subject->uuid, QEMU_MS, &session->qemu, err);
    if (rc)
        return rc;
    for (; disk; disk = disk->next)
        disk->qemu = is_served_by_qemu(disk) ? session->qemu : NULL;
    return 0;
}

int xw_session_connect_if_alive(struct xw_session *session, struct xw_store_disk *disks,
                                struct xw_error *err)
{
    int rc = xw_session_connect(session, disks, err);

    if (rc != -ECONNREFUSED)
        return rc;
    xw_error_clear(err);
    for (; disks; disks = disks->next)
        disks->running = disks->running && !is_served_by_qemu(disks);
    return 0;
}

void xw_session_disconnect(struct xw_session *session, struct xw_store_disk *disks)
{
    for (; disks; disks = disks->next)
        disks->qemu = NULL;
    xw_guest_qemu_close(session->qemu);
    session->qemu = NULL;
}
