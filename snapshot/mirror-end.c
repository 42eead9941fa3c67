/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mirrors are at present, and how they end. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "snapshot/mirror.h"

/* With what the guest writes meanwhile copied too; it is not limited any more by then. */
#define END_MS 600000
#define LOOK_MS 20

/* A connection is not kept for longer, since libxl waits for it; then one is made for each look. */
#define HOLD_MS 1000
#define LONG_LOOK_MS 200

static const char *const state_names[] = {
    [XW_MIRROR_COPYING] = "copying",
    [XW_MIRROR_READY] = "in step",
    [XW_MIRROR_INTERRUPTED] = "interrupted",
    [XW_MIRROR_ENDED] = "ended",
};

const char *xw_mirror_state_name(enum xw_mirror_state state)
{
    return state_names[state];
}

int xw_mirror_look(struct xw_snapshots *snapshots, struct xw_mirror *mirror, struct xw_error *err)
{
    struct xw_guest_qemu *qemu;
    char lock[64];
    int rc = xw_mirror_connect(mirror, &qemu, err);

    snprintf(lock, sizeof(lock), "mirrors/%s.lock", mirror->id);
    mirror->kept = xw_lock_is_held(snapshots->dirfd, lock, NULL);
    mirror->state = XW_MIRROR_ENDED;
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    rc = xw_mirror_job_look(qemu, mirror, err);
    xw_guest_qemu_close(qemu);
    return rc;
}

static void pause_between_looks(void)
{
    poll(NULL, 0, LOOK_MS);
}

/* 1: it has not ended yet, and may. */
static int look_at_end(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror, int64_t deadline,
                       struct xw_error *err)
{
    struct xw_mirror now = *mirror;
    int rc = xw_mirror_job_ended(qemu, mirror, err);

    if (rc != 1)
        return rc;
    rc = xw_mirror_job_look(qemu, &now, err);
    if (!rc && now.state == XW_MIRROR_INTERRUPTED)
        return xw_error_set(err, EIO, "disk %s: '%s' cannot be written to any more", mirror->vdev,
                            mirror->target);
    if (!rc && xw_deadline_left(deadline) == 0)
        return xw_error_set(err, ETIMEDOUT,
                            "disk %s: the guest writes more than '%s' can be given: try again "
                            "when it writes less",
                            mirror->vdev, mirror->target);
    return rc ? rc : 1;
}

/* *qemu: the connection; NULL where it could not be made again. */
static int wait_ended(struct xw_guest_qemu **qemu, const struct xw_mirror *mirror, int64_t deadline,
                      struct xw_error *err)
{
    int64_t hold = xw_deadline(HOLD_MS);
    int rc;

    while ((rc = look_at_end(*qemu, mirror, deadline, err)) == 1) {
        if (xw_deadline_left(hold) > 0) {
            pause_between_looks();
            continue;
        }
        xw_guest_qemu_close(*qemu);
        *qemu = NULL;
        poll(NULL, 0, LONG_LOOK_MS);
        rc = xw_mirror_connect(mirror, qemu, err);
        if (rc)
            return rc;
    }
    return rc;
}

static int check_ready(struct xw_guest_qemu *qemu, struct xw_mirror *mirror, struct xw_error *err)
{
    int rc = xw_mirror_job_look(qemu, mirror, err);

    if (rc || mirror->state == XW_MIRROR_READY)
        return rc ? rc : xw_mirror_job_limit(qemu, mirror, 0, err);
    return xw_error_set(err, EBUSY, "disk %s: the mirror to '%s' is not in step: %s", mirror->vdev,
                        mirror->target, xw_mirror_state_name(mirror->state));
}

/* All of one guest, so of one QEMU. */
int xw_mirror_end(struct xw_mirror *mirrors, struct xw_error *err)
{
    int64_t deadline = xw_deadline(END_MS);
    struct xw_guest_qemu *qemu = NULL;
    struct xw_mirror *mirror;
    int rc = xw_mirror_connect(mirrors, &qemu, err);

    if (rc)
        return rc;
    for (mirror = mirrors; mirror && !rc; mirror = mirror->next)
        rc = check_ready(qemu, mirror, err);
    for (mirror = mirrors; mirror && !rc; mirror = mirror->next)
        rc = xw_mirror_job_cancel(qemu, mirror, false, err);
    for (mirror = mirrors; mirror && !rc; mirror = mirror->next)
        rc = wait_ended(&qemu, mirror, deadline, err);
    xw_guest_qemu_close(qemu);
    for (mirror = mirrors; mirror && !rc; mirror = mirror->next) {
        struct xw_mirror_place place;

        rc = xw_mirror_place(mirror->target, &place, err);
        if (!rc)
            rc = xw_mirror_target_close(mirror, &place, err);
        xw_mirror_place_free(&place);
    }
    return rc;
}

/* What is left of one that has ended as a whole copy. */
void xw_mirror_release(struct xw_snapshots *snapshots, const struct xw_mirror *mirror)
{
    struct xw_mirror_place place;

    if (!xw_mirror_place(mirror->target, &place, NULL) && place.host)
        xw_mirror_link_down(mirror, place.host);
    xw_mirror_place_free(&place);
    xw_mirror_forget(snapshots, mirror->id, NULL);
}

/* A job that waits for a dead link ends only when it is forced to. */
static void drop_job(const struct xw_mirror *mirror)
{
    int64_t deadline = xw_deadline(END_MS);
    struct xw_guest_qemu *qemu;

    if (xw_mirror_connect(mirror, &qemu, NULL))
        return;
    if (!xw_mirror_job_cancel(qemu, mirror, true, NULL)) {
        while (xw_mirror_job_ended(qemu, mirror, NULL) == 1 && xw_deadline_left(deadline) > 0)
            pause_between_looks();
    } else {
        xw_mirror_job_ended(qemu, mirror, NULL); /* it had ended: clear it away */
    }
    xw_guest_qemu_close(qemu);
}

/* A link that was cut is tried once more: an image that stays open there is in the way later. */
int xw_mirror_abandon(struct xw_snapshots *snapshots, struct xw_mirror *mirror,
                      struct xw_error *err)
{
    struct xw_mirror_place place;
    int rc;

    drop_job(mirror);
    rc = xw_mirror_place(mirror->target, &place, err);
    if (!rc && place.host) {
        rc = xw_mirror_link_up(mirror, place.host, false, err);
        if (!rc)
            rc = xw_mirror_target_close(mirror, &place, err);
        if (rc)
            xw_error_prefix(err, "its qemu-storage-daemon may still run there");
        xw_mirror_link_down(mirror, place.host);
    }
    xw_mirror_place_free(&place);
    xw_mirror_forget(snapshots, mirror->id, NULL);
    return rc;
}

static int stop_one(struct xw_snapshots *snapshots, struct xw_mirror *mirror, bool abandon,
                    bool *whole, struct xw_error *err)
{
    int rc = xw_mirror_look(snapshots, mirror, err);

    *whole = false;
    if (!rc && !abandon && mirror->state != XW_MIRROR_ENDED) {
        rc = xw_mirror_end(mirror, err);
        *whole = rc == 0;
    }
    if (*whole) {
        xw_mirror_release(snapshots, mirror);
        return 0;
    }
    return rc && !abandon ? rc : xw_mirror_abandon(snapshots, mirror, err);
}

int xw_mirror_stop(struct xw_snapshots *snapshots, const char *domain, const char *vdev,
                   bool abandon, bool *whole, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    struct xw_mirror *mirrors = NULL;
    int rc = xw_mirror_lock(snapshots, &lock, err);

    if (!rc)
        rc = xw_mirror_list(snapshots, domain, vdev, &mirrors, err);
    if (!rc && !mirrors)
        rc = xw_error_set(err, ENOENT, "disk %s of '%s' is not being mirrored", vdev, domain);
    if (!rc)
        rc = stop_one(snapshots, mirrors, abandon, whole, err);
    xw_mirror_free(mirrors);
    xw_lock_release(&lock);
    return rc;
}

/* The name is the one of the guest at the start of the mirror; a domid is of the present. */
static bool is_wanted(const struct xw_mirror *mirror, const char *domain, const char *vdev)
{
    char domid[16];

    snprintf(domid, sizeof(domid), "%u", mirror->domid);
    if (domain && strcmp(domain, mirror->domain) != 0 && strcmp(domain, domid) != 0)
        return false;
    return !vdev || !strcmp(vdev, mirror->vdev);
}

static int compare(const struct xw_mirror *a, const struct xw_mirror *b)
{
    int by_domain = strcmp(a->domain, b->domain);

    return by_domain ? by_domain : strcmp(a->vdev, b->vdev);
}

static void insert(struct xw_mirror **at, struct xw_mirror *mirror)
{
    while (*at && compare(*at, mirror) <= 0)
        at = &(*at)->next;
    mirror->next = *at;
    *at = mirror;
}

int xw_mirror_list(struct xw_snapshots *snapshots, const char *domain, const char *vdev,
                   struct xw_mirror **ret, struct xw_error *err)
{
    struct xw_mirror *all, *next;
    int rc = xw_mirror_read_all(snapshots, &all, err);

    *ret = NULL;
    if (rc)
        return rc;
    for (struct xw_mirror *mirror = all; mirror; mirror = next) {
        next = mirror->next;
        mirror->next = NULL;
        if (rc || !is_wanted(mirror, domain, vdev) ||
            (rc = xw_mirror_look(snapshots, mirror, err)) != 0)
            xw_mirror_free(mirror);
        else
            insert(ret, mirror);
    }
    if (!rc)
        return 0;
    xw_mirror_free(*ret);
    *ret = NULL;
    return rc;
}

int xw_mirror_refuse(struct xw_snapshots *snapshots, uint32_t domid, const char *uuid,
                     const char *vdev, struct xw_error *err)
{
    struct xw_mirror *all, *mirror;
    int rc = xw_mirror_read_all(snapshots, &all, err);

    for (mirror = rc ? NULL : all; mirror && !rc; mirror = mirror->next) {
        if (mirror->domid != domid || strcmp(mirror->uuid, uuid) != 0 ||
            strcmp(mirror->vdev, vdev) != 0)
            continue;
        rc = xw_mirror_look(snapshots, mirror, err);
        if (!rc && mirror->state != XW_MIRROR_ENDED)
            rc = xw_error_set(err, EBUSY,
                              "disk %s is being mirrored to '%s', and QEMU keeps no snapshot of it "
                              "meanwhile; 'xenwright disk mirror stop %s %s' ends that",
                              vdev, mirror->target, mirror->domain, vdev);
    }
    xw_mirror_free(all);
    return rc;
}
