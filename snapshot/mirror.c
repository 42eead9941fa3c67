/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting a mirror: the record, the link, the image, the job; and waiting until it is in step. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/operation.h"
#include "base/random.h"
#include "snapshot/mirror.h"
#include "snapshot/subject.h"

#define LOOK_MS 100

enum phase { LINK, IMAGE, COPY, WAIT, DONE };

struct start {
    struct xw_operation operation; /* first */
    struct xw_snapshots *snapshots;
    struct xw_lock lock; /* until the job runs */
    struct xw_mirror *mirror;
    struct xw_mirror_place place;
    struct xw_mirror_started *started;
    uint64_t limit, size;
    char *node; /* QEMU's, of the disk */
    bool wait, dry_run, running, again, recorded;
    enum phase phase;
    int timer;
};

static const struct xw_store_disk *find_disk(const struct xw_subject *subject, const char *vdev)
{
    const struct xw_store_disk *disk = subject->disks;

    while (disk && strcmp(disk->vdev, vdev) != 0)
        disk = disk->next;
    return disk;
}

int xw_mirror_check_disk(const struct xw_subject *subject, const char *vdev, struct xw_error *err)
{
    const struct xw_store_disk *disk = find_disk(subject, vdev);

    if (!subject->running)
        return xw_error_set(err, EINVAL,
                            "'%s' does not run: copy its disks with 'qemu-img convert'",
                            subject->name);
    if (!disk)
        return xw_error_set(err, ENOENT, "'%s' has no disk '%s' that can be written",
                            subject->name, vdev);
    if (!strcmp(disk->backend, "qdisk"))
        return 0;
    return xw_error_set(err, ENOTSUP,
                        "disk %s: no QEMU is in its path (%s), so nothing can follow what the guest "
                        "writes; make a snapshot of it and copy that ('xenwright snapshot create', "
                        "'snapshot export'), or have it served by QEMU (backendtype=qdisk)",
                        vdev, disk->backend);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *choose_format(const char *wanted, const char *of_disk)
{
    if (wanted)
        return wanted;
    return strcmp(of_disk, "raw") != 0 ? "qcow2" : "raw";
}

static int fill(struct start *start, const struct xw_subject *subject,
                const struct xw_mirror_start *how, struct xw_error *err)
{
    const struct xw_store_disk *disk = find_disk(subject, how->vdev);
    struct xw_mirror *mirror = start->mirror = calloc(1, sizeof(*mirror));

    if (!mirror)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", how->vdev);
    mirror->domain = strdup(subject->name);
    memcpy(mirror->uuid, subject->uuid, sizeof(mirror->uuid));
    mirror->domid = subject->domid;
    mirror->vdev = strdup(how->vdev);
    mirror->path = strdup(disk->path);
    mirror->target = strdup(start->place.text);
    mirror->format = strdup(choose_format(how->format, disk->format));
    mirror->created_ms = now_ms();
    if (mirror->domain && mirror->vdev && mirror->path && mirror->target && mirror->format)
        return xw_random_hex(mirror->id, XW_SNAPSHOT_ID_SIZE - 1, err);
    return xw_error_set(err, ENOMEM, "disk %s: out of memory", how->vdev);
}

/* The node of the disk in QEMU, and how many bytes the guest sees. */
static int look_at_disk(struct start *start, struct xw_error *err)
{
    xw_auto_json json_t *root = NULL;
    struct xw_guest_qemu *qemu;
    const char *node;
    json_t *image;
    int64_t size;
    int rc = xw_mirror_connect(start->mirror, &qemu, err);

    if (rc)
        return rc;
    rc = xw_guest_qemu_disk(qemu, start->mirror->vdev, &root, err);
    xw_guest_qemu_close(qemu);
    if (!rc)
        rc = xw_json_string(root, "QEMU's node", "node-name", &node, err);
    if (!rc)
        rc = xw_json_object(root, "QEMU's node", "image", &image, err);
    if (!rc)
        rc = xw_json_integer(image, "QEMU's image", "virtual-size", 0, INT64_MAX, &size, err);
    if (rc)
        return rc;
    start->size = (uint64_t)size;
    start->node = strdup(node);
    return start->node ? 0 : xw_error_set(err, ENOMEM, "disk %s: out of memory",
                                          start->mirror->vdev);
}

/* The mirror that there is goes on, with the limit that was asked for. */
static int take_up(struct start *start, struct xw_mirror *old, struct xw_error *err)
{
    struct xw_guest_qemu *qemu;
    int rc = 0;

    if (strcmp(old->target, start->place.text) != 0)
        return xw_error_set(err, EBUSY,
                            "disk %s is being mirrored to '%s' already: 'xenwright disk mirror "
                            "stop %s %s' ends that",
                            old->vdev, old->target, old->domain, old->vdev);
    start->running = true;
    if (!start->dry_run && start->place.host && old->state == XW_MIRROR_INTERRUPTED)
        rc = xw_mirror_link_up(old, start->place.host, true, err);
    if (rc || start->dry_run)
        return rc;
    rc = xw_mirror_connect(old, &qemu, err);
    if (rc)
        return rc;
    if (old->limit != start->limit)
        rc = xw_mirror_job_limit(qemu, old, start->limit, err);
    if (!rc && old->state == XW_MIRROR_INTERRUPTED)
        rc = xw_mirror_job_resume(qemu, old, err);
    xw_guest_qemu_close(qemu);
    return rc;
}

/* Those of this disk that there are already: one that runs, and what ended ones have left. */
static int look_at_others(struct start *start, struct xw_error *err)
{
    struct xw_mirror *all, *at, *next;
    int rc = xw_mirror_read_all(start->snapshots, &all, err);

    for (at = rc ? NULL : all, all = NULL; at; at = next) {
        bool same_disk = !strcmp(at->path, start->mirror->path);
        bool same_target = !strcmp(at->target, start->mirror->target);

        next = at->next;
        at->next = NULL;
        if (!rc && (same_disk || same_target))
            rc = xw_mirror_look(start->snapshots, at, err);
        if (!rc && same_target && !same_disk && at->state != XW_MIRROR_ENDED)
            rc = xw_error_set(err, EBUSY, "'%s' is the mirror of disk %s of '%s'", at->target,
                              at->vdev, at->domain);
        else if (!rc && same_disk && at->state != XW_MIRROR_ENDED && !start->running) {
            rc = take_up(start, at, err);
            if (!rc) {
                xw_mirror_free(start->mirror);
                start->mirror = at;
                continue;
            }
        } else if (!rc && (same_disk || same_target)) {
            start->again = start->again || same_target;
            if (!start->dry_run)
                xw_mirror_abandon(start->snapshots, at, NULL);
        }
        xw_mirror_free(at);
    }
    return rc;
}

static int make_job(struct start *start, struct xw_error *err)
{
    struct xw_guest_qemu *qemu;
    int rc = xw_mirror_connect(start->mirror, &qemu, err);

    if (rc)
        return rc;
    rc = xw_mirror_job_start(qemu, start->mirror, start->node,
                             xw_mirror_target_options(start->mirror, &start->place), start->limit,
                             err);
    xw_guest_qemu_close(qemu);
    return rc;
}

static int begin_link(struct start *start, struct xw_error *err)
{
    int rc = xw_mirror_write(start->snapshots, start->mirror, err);

    start->recorded = rc == 0;
    if (!rc && start->place.host)
        rc = xw_mirror_link_up(start->mirror, start->place.host, true, err);
    start->phase = IMAGE;
    xw_operation_report(&start->operation, "making the image", 0, 0);
    return rc ? rc : 1;
}

static int begin_image(struct start *start, struct xw_error *err)
{
    int rc = xw_mirror_target_make(start->mirror, &start->place, start->size, start->again, err);

    start->phase = COPY;
    return rc ? rc : 1;
}

static int begin_waiting(struct start *start, struct xw_error *err)
{
    struct itimerspec often = {.it_value = {.tv_nsec = LOOK_MS * 1000000},
                               .it_interval = {.tv_nsec = LOOK_MS * 1000000}};
    int rc;

    xw_lock_release(&start->lock);
    if (!start->wait)
        return 0;
    start->phase = WAIT;
    timerfd_settime(start->timer, 0, &often, NULL);
    rc = xw_operation_wait_for(&start->operation, start->timer, err);
    return rc ? rc : 1;
}

static int begin_copy(struct start *start, struct xw_error *err)
{
    int rc = make_job(start, err);

    if (rc && !start->again)
        xw_mirror_target_remove(start->mirror, &start->place);
    return rc ? rc : begin_waiting(start, err);
}

static int wait_more(struct start *start, struct xw_error *err)
{
    struct xw_mirror *mirror = start->mirror;
    uint64_t ticks;
    int rc;

    if (read(start->timer, &ticks, sizeof(ticks)) < 0)
        return 1;
    rc = xw_mirror_look(start->snapshots, mirror, err);
    if (rc)
        return rc;
    if (mirror->state == XW_MIRROR_ENDED)
        return xw_error_set(err, EIO, "disk %s: the mirror to '%s' has ended, or its guest has",
                            mirror->vdev, mirror->target);
    if (mirror->state == XW_MIRROR_INTERRUPTED && !mirror->kept)
        return xw_error_set(err, EIO, "disk %s: '%s' cannot be written to any more", mirror->vdev,
                            mirror->target);
    xw_operation_report(&start->operation,
                        mirror->state == XW_MIRROR_INTERRUPTED ? "the target does not answer"
                                                               : "copying",
                        mirror->done, mirror->total);
    return mirror->state != XW_MIRROR_READY;
}

static int take_step(struct start *start, struct xw_error *err)
{
    switch (start->phase) {
    case LINK:
        return begin_link(start, err);
    case IMAGE:
        return begin_image(start, err);
    case COPY:
        return start->running ? begin_waiting(start, err) : begin_copy(start, err);
    case WAIT:
        return wait_more(start, err);
    default:
        return 0;
    }
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct start *start = (struct start *)operation;
    int rc;

    if (operation->cancelled && start->phase != DONE)
        rc = xw_error_set(err, ECANCELED, "disk %s is not mirrored: cancelled",
                          start->mirror->vdev);
    else
        rc = take_step(start, err);
    /* One that was there before stays. */
    if (rc < 0 && start->recorded)
        xw_mirror_abandon(start->snapshots, start->mirror, NULL);
    if (rc == 0 && start->started)
        *start->started = (struct xw_mirror_started){.mirror = start->mirror,
                                                     .running = start->running,
                                                     .again = start->again,
                                                     .remote = start->place.host != NULL};
    return rc;
}

static void release(struct xw_operation *operation)
{
    struct start *start = (struct start *)operation;

    xw_lock_release(&start->lock);
    xw_mirror_free(start->mirror);
    xw_mirror_place_free(&start->place);
    free(start->node);
    if (start->timer >= 0)
        close(start->timer);
}

static const struct xw_operation_class class = {.step = step, .release = release};

static int prepare(struct start *start, const struct xw_mirror_start *how,
                   struct xw_subject *subject, struct xw_error *err)
{
    int rc = xw_mirror_place(how->target, &start->place, err);

    if (!rc)
        rc = xw_subject_find(start->snapshots, how->domain, subject, err);
    if (!rc)
        rc = xw_mirror_check_disk(subject, how->vdev, err);
    if (!rc)
        rc = fill(start, subject, how, err);
    if (!rc && !start->dry_run)
        rc = xw_mirror_lock(start->snapshots, &start->lock, err);
    if (!rc)
        rc = look_at_others(start, err);
    if (!rc && !start->running)
        rc = look_at_disk(start, err);
    if (!rc && !start->running && !start->again && !start->place.host &&
        access(start->place.path, F_OK) == 0)
        rc = xw_error_set(err, EEXIST,
                          "'%s' is there already: remove it first, or choose another name",
                          start->place.text);
    return rc;
}

int xw_mirror_start(struct xw_snapshots *snapshots, const struct xw_mirror_start *how,
                    struct xw_mirror_started *started, struct xw_operation **ret,
                    struct xw_error *err)
{
    struct start *start = calloc(1, sizeof(*start));
    struct xw_subject subject = {0};
    int rc;

    if (!start)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", how->vdev);
    rc = xw_operation_init(&start->operation, &class, err);
    if (rc) {
        free(start);
        return rc;
    }
    start->snapshots = snapshots;
    start->lock = (struct xw_lock)XW_LOCK_INIT;
    start->started = started;
    start->limit = how->limit;
    start->wait = how->wait;
    start->dry_run = how->dry_run;
    start->phase = DONE;
    start->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    rc = start->timer >= 0 ? prepare(start, how, &subject, err) : xw_error_set_errno(err, "a timer");
    xw_subject_free(&subject);
    if (rc) {
        xw_operation_free(&start->operation);
        return rc;
    }
    if (!how->dry_run)
        start->phase = start->running ? COPY : LINK;
    *ret = &start->operation;
    return 0;
}
