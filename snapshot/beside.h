/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files beside an image, for the stores that keep images as files. For the image IMAGE and the
 * snapshot ID:
 *
 *     IMAGE.xw-ID          the snapshot's content
 *     IMAGE.xw-ID.new      being made, for 'create'
 *     IMAGE.xw-ID.revert   being made, for 'revert'
 *     IMAGE.xw-ID.old      what was at IMAGE, until it is certain that nobody opened it meanwhile
 */
#ifndef XENWRIGHT_SNAPSHOT_BESIDE_H
#define XENWRIGHT_SNAPSHOT_BESIDE_H

#include <sys/stat.h>

#include "snapshot/store.h"

/* Fill disk->data. -ENAMETOOLONG. */
int xw_beside_place(struct xw_store_disk *disk, struct xw_error *err);

/* IMAGE.xw-ID with an ending (".new"): where place went well there is room for all of them. */
void xw_beside_name(const struct xw_store_disk *disk, const char *ending, char out[PATH_MAX]);

/* Owner, group and mode of the image, for a file that will be in its place. */
int xw_beside_adopt(const struct xw_store_disk *disk, int fd, struct xw_error *err);

/* unlink(2), where a file that is not there is fine. */
int xw_beside_remove(const struct xw_store_disk *disk, const char *path, struct xw_error *err);

/* Are these two names of one file? A symbolic link is none of a file's names. */
bool xw_beside_is_one_file(const char *a, const char *b);

/*
 * Put `fresh` in place of the image. Where no guest runs on it and one is started at just that
 * moment, all is put back and the result is -EBUSY: the guest goes on with what it has opened.
 * `fresh` gone already is fine: then it was put there before.
 */
int xw_beside_swap(const struct xw_store_disk *disk, const char *fresh, struct xw_error *err);

/* `fresh` is not to take the image's place, which it has not done yet: all about it is removed. */
int xw_beside_unswap(const struct xw_store_disk *disk, const char *fresh, struct xw_error *err);

/* For revert_waits: is there an IMAGE.xw-ID.revert? */
bool xw_beside_waits(const struct xw_store_disk *disk);

/* IMAGE.xw-ID.revert takes the image's place; or it is removed. As a store's revert_swap and
 * revert_undo. */
int xw_beside_revert(struct xw_store_disk *disk, struct xw_error *err);
int xw_beside_revert_undo(struct xw_store_disk *disk, struct xw_error *err);

#endif
