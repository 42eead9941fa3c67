/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two parts of the store "rbd". */
#ifndef XENWRIGHT_SNAPSHOT_STORES_RBD_H
#define XENWRIGHT_SNAPSHOT_STORES_RBD_H

#include "snapshot/rbd.h"

/* As in struct xw_store. */
int xw_rbd_revert_check(struct xw_store_disk *disk, struct xw_error *err);
int xw_rbd_revert_prepare(struct xw_store_disk *disk, struct xw_error *err);
int xw_rbd_revert_swap(struct xw_store_disk *disk, struct xw_error *err);
bool xw_rbd_revert_waits(const struct xw_store_disk *disk);
int xw_rbd_revert_settle(struct xw_store_disk *disk, struct xw_error *err);
int xw_rbd_revert_undo(struct xw_store_disk *disk, struct xw_error *err);

#endif
