/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/killpoint.h"
#include "snapshot/beside.h"

int xw_clone_open(const struct xw_store_disk *disk, const char *path, int flags,
                  struct xw_error *err)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd >= 0 ? fd : xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, path);
}

void xw_clone_match(int from, int to)
{
    int flags, others;

    if (ioctl(from, FS_IOC_GETFLAGS, &flags) == 0 && ioctl(to, FS_IOC_GETFLAGS, &others) == 0 &&
        (flags & FS_NOCOW_FL) != (others & FS_NOCOW_FL)) {
        others ^= FS_NOCOW_FL;
        ioctl(to, FS_IOC_SETFLAGS, &others);
    }
}

int xw_clone_try(const struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_close int from = xw_clone_open(disk, disk->path, O_RDONLY, err);
    struct file_clone_range range = {.src_fd = from, .src_length = 4096};
    xw_auto_close int to = -1;
    char folder[PATH_MAX];

    if (from < 0)
        return from;
    memcpy(folder, disk->path, strlen(disk->path) + 1);
    *strrchr(folder, '/') = '\0';
    to = open(folder[0] ? folder : "/", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (to >= 0)
        xw_clone_match(from, to);
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

int xw_clone_file(const struct xw_store_disk *disk, const char *from, const char *to, int flags,
                  struct xw_error *err)
{
    xw_auto_close int in = xw_clone_open(disk, from, O_RDONLY, err);
    xw_auto_close int out = -1;

    if (in < 0)
        return in;
    out = xw_clone_open(disk, to, O_WRONLY | flags, err);
    if (out < 0)
        return out;
    if (flags & O_CREAT)
        xw_clone_match(in, out);
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

/* The next extents of a file from `at` on, as FS_IOC_FIEMAP lists them (Linux fiemap.rst). */
union extents {
    struct fiemap map;
    char room[sizeof(struct fiemap) + 128 * sizeof(struct fiemap_extent)];
};

static int list_extents(int fd, uint64_t at, uint32_t flags, union extents *list)
{
    memset(list, 0, sizeof(*list));
    list->map.fm_start = at;
    list->map.fm_length = UINT64_MAX - at;
    list->map.fm_flags = flags;
    list->map.fm_extent_count = 128;
    return ioctl(fd, FS_IOC_FIEMAP, &list->map) < 0 ? -errno : 0;
}

static uint64_t own_bytes(int fd)
{
    union extents list;
    uint64_t bytes = 0, at = 0;

    for (;;) {
        if (list_extents(fd, at, 0, &list))
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

int xw_clone_space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
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

int xw_clone_revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".revert", fresh);
    rc = xw_beside_remove(disk, fresh, err);
    return rc ? rc : xw_clone_file(disk, disk->data, fresh, O_CREAT | O_EXCL, err);
}

/* The same blocks of the device, and these hold the data as it is. */
static bool same_extent(const struct fiemap_extent *a, const struct fiemap_extent *b)
{
    const uint32_t fine = FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_MERGED;

    return a->fe_logical == b->fe_logical && a->fe_physical == b->fe_physical &&
           a->fe_length == b->fe_length && !((a->fe_flags | b->fe_flags) & ~fine);
}

/* Blocks that are shared are never written in place: both files have the same ones. */
static bool share_all(int a, int b)
{
    union extents of_a, of_b;
    uint64_t at = 0;

    for (;;) {
        if (list_extents(a, at, FIEMAP_FLAG_SYNC, &of_a) ||
            list_extents(b, at, FIEMAP_FLAG_SYNC, &of_b) ||
            of_a.map.fm_mapped_extents != of_b.map.fm_mapped_extents)
            return false;
        for (uint32_t i = 0; i < of_a.map.fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &of_a.map.fm_extents[i];

            if (!same_extent(extent, &of_b.map.fm_extents[i]))
                return false;
            at = extent->fe_logical + extent->fe_length;
        }
        if (of_a.map.fm_mapped_extents == 0 ||
            of_a.map.fm_extents[of_a.map.fm_mapped_extents - 1].fe_flags & FIEMAP_EXTENT_LAST)
            return true;
    }
}

bool xw_clone_unchanged(const struct xw_store_disk *disk)
{
    xw_auto_close int now = open(disk->path, O_RDONLY | O_CLOEXEC);
    xw_auto_close int then = open(disk->data, O_RDONLY | O_CLOEXEC);
    struct stat a, b;

    return now >= 0 && then >= 0 && fstat(now, &a) == 0 && fstat(then, &b) == 0 &&
           a.st_size == b.st_size && share_all(now, then);
}
