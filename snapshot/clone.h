/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that share their blocks (FICLONE, ioctl_ficlonerange(2)), for stores on btrfs and XFS. */
#ifndef XENWRIGHT_SNAPSHOT_CLONE_H
#define XENWRIGHT_SNAPSHOT_CLONE_H

#include "snapshot/store.h"

/* The file, close-on-exec, mode 0600 where it is made; errors name the disk. */
int xw_clone_open(const struct xw_store_disk *disk, const char *path, int flags,
                  struct xw_error *err);

/*
 * Does the image's file system clone? Tried with its first block, on a file without a name.
 * -ENOTSUP.
 */
int xw_clone_try(const struct xw_store_disk *disk, struct xw_error *err);

/*
 * Make `to`, which is empty, fit for a clone of `from`: on btrfs both have to be without
 * copy-on-write ("chattr +C"), or neither. Where that does not work, cloning says so.
 */
void xw_clone_match(int from, int to);

/*
 * `to` becomes a clone of `from`. With O_CREAT in `flags` (of open(2)) it is made, flushed, and
 * gets the image's owner and mode; else it is there, and empty.
 */
int xw_clone_file(const struct xw_store_disk *disk, const char *from, const char *to, int flags,
                  struct xw_error *err);

/*
 * For `space`: missing, or the bytes of disk->data that no other file shares, by the extents that
 * FS_IOC_FIEMAP lists (Linux fiemap.rst).
 */
int xw_clone_space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                   struct xw_error *err);

/* A store's `unchanged`: the image has the very blocks of disk->data, which nobody writes in place. */
bool xw_clone_unchanged(const struct xw_store_disk *disk);

/* A store's revert_prepare: IMAGE.xw-ID.revert is a clone of disk->data. */
int xw_clone_revert_prepare(struct xw_store_disk *disk, struct xw_error *err);

#endif
