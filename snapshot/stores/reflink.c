/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw images on file systems that share blocks between files (btrfs, XFS): a snapshot is a clone of
 * the file (FICLONE, ioctl_ficlonerange(2)), which flushes what is dirty of it first. Clones do not
 * depend on each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "snapshot/beside.h"
#include "snapshot/clone.h"

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    struct stat st;

    if (strcmp(disk->format, "raw") != 0 || stat(disk->path, &st) < 0 || !S_ISREG(st.st_mode))
        return -EMEDIUMTYPE;
    disk->size = (uint64_t)st.st_size;
    return st.st_size < 4096 ? 0 : xw_clone_try(disk, err);
}

/* An empty file for the clone; what is dirty now is written now, not while the guest stands still.
 */
static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_close int from = xw_clone_open(disk, disk->path, O_RDONLY, err);
    xw_auto_close int to = -1;
    char fresh[PATH_MAX];

    if (from < 0)
        return from;
    xw_beside_name(disk, ".new", fresh);
    to = xw_clone_open(disk, fresh, O_WRONLY | O_CREAT | O_EXCL, err);
    if (to < 0)
        return to;
    xw_clone_match(from, to);
    xw_kill_point("reflink/created");
    if (fdatasync(from) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be flushed", disk->vdev, disk->path);
    return xw_beside_adopt(disk, to, err);
}

static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".new", fresh);
    return xw_clone_file(disk, disk->path, fresh, 0, err);
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

static int drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err)
{
    (void)progress;
    return undo(disk, err);
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
    .unchanged = xw_clone_unchanged,
    .revert_prepare = xw_clone_revert_prepare,
    .revert_swap = xw_beside_revert,
    .revert_waits = xw_beside_waits,
    .revert_undo = xw_beside_revert_undo,
    .drop = drop,
    .space = xw_clone_space,
};
