/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qcow2 images: a snapshot is the image as it was, under another name; what is written later goes
 * to a new image that stands on it and has taken its name. So the path that libxl knows leads to
 * the present state at every moment, and the format stays.
 *
 *     IMAGE -> IMAGE.xw-2 -> IMAGE.xw-1      after the snapshots 1 and 2
 */
#include "snapshot/stores/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "base/spawn.h"
#include "host/file-users.h"

#define QEMU_IMG_MS 60000
#define LONGEST_CHAIN 1000

/* QEMU opens all images of a chain, and is given 1024 descriptors for all disks of a VM. */
#define DEEPEST 500

/* To the folder of the image, and not a protocol with something behind it. */
static bool is_relative(const char *name)
{
    return name[0] && name[0] != '/' && name[strcspn(name, ":/")] != ':';
}

int xw_qcow2_check_below(const struct xw_store_disk *disk, struct xw_qcow2_header header,
                         struct xw_error *err)
{
    char path[PATH_MAX], below[PATH_MAX];

    if (disk->linked && is_relative(header.backing))
        return xw_error_set(err, ENOTSUP,
                            "disk %s: libxl's name for '%s' is a link in another folder, where QEMU "
                            "looks for what it stands on ('%s'): have 'qemu-img rebase -u' write "
                            "the whole path of that",
                            disk->vdev, disk->path, header.backing);
    snprintf(path, sizeof(path), "%s", disk->path);
    for (int i = 0; header.backing[0]; i++) {
        if (i == DEEPEST)
            return xw_error_set(err, ENOTSUP,
                                "disk %s: '%s' stands on %d images or more, one on another (or on "
                                "itself): delete snapshots of it first",
                                disk->vdev, disk->path, DEEPEST);
        /* What is not a qcow2 image in a file is the last one. */
        if ((header.backing_format[0] && strcmp(header.backing_format, "qcow2") != 0) ||
            !xw_qcow2_backing_path(path, header.backing, below) ||
            xw_qcow2_header_read(below, &header, NULL))
            return 0;
        memcpy(path, below, sizeof(path));
    }
    return 0;
}

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_qcow2_header header;
    struct stat st;
    int rc;

    if (strcmp(disk->format, "qcow2") != 0)
        return -EMEDIUMTYPE;
    if (stat(disk->path, &st) == 0 && !S_ISREG(st.st_mode))
        return xw_error_set(
            err, ENOTSUP,
            "disk %s: '%s' is a qcow2 image that is not in a file: there is no place "
            "beside it for a snapshot",
            disk->vdev, disk->path);
    rc = xw_qcow2_header_read(disk->path, &header, err);
    if (!rc && (header.encrypted || header.external_data))
        return xw_error_set(err, ENOTSUP, "disk %s: '%s' %s: no snapshot of it can be kept",
                            disk->vdev, disk->path,
                            header.encrypted ? "is encrypted" : "keeps its data in another file");
    if (rc) {
        xw_error_prefix(err, "disk %s", disk->vdev);
        return rc;
    }
    disk->size = header.size;
    return xw_qcow2_check_below(disk, header, err);
}

int xw_qcow2_stands_on(const struct xw_store_disk *disk, const char *path, const char *backing,
                       bool *ret, struct xw_error *err)
{
    struct xw_qcow2_header header;
    int rc;

    *ret = false;
    if (access(path, F_OK) < 0)
        return 0;
    rc = xw_qcow2_header_read(path, &header, err);
    if (rc)
        xw_error_prefix(err, "disk %s", disk->vdev);
    else
        *ret = !strcmp(header.backing, backing);
    return rc;
}

static int sync_file(const struct xw_store_disk *disk, const char *path, struct xw_error *err)
{
    xw_auto_close int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0 && fsync(fd) == 0)
        return 0;
    return xw_error_set_errno(err, "disk %s: '%s' cannot be flushed", disk->vdev, path);
}

int xw_qcow2_make_overlay(const struct xw_store_disk *disk, const char *backing, const char *path,
                          struct xw_error *err)
{
    char options[64], size[24];
    const char *const argv[] = {"qemu-img", "create", "-q",    "-u", "-f", "qcow2", "-F", "qcow2",
                                "-b",       backing,  "-o",    options, path, size, NULL};
    const struct xw_spawn spawn = {.argv = argv, .timeout_ms = QEMU_IMG_MS};
    struct xw_qcow2_header header;
    xw_auto_close int fd = -1;
    int rc = xw_qcow2_header_read(backing, &header, err);

    if (rc)
        return rc;
    snprintf(options, sizeof(options), "cluster_size=%u", 1U << header.cluster_bits);
    snprintf(size, sizeof(size), "%" PRIu64, header.size);
    rc = xw_spawn_check(&spawn, NULL, err);
    if (rc) {
        xw_error_prefix(err, "disk %s: a new image on '%s'", disk->vdev, backing);
        return rc;
    }
    xw_kill_point("qcow2/overlay-made");
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, path);
    rc = xw_beside_adopt(disk, fd, err);
    xw_kill_point("qcow2/overlay-ready");
    return rc;
}

/*
 * The image gets its second name, and what will take the first is made. For a guest that runs
 * xw_qcow2_live_add_actions() goes on; for others take does.
 */
static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc = disk->qemu ? xw_qcow2_live_check(disk, err) : 0;

    if (rc)
        return rc;
    xw_beside_name(disk, ".new", fresh);
    if (link(disk->path, disk->data) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot get the name '%s'", disk->vdev,
                                  disk->path, disk->data);
    xw_kill_point("qcow2/linked");
    return xw_qcow2_make_overlay(disk, disk->data, fresh, err);
}

/* A VM that was started just before the rename has opened the old image, and has to keep it. */
static int check_still_idle(const struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_file_user user;
    int rc = xw_file_user(disk->data, &user, err);

    if (rc <= 0)
        return rc ? rc : xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
    return xw_error_set(err, EBUSY, "disk %s: '%s' was opened meanwhile by %s (%d)", disk->vdev,
                        disk->path, user.name, (int)user.pid);
}

static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".new", fresh);
    if (rename(fresh, disk->path) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot take the place of '%s'", disk->vdev,
                                  fresh, disk->path);
    xw_kill_point("qcow2/renamed");
    if (!disk->running)
        return check_still_idle(disk, err);
    return xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
}

static bool late_rename(const struct xw_store_disk *disk, char from[PATH_MAX])
{
    if (disk->late)
        xw_beside_name(disk, ".new", from);
    return disk->late;
}

static int settle(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc = 0;

    /* Cut off between QEMU's transaction and the rename. */
    xw_beside_name(disk, ".new", fresh);
    if (access(fresh, F_OK) == 0)
        rc = take(disk, err);
    if (!rc)
        rc = xw_qcow2_sweep(disk, err);
    if (!rc)
        rc = sync_file(disk, disk->data, err);
    return rc ? rc : xw_file_sync_folder_of(AT_FDCWD, disk->data, err);
}

static int find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    char fresh[PATH_MAX];
    bool stands, empty = true;
    int rc;

    *ret = XW_STORE_NOTHING;
    if (access(disk->data, F_OK) < 0)
        return 0;
    *ret = XW_STORE_PREPARED;
    xw_beside_name(disk, ".new", fresh);
    if (disk->qemu) {
        rc = xw_qcow2_live_find(disk, ret, err);
        /* Written to by a QEMU that has ended, whatever the one of now says: it is not ours to
         * remove. */
        if (!rc && *ret == XW_STORE_PREPARED && access(fresh, F_OK) == 0 &&
            xw_qcow2_is_empty(fresh, &empty, NULL) == 0 && !empty)
            *ret = XW_STORE_TAKEN;
        return rc;
    }
    rc = xw_qcow2_stands_on(disk, disk->path, disk->data, &stands, err);
    if (!rc && !stands && access(fresh, F_OK) == 0) {
        /* Written to already, before it took the image's place: a guest had it. */
        if (xw_qcow2_is_empty(fresh, &empty, NULL) == 0 && !empty)
            *ret = XW_STORE_TAKEN;
        return 0;
    }
    if (rc || !stands)
        return rc;
    rc = xw_qcow2_is_empty(disk->path, &empty, err);
    if (!rc)
        *ret = empty ? XW_STORE_UNUSED : XW_STORE_TAKEN;
    return rc;
}

/* All that stands on it is empty. */
static bool unchanged(const struct xw_store_disk *disk)
{
    struct xw_qcow2_header header;
    char at[PATH_MAX];
    bool empty;

    snprintf(at, sizeof(at), "%s", disk->path);
    for (int i = 0; i < LONGEST_CHAIN; i++) {
        if (!strcmp(at, disk->data))
            return true;
        if (xw_qcow2_is_empty(at, &empty, NULL) || !empty ||
            xw_qcow2_header_read(at, &header, NULL) || header.backing[0] != '/')
            return false;
        snprintf(at, sizeof(at), "%s", header.backing);
    }
    return false;
}

/* The image gets its only name back: from what stands on it, or by the loss of the second one. */
static int put_back(struct xw_store_disk *disk, struct xw_error *err)
{
    struct stat image, data;
    bool stands;
    int rc = xw_qcow2_stands_on(disk, disk->path, disk->data, &stands, err);

    if (rc || stat(disk->data, &data) < 0)
        return rc;
    /* A VM that has just been started writes to what stands on it. */
    if (stands && !disk->running)
        return xw_beside_swap(disk, disk->data, err);
    if (stands && rename(disk->data, disk->path) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be put back to '%s'", disk->vdev,
                                  disk->data, disk->path);
    xw_kill_point("qcow2/put-back");
    if (stands)
        return 0;
    if (stat(disk->path, &image) < 0 || image.st_ino != data.st_ino)
        return xw_error_set(
            err, EBUSY, "disk %s: '%s' does not belong to '%s' as it should; both are left alone",
            disk->vdev, disk->data, disk->path);
    return xw_beside_remove(disk, disk->data, err);
}

static int undo(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc = put_back(disk, err);

    xw_kill_point("qcow2/undoing");
    /* Cut off there: what had stood on it is still to be looked at, and removed. */
    if (!rc && !disk->running)
        rc = xw_beside_swap(disk, disk->data, err);
    xw_beside_name(disk, ".new", fresh);
    if (!rc && disk->qemu)
        rc = xw_qcow2_live_undo(disk, err);
    if (!rc)
        rc = xw_beside_remove(disk, fresh, err);
    if (!rc)
        rc = xw_qcow2_sweep(disk, err);
    return rc ? rc : xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
}

static int revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".revert", fresh);
    rc = xw_beside_remove(disk, fresh, err);
    return rc ? rc : xw_qcow2_make_overlay(disk, disk->data, fresh, err);
}

static int space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err)
{
    struct stat st;

    *ret = (struct xw_snapshot_space){.bytes = UINT64_MAX};
    if (stat(disk->data, &st) == 0)
        ret->bytes = (uint64_t)st.st_blocks * 512;
    else if (errno == ENOENT)
        ret->missing = true;
    else
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->data);
    return 0;
}

const struct xw_store xw_store_qcow2 = {
    .name = "qcow2",
    .purpose = "qcow2 images, by a new image on top of the old one, which keeps the path",
    .claims = claims,
    .place = xw_beside_place,
    .prepare = prepare,
    .take = take,
    .add_actions = xw_qcow2_live_add_actions,
    .late_rename = late_rename,
    .settle = settle,
    .find = find,
    .undo = undo,
    .unchanged = unchanged,
    .revert_prepare = revert_prepare,
    .revert_swap = xw_beside_revert,
    .revert_waits = xw_beside_waits,
    .revert_undo = xw_beside_revert_undo,
    .drop_check = xw_qcow2_drop_check,
    .drop = xw_qcow2_drop,
    .space = space,
};
