/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the store "qcow2" share. */
#ifndef XENWRIGHT_SNAPSHOT_STORES_QCOW2_H
#define XENWRIGHT_SNAPSHOT_STORES_QCOW2_H

#include "snapshot/beside.h"
#include "snapshot/qcow2-header.h"

/* Does the image at `path` stand on `backing`? An image that is not there does not. */
int xw_qcow2_stands_on(const struct xw_store_disk *disk, const char *path, const char *backing,
                       bool *ret, struct xw_error *err);

/* qemu-img create: an empty image on `backing`, which is not opened, with the image's owner and
 * mode. */
int xw_qcow2_make_overlay(const struct xw_store_disk *disk, const char *backing, const char *path,
                          struct xw_error *err);

/*
 * qcow2-names.c: names for a QEMU that cannot be told another one (see there). The name by which
 * such a QEMU has opened, or is to open, the image that stands on disk->data.
 */
void xw_qcow2_live_name(const struct xw_store_disk *disk, char out[PATH_MAX]);

/* Remove those of this disk that no QEMU has open any more. */
int xw_qcow2_sweep(const struct xw_store_disk *disk, struct xw_error *err);

/*
 * qcow2-live.c: under a running guest, through disk->qemu. check: -EBUSY where that has the image
 * open twice, or has another one open.
 */
int xw_qcow2_live_check(const struct xw_store_disk *disk, struct xw_error *err);
int xw_qcow2_live_add_actions(struct xw_store_disk *disk, json_t *actions, struct xw_error *err);
int xw_qcow2_live_find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err);
int xw_qcow2_live_undo(struct xw_store_disk *disk, struct xw_error *err);

/*
 * Begin to bring the content of disk->data to the image at `child`, which the guest has open, so
 * that it stands on `below` ("": on nothing). 1: begun.
 */
int xw_qcow2_live_start(struct xw_store_disk *disk, const char *child, const char *below,
                        struct xw_store_progress *progress, struct xw_error *err);

/* Go on with what was begun. 1: it goes on, or has ended just now; 0: there is nothing. */
int xw_qcow2_live_go_on(struct xw_store_disk *disk, struct xw_store_progress *progress,
                        struct xw_error *err);

/* qcow2-drop.c */
int xw_qcow2_drop_check(struct xw_store_disk *disk, struct xw_error *err);
int xw_qcow2_drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                  struct xw_error *err);

/*
 * A copy of the image disk->merging by a program of its own, disk->child; disk->seen becomes what
 * the image was. How far it is; whether the program runs (1), has done its work (0) or has failed;
 * then the copy gets the image's owner and mode, and is flushed once it is changed.
 */
int xw_qcow2_start_copy(struct xw_store_disk *disk, const char *copy, struct xw_error *err);
void xw_qcow2_report_copy(const struct xw_store_disk *disk, const char *copy,
                          struct xw_store_progress *progress);
int xw_qcow2_check_child(struct xw_store_disk *disk, struct xw_error *err);
int xw_qcow2_adopt_copy(const struct xw_store_disk *disk, const char *copy, struct xw_error *err);
int xw_qcow2_sync_copy(const struct xw_store_disk *disk, const char *copy, struct xw_error *err);

/* -EBUSY: disk->merging is no longer what it was when its copy was begun. */
int xw_qcow2_check_unchanged(const struct xw_store_disk *disk, struct xw_error *err);

/* What a kill while a copy took the image's place has left. */
int xw_qcow2_finish_swap(const struct xw_store_disk *disk, struct xw_error *err);

/*
 * qcow2-children.c. Fill `child` with an image of the folder that stands on disk->data; "" where
 * none does (any more). Of several, one of somebody else comes first, then the VM's present state,
 * then they go by name: the same at each call.
 */
int xw_qcow2_find_child(const struct xw_store_disk *disk, char child[PATH_MAX],
                        struct xw_error *err);

/* Refuse an image that cannot be opened by another name, or with one more image on top of it. */
int xw_qcow2_check_below(const struct xw_store_disk *disk, struct xw_qcow2_header header,
                         struct xw_error *err);

/* The file that `backing`, as it is written in `image`, is to QEMU. false: the path is too long. */
bool xw_qcow2_backing_path(const char *image, const char *backing, char out[PATH_MAX]);

/* Ours is the image itself, and whatever is called as its snapshots are. */
bool xw_qcow2_is_ours(const struct xw_store_disk *disk, const char *child);

#endif
