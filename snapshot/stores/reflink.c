/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw images on file systems that share blocks between files (btrfs, XFS): a snapshot is a clone of
 * the file (FICLONE, ioctl_ficlonerange(2)), which flushes what is dirty of it first. Clones do not
 * depend on each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "snapshot/beside.h"

static int open_image(const struct xw_store_disk *disk, const char *path, int flags,
                      struct xw_error *err)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd >= 0 ? fd : xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, path);
}

/* Does this file system clone? Tried with the first block, on a file without a name. */
static int try_clone(const struct xw_store_disk *disk, int fd, struct xw_error *err)
{
    char folder[PATH_MAX];
    struct file_clone_range range = {.src_fd = fd, .src_length = 4096};
    xw_auto_close int to = -1;

    memcpy(folder, disk->path, strlen(disk->path) + 1);
    *strrchr(folder, '/') = '\0';
    to = open(folder[0] ? folder : "/", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (to >= 0 && ioctl(to, FICLONERANGE, &range) == 0)
        return 0;
    if (to < 0 && errno != EOPNOTSUPP)
        return xw_error_set_errno(err, "disk %s: a file in '%s'", disk->vdev, folder);
    return xw_error_set(err, ENOTSUP,
                        "disk %s: '%s' is a raw file on a file system without reflinks: move it to "
                        "btrfs or XFS or to a thin LV, or make it qcow2 by 'xenwright snapshot "
                        "convert'",
                        disk->vdev, disk->path);
}

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_close int fd = -1;
    struct stat st;

    if (strcmp(disk->format, "raw") != 0 || stat(disk->path, &st) < 0 || !S_ISREG(st.st_mode))
        return -EMEDIUMTYPE;
    fd = open_image(disk, disk->path, O_RDONLY, err);
    if (fd < 0)
        return fd;
    disk->size = (uint64_t)st.st_size;
    return st.st_size < 4096 ? 0 : try_clone(disk, fd, err);
}

/* An empty file for the clone; what is dirty now is written now, not while the guest stands still.
 */
static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_close int from = open_image(disk, disk->path, O_RDONLY, err);
    xw_auto_close int to = -1;
    char fresh[PATH_MAX];

    if (from < 0)
        return from;
    xw_beside_name(disk, ".new", fresh);
    to = open_image(disk, fresh, O_WRONLY | O_CREAT | O_EXCL, err);
    if (to < 0)
        return to;
    xw_kill_point("reflink/created");
    if (fdatasync(from) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be flushed", disk->vdev, disk->path);
    return xw_beside_adopt(disk, to, err);
}

static int clone_to(const struct xw_store_disk *disk, const char *from, const char *to, int flags,
                    struct xw_error *err)
{
    xw_auto_close int in = open_image(disk, from, O_RDONLY, err);
    xw_auto_close int out = -1;

    if (in < 0)
        return in;
    out = open_image(disk, to, O_WRONLY | flags, err);
    if (out < 0)
        return out;
    if (ioctl(out, FICLONE, in) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be cloned to '%s'", disk->vdev, from,
                                  to);
    xw_kill_point("reflink/cloned");
    if (!(flags & O_CREAT))
        return 0;
    if (fsync(out) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, to);
    return xw_beside_adopt(disk, out, err);
}

static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".new", fresh);
    return clone_to(disk, disk->path, fresh, 0, err);
}

static int settle(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_close int fd = -1;
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".new", fresh);
    fd = open(fresh, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && access(disk->data, F_OK) == 0)
        return 0;
    if (fd < 0 || fsync(fd) < 0 || rename(fresh, disk->data) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be kept", disk->vdev, fresh);
    xw_kill_point("reflink/renamed");
    return xw_file_sync_folder_of(AT_FDCWD, disk->data, err);
}

static int find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    char fresh[PATH_MAX];

    (void)err;
    xw_beside_name(disk, ".new", fresh);
    if (access(disk->data, F_OK) == 0)
        *ret = XW_STORE_TAKEN;
    else
        *ret = access(fresh, F_OK) == 0 ? XW_STORE_PREPARED : XW_STORE_NOTHING;
    return 0;
}

static int undo(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".new", fresh);
    rc = xw_beside_remove(disk, fresh, err);
    if (!rc)
        rc = xw_beside_remove(disk, disk->data, err);
    xw_kill_point("reflink/removed");
    return rc ? rc : xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
}

static int revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".revert", fresh);
    rc = xw_beside_remove(disk, fresh, err);
    return rc ? rc : clone_to(disk, disk->data, fresh, O_CREAT | O_EXCL, err);
}

static int drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err)
{
    (void)progress;
    return undo(disk, err);
}

/* What no other file shares with it, by the extents that FS_IOC_FIEMAP lists (Linux fiemap.rst). */
static uint64_t own_bytes(int fd)
{
    union {
        struct fiemap map;
        char room[sizeof(struct fiemap) + 128 * sizeof(struct fiemap_extent)];
    } list;
    uint64_t bytes = 0, at = 0;

    for (;;) {
        memset(&list, 0, sizeof(list));
        list.map.fm_start = at;
        list.map.fm_length = UINT64_MAX - at;
        list.map.fm_extent_count = 128;
        if (ioctl(fd, FS_IOC_FIEMAP, &list.map) < 0)
            return UINT64_MAX;
        for (uint32_t i = 0; i < list.map.fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &list.map.fm_extents[i];

            bytes += extent->fe_flags & FIEMAP_EXTENT_SHARED ? 0 : extent->fe_length;
            at = extent->fe_logical + extent->fe_length;
            if (extent->fe_flags & FIEMAP_EXTENT_LAST)
                return bytes;
        }
        if (!list.map.fm_mapped_extents)
            return bytes;
    }
}

static int space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err)
{
    xw_auto_close int fd = open(disk->data, O_RDONLY | O_CLOEXEC);

    *ret = (struct xw_snapshot_space){.bytes = UINT64_MAX};
    if (fd < 0 && errno != ENOENT)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->data);
    if (fd < 0)
        ret->missing = true;
    else
        ret->bytes = own_bytes(fd);
    return 0;
}

const struct xw_store xw_store_reflink = {
    .name = "reflink",
    .purpose = "raw images on btrfs and XFS, by clones of the file",
    .claims = claims,
    .place = xw_beside_place,
    .prepare = prepare,
    .take = take,
    .settle = settle,
    .find = find,
    .undo = undo,
    .revert_prepare = revert_prepare,
    .revert_swap = xw_beside_revert,
    .revert_waits = xw_beside_waits,
    .revert_undo = xw_beside_revert_undo,
    .drop = drop,
    .space = space,
};
