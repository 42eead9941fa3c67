/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw images in a btrfs subvolume of their own: a snapshot is a read-only snapshot of the
 * subvolume, beside it.
 *
 *     FOLDER/IMAGE -> FOLDER.xw-ID/IMAGE
 *
 * What that has over a clone of each file (the store "reflink"): it takes the same short time
 * however many pieces an image is in, while the guest stands still for it; all images in the
 * subvolume are of one point in time; and "btrfs send" can send it.
 *
 * A revert clones the image back out of the snapshot. The whole subvolume in place of the present
 * one would put back whatever else is in it, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "snapshot/beside.h"
#include "snapshot/clone.h"

/* Of the inode of each subvolume's topmost folder (btrfs-ioctl(2), BTRFS_FIRST_FREE_OBJECTID). */
#define SUBVOLUME_INODE 256

/* A folder of images. With more it is likely one for other things. */
#define MOST_FILES 256

/* Of the disk's path: FOLDER, and what is above it. Both end in no slash, but for "/" itself. */
struct place {
    char folder[PATH_MAX], above[PATH_MAX];
    const char *name, *image; /* of the folder, in `folder`; of the image, in the disk's path */
};

static void find_place(const struct xw_store_disk *disk, struct place *ret)
{
    char *slash;

    ret->image = strrchr(disk->path, '/') + 1;
    snprintf(ret->folder, sizeof(ret->folder), "%.*s", (int)(ret->image - disk->path - 1),
             disk->path);
    memcpy(ret->above, ret->folder, sizeof(ret->above));
    slash = strrchr(ret->above, '/');
    if (slash)
        slash[slash == ret->above] = '\0';
    ret->name = slash ? strrchr(ret->folder, '/') + 1 : "";
}

static bool is_btrfs(int fd, uint8_t id[BTRFS_FSID_SIZE])
{
    struct btrfs_ioctl_fs_info_args info = {0};
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0 || fs.f_type != BTRFS_SUPER_MAGIC ||
        ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
        return false;
    memcpy(id, info.fsid, BTRFS_FSID_SIZE);
    return true;
}

/* A subvolume, which a snapshot can stand beside: one that is mounted has nothing beside it. */
static bool is_subvolume(const struct place *place)
{
    uint8_t id[BTRFS_FSID_SIZE], above_id[BTRFS_FSID_SIZE];
    xw_auto_close int fd = open(place->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_close int above = open(place->above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statx stx;

    return place->name[0] && fd >= 0 && above >= 0 &&
           statx(fd, "", AT_EMPTY_PATH, STATX_INO, &stx) == 0 && stx.stx_ino == SUBVOLUME_INODE &&
           stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT &&
           !(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) && is_btrfs(fd, id) &&
           is_btrfs(above, above_id) && !memcmp(id, above_id, sizeof(id));
}

/* Files only: what else there is would be kept by each snapshot, and take space. */
static bool holds_files_only(const char *folder)
{
    xw_auto_closedir DIR *dir = opendir(folder);
    struct dirent *entry;
    int files = 0;

    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (entry->d_type != DT_REG || ++files > MOST_FILES)
            return false;
    }
    return dir;
}

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    struct place place;
    struct stat st;

    (void)err;
    if (strcmp(disk->format, "raw") != 0 || stat(disk->path, &st) < 0 || !S_ISREG(st.st_mode))
        return -EMEDIUMTYPE;
    find_place(disk, &place);
    if (!is_subvolume(&place) || !holds_files_only(place.folder))
        return -EMEDIUMTYPE;
    disk->size = (uint64_t)st.st_size;
    return 0;
}

/* The names that a revert needs beside the image, and those of the snapshot. */
static int place(struct xw_store_disk *disk, struct xw_error *err)
{
    struct place at;
    int rc = xw_beside_place(disk, err);

    if (rc)
        return rc;
    find_place(disk, &at);
    if (strlen(at.name) + strlen(".xw-") + strlen(disk->id) > NAME_MAX ||
        snprintf(disk->data, sizeof(disk->data), "%s.xw-%s/%s", at.folder, disk->id, at.image) >=
            PATH_MAX)
        return xw_error_set(err, ENAMETOOLONG,
                            "disk %s: the name of its folder is too long to keep a snapshot beside "
                            "it: '%.80s...'",
                            disk->vdev, at.folder);
    return 0;
}

/* What is dirty now is written now, not while the guest stands still. */
static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_close int fd = xw_clone_open(disk, disk->path, O_RDONLY, err);

    if (fd < 0)
        return fd;
    if (fdatasync(fd) < 0)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be flushed", disk->vdev, disk->path);
    return 0;
}

static int open_above(const struct xw_store_disk *disk, const struct place *at,
                      struct xw_error *err)
{
    int fd = open(at->above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 ? fd : xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, at->above);
}

/* One for all images of the subvolume: the first disk that is taken makes it. */
static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    struct btrfs_ioctl_vol_args_v2 args = {.flags = BTRFS_SUBVOL_RDONLY};
    struct place at;
    xw_auto_close int above = -1;
    xw_auto_close int folder = -1;

    find_place(disk, &at);
    above = open_above(disk, &at, err);
    if (above < 0)
        return above;
    folder = open(at.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, at.folder);
    args.fd = folder;
    snprintf(args.name, sizeof(args.name), "%.*s.xw-%s", NAME_MAX, at.name, disk->id);
    if (ioctl(above, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0 &&
        !(errno == EEXIST && access(disk->data, F_OK) == 0))
        return xw_error_set_errno(err, "disk %s: a snapshot of the subvolume '%s'", disk->vdev,
                                  at.folder);
    xw_kill_point("btrfs/taken");
    return 0;
}

/* The kernel has committed it by then. */
static int settle(struct xw_store_disk *disk, struct xw_error *err)
{
    if (access(disk->data, F_OK) == 0)
        return 0;
    return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->data);
}

static int find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    (void)err;
    *ret = access(disk->data, F_OK) == 0 ? XW_STORE_TAKEN : XW_STORE_NOTHING;
    return 0;
}

/* With it go the images of the other disks in it, which are dropped with this one. */
static int undo(struct xw_store_disk *disk, struct xw_error *err)
{
    struct btrfs_ioctl_vol_args args = {0};
    struct place at;
    xw_auto_close int above = -1;

    find_place(disk, &at);
    above = open_above(disk, &at, err);
    if (above < 0)
        return above;
    snprintf(args.name, sizeof(args.name), "%.*s.xw-%s", NAME_MAX, at.name, disk->id);
    if (ioctl(above, BTRFS_IOC_SNAP_DESTROY, &args) < 0 && errno != ENOENT)
        return xw_error_set_errno(err, "disk %s: the subvolume '%s/%s' cannot be removed",
                                  disk->vdev, at.above, args.name);
    xw_kill_point("btrfs/removed");
    if (fsync(above) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, at.above);
    return 0;
}

static int drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err)
{
    (void)progress;
    return undo(disk, err);
}

const struct xw_store xw_store_btrfs_subvolume = {
    .name = "btrfs-subvolume",
    .purpose = "raw images in a btrfs subvolume of their own, by snapshots of that",
    .claims = claims,
    .place = place,
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
