/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deleting a snapshot of a qcow2 image: every image that stands on it takes its content over and
 * then stands on what is below, one after another; then it is removed.
 *
 * By whom the content is taken over:
 *   - an image that a guest has open: by the guest's QEMU (block-stream);
 *   - any other: by qemu-img rebase on a copy, which then takes its place. In place, a kill between
 * the new header and the tables that belong to it would lose content; and a VM that is started
 * meanwhile would write to the present state too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "base/spawn.h"
#include "host/file-users.h"
#include "snapshot/stores/qcow2.h"

#define COPY_LOOK_MS 200

/* What the image is to stand on then, and its format; "" for nothing. */
struct below {
    char name[XW_QCOW2_NAME_SIZE], format[16];
};

static int start_rebase(struct xw_store_disk *disk, const char *image, const struct below *below,
                        struct xw_error *err)
{
    const char *const argv[] = {"qemu-img",    "rebase", "-f",        "qcow2", "-F",
                                below->format, "-b",     below->name, image,   NULL};
    const char *const bare[] = {"qemu-img", "rebase", "-f", "qcow2", "-b", "", image, NULL};
    const struct xw_spawn spawn = {.argv = below->name[0] ? argv : bare,
                                   .stderr_fd = XW_SPAWN_INHERIT,
                                   .end_with_parent = SIGTERM};

    int rc = xw_spawn_start(&spawn, &disk->child, err);

    xw_kill_point("qcow2/rebasing");
    return rc;
}

/* 1: it still runs; 0: it has done its work; -EIO: it has not. */
int xw_qcow2_check_child(struct xw_store_disk *disk, struct xw_error *err)
{
    enum xw_spawn_end end;
    int status;
    int rc = xw_child_wait(&disk->child, 0, &end, &status, NULL);

    if (rc == -ETIMEDOUT)
        return 1;
    disk->child = (struct xw_child){0};
    if (!rc && end == XW_SPAWN_EXITED && status == 0)
        return 0;
    return xw_error_set(err, EIO,
                        "disk %s: the content of '%s' could not be taken over (see above); nothing "
                        "is lost, and the deletion can be tried again",
                        disk->vdev, disk->data);
}

/* A program of its own, as its end can be waited for beside other things, and be cancelled. */
int xw_qcow2_start_copy(struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    const char *const argv[] = {"cp",          "--reflink=auto", "--sparse=auto", "--",
                                disk->merging, copy,             NULL};
    const struct xw_spawn spawn = {
        .argv = argv, .stderr_fd = XW_SPAWN_INHERIT, .end_with_parent = SIGTERM};
    int rc = xw_beside_remove(disk, copy, err);

    if (!rc && stat(disk->merging, &disk->seen) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->merging);
    disk->copying = true;
    return rc ? rc : xw_spawn_start(&spawn, &disk->child, err);
}

void xw_qcow2_report_copy(const struct xw_store_disk *disk, const char *copy,
                          struct xw_store_progress *progress)
{
    struct stat st = {0};

    stat(copy, &st);
    *progress = (struct xw_store_progress){.done = (uint64_t)st.st_blocks * 512,
                                           .total = (uint64_t)disk->seen.st_blocks * 512,
                                           .wait_fd = -1,
                                           .wait_ms = COPY_LOOK_MS};
}

int xw_qcow2_adopt_copy(const struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    xw_auto_close int fd = open(copy, O_RDWR | O_CLOEXEC);

    xw_kill_point("qcow2/copied");
    return fd >= 0 ? xw_beside_adopt(disk, fd, err)
                   : xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, copy);
}

int xw_qcow2_sync_copy(const struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    xw_auto_close int fd = open(copy, O_RDWR | O_CLOEXEC);

    if (fd >= 0 && fsync(fd) == 0)
        return 0;
    return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, copy);
}

/* A VM may have been started since the copy was made, and have ended by now. */
int xw_qcow2_check_unchanged(const struct xw_store_disk *disk, struct xw_error *err)
{
    struct stat now;

    if (stat(disk->merging, &now) == 0 && now.st_ino == disk->seen.st_ino &&
        now.st_size == disk->seen.st_size && now.st_mtim.tv_sec == disk->seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == disk->seen.st_mtim.tv_nsec)
        return 0;
    return xw_error_set(
        err, EBUSY,
        "disk %s: '%s' was written to meanwhile, and is left as it is; the deletion can be "
        "tried again",
        disk->vdev, disk->merging);
}

/* Nobody writes to another snapshot's image; who has it open goes on with the old file, which reads
 * alike. */
static int replace(const struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    if (!strcmp(disk->merging, disk->path))
        return xw_beside_swap(disk, copy, err);
    if (rename(copy, disk->merging) == 0)
        return xw_file_sync_folder_of(AT_FDCWD, disk->merging, err);
    return xw_error_set_errno(err, "disk %s: '%s' cannot take the place of '%s'", disk->vdev, copy,
                              disk->merging);
}

/*
 * The format of what is below has to be written into the image again: QEMU would guess it
 * otherwise, and a guest can make a raw image look like any other. An older image may lack it; then
 * it is a qcow2 image, or somebody has to say what it is.
 */
static int find_below(const struct xw_store_disk *disk, struct below *ret, struct xw_error *err)
{
    struct xw_qcow2_header header, other;
    char path[PATH_MAX];
    int rc = xw_qcow2_header_read(disk->data, &header, err);

    if (rc)
        return rc;
    memcpy(ret->name, header.backing, sizeof(ret->name));
    memcpy(ret->format, header.backing_format, sizeof(ret->format));
    if (!ret->name[0] || ret->format[0])
        return 0;
    if (!xw_qcow2_backing_path(disk->data, ret->name, path))
        return xw_error_set(err, ENAMETOOLONG, "disk %s: '%.80s...'", disk->vdev, path);
    if (xw_qcow2_header_read(path, &other, NULL))
        return xw_error_set(err, ENOTSUP,
                            "disk %s: '%s' stands on '%s' and does not say of what format that is: "
                            "'qemu-img rebase -u -F FORMAT' it first",
                            disk->vdev, disk->data, ret->name);
    memcpy(ret->format, "qcow2", sizeof("qcow2"));
    return 0;
}

static int start_merge(struct xw_store_disk *disk, const char *child,
                       struct xw_store_progress *progress, struct xw_error *err)
{
    char copy[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".new", copy);
    snprintf(disk->merging, sizeof(disk->merging), "%s", child);
    rc = xw_qcow2_start_copy(disk, copy, err);
    xw_qcow2_report_copy(disk, copy, progress);
    return rc ? rc : 1;
}

/* The copy is there: what is to stand on something else is the copy. */
static int go_on_copied(struct xw_store_disk *disk, const char *copy,
                        struct xw_store_progress *progress, struct xw_error *err)
{
    struct below below;
    int rc = xw_qcow2_adopt_copy(disk, copy, err);

    disk->copying = false;
    if (!rc)
        rc = find_below(disk, &below, err);
    if (!rc)
        rc = start_rebase(disk, copy, &below, err);
    progress->wait_fd = disk->child.pidfd;
    return rc ? rc : 1;
}

/* The copy is from when the image was written to last; see was_written. */
static int date_copy(const struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, disk->seen.st_mtim};

    if (utimensat(AT_FDCWD, copy, times, 0) == 0)
        return 0;
    return xw_error_set_errno(err, "disk %s: the time of '%s'", disk->vdev, copy);
}

static int go_on_rebased(struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    int rc;

    xw_kill_point("qcow2/rebased");
    rc = date_copy(disk, copy, err);
    if (!rc)
        rc = xw_qcow2_sync_copy(disk, copy, err);
    xw_kill_point("qcow2/copy-synced");
    if (!rc)
        rc = xw_qcow2_check_unchanged(disk, err);
    return rc ? rc : replace(disk, copy, err);
}

static int go_on_merging(struct xw_store_disk *disk, struct xw_store_progress *progress,
                         struct xw_error *err)
{
    char copy[PATH_MAX];
    int rc = xw_qcow2_check_child(disk, err);

    xw_beside_name(disk, ".new", copy);
    if (rc == 1 && disk->copying)
        xw_qcow2_report_copy(disk, copy, progress);
    else if (rc == 1)
        progress->wait_fd = disk->child.pidfd;
    else if (!rc)
        rc = disk->copying ? go_on_copied(disk, copy, progress, err)
                           : go_on_rebased(disk, copy, err);
    if (rc < 0)
        xw_beside_unswap(disk, copy, NULL);
    return rc ? rc : 1;
}

/*
 * A kill while the copy took the image's place may have left the old image, or the copy under its
 * former name where the image was put back. The copy itself is of no use after a kill: the VM may
 * have run since.
 */
int xw_qcow2_finish_swap(const struct xw_store_disk *disk, struct xw_error *err)
{
    char copy[PATH_MAX];

    xw_beside_name(disk, ".new", copy);
    return access(copy, F_OK) == 0 ? xw_beside_unswap(disk, copy, err)
                                   : xw_beside_swap(disk, copy, err);
}

/*
 * Since it has got or lost a name, or another time? All of them change the one of the inode; a
 * write sets both to the same.
 */
static bool was_written(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_mtim.tv_sec == st.st_ctim.tv_sec &&
           st.st_mtim.tv_nsec == st.st_ctim.tv_nsec;
}

/*
 * A kill came after the copy had taken the image's place, and before it was looked who has the old
 * image open. A VM that had opened that just before has written to it, and has ended by now: that
 * is the present state. Where somebody has it open still, xw_beside_swap sees to it.
 */
static int put_back_written(const struct xw_store_disk *disk, struct xw_error *err)
{
    char old[PATH_MAX], copy[PATH_MAX];

    xw_beside_name(disk, ".old", old);
    xw_beside_name(disk, ".new", copy);
    if (access(copy, F_OK) == 0 || !was_written(old) || xw_file_user(old, NULL, NULL) > 0)
        return 0;
    if (was_written(disk->path) || xw_file_user(disk->path, NULL, NULL) > 0)
        return xw_error_set(err, EBUSY,
                            "disk %s: a VM has written to '%s', and one to '%s', which was in its "
                            "place before: keep the right one there, and move the other away",
                            disk->vdev, disk->path, old);
    if (rename(old, disk->path) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be put back to '%s'", disk->vdev, old,
                                  disk->path);
    return xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
}

static int refuse_stranger(const struct xw_store_disk *disk, const char *child,
                           struct xw_error *err)
{
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' has been made on top of '%s', by somebody else: it would be "
                        "worth nothing without that; remove or rebase it first",
                        disk->vdev, child, disk->data);
}

/* A guest has it open that is not the one of this VM: it can only be left alone. */
static int check_user(const struct xw_store_disk *disk, const char *child, bool *open,
                      struct xw_error *err)
{
    struct xw_file_user user;
    int rc = xw_file_user(child, &user, err);

    *open = rc > 0;
    if (rc < 0 || !*open || disk->running)
        return rc < 0 ? rc : 0;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' is open in %s (%d), and no domain is known for it",
                        disk->vdev, child, user.name, (int)user.pid);
}

static int merge(struct xw_store_disk *disk, const char *child,
                 struct xw_store_progress *progress, struct xw_error *err)
{
    struct below below;
    bool open;
    int rc = find_below(disk, &below, err);

    if (!rc)
        rc = check_user(disk, child, &open, err);
    if (rc)
        return rc;
    return open ? xw_qcow2_live_start(disk, child, below.name, progress, err)
                : start_merge(disk, child, progress, err);
}

/* Those of QEMU itself, made before ours: they are in the image that is removed in the end. */
static int check_internal(const struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_qcow2_header header;
    int rc = xw_qcow2_header_read(disk->data, &header, err);

    if (rc || header.snapshots == 0)
        return rc;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' holds %" PRIu32
                        " snapshots made by 'qemu-img snapshot', which "
                        "would be lost with it: delete those first ('qemu-img snapshot -d')",
                        disk->vdev, disk->data, header.snapshots);
}

int xw_qcow2_drop_check(struct xw_store_disk *disk, struct xw_error *err)
{
    char child[PATH_MAX] = "";
    int rc;

    if (access(disk->data, F_OK) < 0 && errno == ENOENT)
        return 0;
    rc = check_internal(disk, err);
    if (!rc)
        rc = xw_qcow2_find_child(disk, child, err);
    if (rc || !child[0] || xw_qcow2_is_ours(disk, child))
        return rc;
    return refuse_stranger(disk, child, err);
}

int xw_qcow2_drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                  struct xw_error *err)
{
    char child[PATH_MAX], left[PATH_MAX];
    int rc;

    *progress = (struct xw_store_progress){.wait_fd = -1};
    if (access(disk->data, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (disk->child.pid)
        return go_on_merging(disk, progress, err);
    rc = disk->qemu ? xw_qcow2_live_go_on(disk, progress, err) : 0;
    if (!rc)
        rc = check_internal(disk, err);
    if (!rc)
        rc = put_back_written(disk, err);
    if (!rc)
        rc = xw_qcow2_finish_swap(disk, err);
    if (!rc)
        rc = xw_qcow2_find_child(disk, child, err);
    if (rc)
        return rc;
    if (child[0])
        return xw_qcow2_is_ours(disk, child) ? merge(disk, child, progress, err)
                                    : refuse_stranger(disk, child, err);
    xw_beside_name(disk, ".new", left);
    rc = xw_beside_remove(disk, left, err);
    xw_beside_name(disk, ".old", left);
    if (!rc)
        rc = xw_beside_remove(disk, left, err);
    if (!rc)
        rc = xw_beside_remove(disk, disk->data, err);
    if (!rc)
        rc = xw_qcow2_sweep(disk, err);
    xw_kill_point("qcow2/dropped");
    return rc ? rc : xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
}
