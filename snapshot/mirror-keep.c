/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking after the link of a mirror: an ssh that ended is started again, and a job that stopped
 * for an error of its target goes on. All else is the business of QEMU.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/lock.h"
#include "snapshot/mirror.h"

#define LOOK_MS 5000
#define RESUME_MS 500
#define MOST_RESUMES 4

/* How often in a row the guest may have no such job before that is taken to be gone. */
#define MOST_MISSES 3

/* The first attempt only has QEMU connect anew; the next one finds that connection. */
static void resume(struct xw_mirror *mirror)
{
    struct xw_guest_qemu *qemu;

    for (int i = 0; i < MOST_RESUMES && mirror->state == XW_MIRROR_INTERRUPTED; i++) {
        if (xw_mirror_connect(mirror, &qemu, NULL))
            return;
        xw_mirror_job_resume(qemu, mirror, NULL);
        xw_guest_qemu_close(qemu);
        poll(NULL, 0, RESUME_MS);
        if (xw_mirror_connect(mirror, &qemu, NULL))
            return;
        xw_mirror_job_look(qemu, mirror, NULL);
        xw_guest_qemu_close(qemu);
    }
}

static bool is_stopped(const struct xw_snapshots *snapshots, const char *id)
{
    struct xw_mirror *mirror;

    if (xw_mirror_read(snapshots, id, &mirror, NULL))
        return true;
    xw_mirror_free(mirror);
    return false;
}

static void tend(struct xw_snapshots *snapshots, struct xw_mirror *mirror)
{
    struct xw_mirror_place place;

    if (!xw_mirror_place(mirror->target, &place, NULL) && place.host &&
        !xw_mirror_link_up(mirror, place.host, false, NULL)) {
        /* Whoever stopped it meanwhile has not seen this link. */
        if (is_stopped(snapshots, mirror->id))
            xw_mirror_link_down(mirror, place.host);
        else if (mirror->state == XW_MIRROR_INTERRUPTED)
            resume(mirror);
    }
    xw_mirror_place_free(&place);
}

/* The guest has ended. The image there is closed; the record stays for the user to see. */
static void shut(const struct xw_mirror *mirror)
{
    struct xw_mirror_place place;

    if (!xw_mirror_place(mirror->target, &place, NULL) && place.host) {
        xw_mirror_target_close(mirror, &place, NULL);
        xw_mirror_link_down(mirror, place.host);
    }
    xw_mirror_place_free(&place);
}

/* 1: it goes on; 0: there is nothing to look after any more. */
static int keep_once(struct xw_snapshots *snapshots, const char *id, int *misses)
{
    struct xw_mirror *mirror;

    if (xw_mirror_read(snapshots, id, &mirror, NULL))
        return 0;
    if (!xw_mirror_look(snapshots, mirror, NULL)) {
        *misses = mirror->state == XW_MIRROR_ENDED ? *misses + 1 : 0;
        if (*misses == 0)
            tend(snapshots, mirror);
        else if (*misses == MOST_MISSES)
            shut(mirror);
    }
    xw_mirror_free(mirror);
    return *misses < MOST_MISSES;
}

int xw_mirror_keep(struct xw_snapshots *snapshots, const char *id, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    struct xw_mirror *mirror;
    char path[64];
    int misses = 0;
    int rc = xw_mirror_read(snapshots, id, &mirror, err);

    if (rc)
        return rc;
    xw_mirror_free(mirror);
    snprintf(path, sizeof(path), "mirrors/%s.lock", id);
    rc = xw_lock_take(&lock, snapshots->dirfd, path, XW_LOCK_EXCLUSIVE, 0, err);
    if (rc)
        return rc == -EBUSY ? 0 : rc;
    while (keep_once(snapshots, id, &misses))
        poll(NULL, 0, LOOK_MS);
    xw_lock_release(&lock);
    return 0;
}
