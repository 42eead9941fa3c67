/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deleting snapshots, one after another. A deletion that has begun is only ever finished: at every
 * moment all data that anybody needs is in one of the two places.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <xenwright/domain.h>

#include "base/cleanup.h"
#include "base/operation.h"
#include "host/qmp.h"
#include "snapshot/recover.h"

#define QUERY_MS 10000

struct removal {
    struct xw_operation operation; /* first */
    struct xw_session session;
    int timer;
    char *domain;
    char (*ids)[XW_SNAPSHOT_ID_SIZE]; /* what is left to delete, the last one first */
    size_t count;
    struct xw_snapshot *snapshot; /* the one at hand; NULL: none yet */
    struct xw_store_disk *disks, *at;
};

static int begin(struct xw_session *session, const struct xw_snapshot *snapshot,
                 struct xw_error *err)
{
    xw_auto_json json_t *args = json_pack("{s:o}", "snapshot", xw_snapshot_json(snapshot));

    if (!args)
        return xw_error_set(err, ENOMEM, "snapshot '%s': out of memory", snapshot->name);
    return xw_journal_begin(session->journal, "delete", args, err);
}

/* Those that came from it come from its parent now. */
static int adopt_children(struct xw_session *session, const struct xw_snapshot *gone,
                          struct xw_error *err)
{
    struct xw_snapshot *child = session->subject.vm->snapshots;
    int rc = 0;

    for (; child && !rc; child = child->next) {
        if (strcmp(child->parent, gone->id) != 0)
            continue;
        memcpy(child->parent, gone->parent, sizeof(child->parent));
        rc = xw_snapshot_write(session->snapshots, session->subject.vm->id, child, err);
    }
    if (!rc && !strcmp(session->subject.vm->current, gone->id))
        rc = xw_session_set_current(session, gone->parent, err);
    return rc;
}

/* All disks have dropped it. */
static int forget(struct xw_session *session, const struct xw_snapshot *gone, struct xw_error *err)
{
    int rc = adopt_children(session, gone, err);

    if (!rc)
        rc = xw_snapshot_forget(session->snapshots, session->subject.vm->id, gone->id, err);
    if (!rc)
        rc = xw_journal_done(session->journal, err);
    return rc ? rc : xw_session_reload(session, err);
}

/* One piece of dropping one disk. QEMU is let go between, for others to use. */
static int drop_piece(struct xw_session *session, struct xw_store_disk *disk,
                      struct xw_store_progress *progress, struct xw_error *err)
{
    struct xw_store_disk *next = disk->next;
    int rc;

    *progress = (struct xw_store_progress){.wait_fd = -1};
    disk->next = NULL; /* connect this one only */
    rc = xw_session_connect_if_alive(session, disk, err);
    if (!rc)
        rc = disk->store->drop(disk, progress, err);
    xw_session_disconnect(session, disk);
    disk->next = next;
    return rc;
}

/* While no disk has dropped it, the snapshot is as good as it was: the deletion is given up. */
static void give_up(struct xw_session *session, struct xw_store_disk *disks)
{
    for (const struct xw_store_disk *disk = disks; disk; disk = disk->next) {
        struct xw_snapshot_space space;

        if (disk->store->space(disk, &space, NULL) || space.missing)
            return;
    }
    xw_journal_done(session->journal, NULL);
}

/* Wait for what a disk waits for, where nobody steps an operation. */
static int wait_here(const struct xw_store_progress *progress, struct xw_error *err)
{
    struct pollfd in = {.fd = progress->wait_fd, .events = POLLIN};

    if (poll(&in, 1, progress->wait_fd >= 0 ? -1 : progress->wait_ms) < 0 && errno != EINTR)
        return xw_error_set_errno(err, "waiting for a disk");
    return 0;
}

int xw_recover_drop(struct xw_session *session, struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = 0;

    for (struct xw_store_disk *disk = disks; disk && !rc;) {
        struct xw_store_progress progress;

        rc = drop_piece(session, disk, &progress, err);
        if (rc == 0)
            disk = disk->next;
        else if (rc == 1)
            rc = wait_here(&progress, err);
    }
    return rc;
}

/* libxl stops a guest's QEMU only while it saves it, and that guest is suspended. */
static bool is_being_saved(const struct xw_session *session)
{
    struct xw_domain *domain = NULL;
    char domid[16];
    bool saved;

    snprintf(domid, sizeof(domid), "%" PRIu32, session->subject.domid);
    if (xw_domain_find(session->snapshots->host, domid, &domain, NULL))
        return false;
    saved = domain->shutdown == XW_SHUTDOWN_SUSPEND;
    xw_domain_free(domain);
    return saved;
}

/*
 * A deletion stops the guest's QEMU for a moment, to have it write all it keeps in memory. Killed
 * in that moment it leaves a guest that runs and whose disks do not answer.
 */
static int wake_qemu(struct xw_session *session, struct xw_store_disk *disks, struct xw_error *err)
{
    xw_auto_json json_t *status = NULL;
    int rc = xw_session_connect_if_alive(session, disks, err);

    if (!rc && session->qemu)
        rc = xw_qmp_execute(xw_guest_qemu_qmp(session->qemu), "query-status", NULL, QUERY_MS,
                            &status, err);
    if (!rc && status && !json_is_true(json_object_get(status, "running")) &&
        !is_being_saved(session))
        rc = xw_qmp_execute(xw_guest_qemu_qmp(session->qemu), "cont", NULL, QUERY_MS, NULL, err);
    xw_session_disconnect(session, disks);
    return rc;
}

int xw_recover_delete(struct xw_session *session, struct xw_error *err)
{
    struct xw_store_disk *disks = NULL;
    struct xw_snapshot *gone = NULL;
    int rc = xw_recover_snapshot(session, &gone, err);

    if (!rc)
        rc = xw_session_disks_of(session, gone, &disks, err);
    if (!rc)
        rc = wake_qemu(session, disks, err);
    if (!rc)
        rc = xw_recover_drop(session, disks, err);
    if (rc)
        give_up(session, disks);
    if (!rc)
        rc = forget(session, gone, err);
    else if (!xw_journal_pending(session->journal))
        rc = 0; /* given up: the snapshot is still there, whole */
    xw_store_disk_free(disks);
    xw_snapshot_free(gone);
    return rc;
}

/* Nobody is exporting it: those who do hold its lock. */
static int check_exports(const struct removal *removal, const char *id, struct xw_error *err)
{
    char path[2 * XW_SNAPSHOT_ID_SIZE + 8];
    struct xw_lock lock = XW_LOCK_INIT;
    int rc;

    snprintf(path, sizeof(path), "%s/%s/lock", removal->session.subject.vm->id, id);
    if (faccessat(removal->session.snapshots->dirfd, path, F_OK, 0) < 0)
        return 0;
    rc = xw_lock_take(&lock, removal->session.snapshots->dirfd, path, XW_LOCK_EXCLUSIVE, 0, err);
    if (rc == -EBUSY)
        xw_error_prefix(err, "a snapshot of '%s' is being exported", removal->domain);
    xw_lock_release(&lock);
    return rc;
}

static int next_snapshot(struct removal *removal, struct xw_error *err)
{
    int rc;

    xw_snapshot_free(removal->snapshot);
    xw_store_disk_free(removal->disks);
    removal->snapshot = NULL;
    removal->disks = NULL;
    /* Of several disks, one that is in use would stop the deletion half-way. */
    rc = removal->session.subject.running
             ? 0
             : xw_subject_check_idle(removal->session.snapshots, &removal->session.subject, err);
    if (!rc)
        rc = check_exports(removal, removal->ids[removal->count - 1], err);
    if (rc)
        return rc;
    rc = xw_snapshot_read(removal->session.snapshots, removal->session.subject.vm->id,
                          removal->ids[removal->count - 1], &removal->snapshot, err);
    if (!rc)
        rc = xw_recover_check_there(&removal->session, removal->snapshot, true,
                                    removal->snapshot->id, err);
    if (!rc)
        rc = xw_session_disks_of(&removal->session, removal->snapshot, &removal->disks, err);
    if (!rc && !removal->session.subject.running)
        rc = xw_disks_check_idle(removal->session.snapshots, removal->disks, err);
    for (struct xw_store_disk *disk = removal->disks; disk && !rc; disk = disk->next)
        rc = disk->store->drop_check ? disk->store->drop_check(disk, err) : 0;
    if (!rc)
        rc = begin(&removal->session, removal->snapshot, err);
    removal->at = removal->disks;
    return rc ? rc : 1;
}

static int wait_for(struct removal *removal, const struct xw_store_progress *progress,
                    struct xw_error *err)
{
    struct itimerspec when = {.it_value = {.tv_sec = progress->wait_ms / 1000,
                                           .tv_nsec = progress->wait_ms % 1000 * 1000000 + 1}};

    if (progress->wait_fd >= 0)
        return xw_operation_wait_for(&removal->operation, progress->wait_fd, err);
    timerfd_settime(removal->timer, 0, &when, NULL);
    return xw_operation_wait_for(&removal->operation, removal->timer, err);
}

static int drop(struct removal *removal, struct xw_error *err)
{
    struct xw_store_progress progress;
    int rc = drop_piece(&removal->session, removal->at, &progress, err);

    xw_operation_report(&removal->operation, "moving what others need", progress.done,
                        progress.total);
    if (rc == 1)
        rc = wait_for(removal, &progress, err);
    else if (rc == 0)
        removal->at = removal->at->next;
    if (rc < 0) {
        give_up(&removal->session, removal->disks);
        xw_session_tell_pending(&removal->session, err);
    }
    return rc < 0 ? rc : 1;
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct removal *removal = (struct removal *)operation;
    int rc = xw_operation_wait_for(operation, -1, err);

    if (rc)
        return rc;
    if (removal->at)
        return drop(removal, err);
    if (removal->snapshot) {
        rc = forget(&removal->session, removal->snapshot, err);
        if (rc)
            xw_session_tell_pending(&removal->session, err);
        xw_snapshot_free(removal->snapshot);
        removal->snapshot = NULL;
        removal->count--;
    }
    if (rc || removal->count == 0)
        return rc;
    if (operation->cancelled)
        return xw_error_set(err, ECANCELED, "'%s': not all was deleted: cancelled",
                            removal->domain);
    return next_snapshot(removal, err);
}

static void release(struct xw_operation *operation)
{
    struct removal *removal = (struct removal *)operation;

    xw_session_close(&removal->session);
    xw_snapshot_free(removal->snapshot);
    xw_store_disk_free(removal->disks);
    if (removal->timer >= 0)
        close(removal->timer);
    free(removal->domain);
    free(removal->ids);
}

static const struct xw_operation_class class = {.step = step, .release = release};

/* It and (children) all that descend from it: parents before children, so that the last go first.
 */
static int choose(struct removal *removal, const char *name, bool children, struct xw_error *err)
{
    const struct xw_snapshot_vm *vm = removal->session.subject.vm;
    const struct xw_snapshot *first, *snapshot;
    size_t all = 0;
    int rc = xw_session_snapshot(&removal->session, name, &first, err);

    if (rc)
        return rc;
    for (snapshot = vm->snapshots; snapshot; snapshot = snapshot->next)
        all++;
    removal->ids = calloc(all, sizeof(*removal->ids));
    if (!removal->ids)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", removal->domain);
    memcpy(removal->ids[removal->count++], first->id, sizeof(first->id));
    for (size_t i = 0; children && i < removal->count; i++) {
        for (snapshot = vm->snapshots; snapshot; snapshot = snapshot->next) {
            if (!strcmp(snapshot->parent, removal->ids[i]) && removal->count < all)
                memcpy(removal->ids[removal->count++], snapshot->id, sizeof(snapshot->id));
        }
    }
    return 0;
}

int xw_snapshot_delete(struct xw_snapshots *snapshots, const char *domain, const char *snapshot,
                       bool children, struct xw_operation **ret, struct xw_error *err)
{
    struct removal *removal = calloc(1, sizeof(*removal));
    int rc;

    if (!removal)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", domain);
    rc = xw_operation_init(&removal->operation, &class, err);
    if (rc) {
        free(removal);
        return rc;
    }
    removal->session = (struct xw_session)XW_SESSION_INIT;
    removal->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    removal->domain = strdup(domain);
    if (removal->timer < 0)
        rc = xw_error_set_errno(err, "a timer");
    else if (!removal->domain)
        rc = xw_error_set(err, ENOMEM, "'%s': out of memory", domain);
    if (!rc)
        rc = xw_session_open(&removal->session, snapshots, domain, false, err);
    if (!rc)
        rc = choose(removal, snapshot, children, err);
    if (rc) {
        removal->count = 0; /* nothing has begun: it ends at once */
        xw_operation_free(&removal->operation);
    } else {
        *ret = &removal->operation;
    }
    return rc;
}
