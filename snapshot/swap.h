/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a revert on all its disks, for the revert itself and for who finishes or undoes it.
 */
#ifndef XENWRIGHT_SNAPSHOT_SWAP_H
#define XENWRIGHT_SNAPSHOT_SWAP_H

#include "snapshot/session.h"

#define XW_BOOT_ID_SIZE 64

/* Make beside each disk what is to take its place. */
int xw_swap_prepare(struct xw_store_disk *disks, struct xw_error *err);

/* After the point of no return: put it there, and make the snapshot what the present state goes
 * back to. */
int xw_swap_all(struct xw_session *session, const struct xw_snapshot *target,
                struct xw_store_disk *disks, struct xw_error *err);

/* The guest that had them has gone: remove what was there before. */
int xw_swap_settle(struct xw_store_disk *disks, struct xw_error *err);

/* Nothing was swapped: remove what was prepared; the journal is done. */
int xw_swap_undo(struct xw_session *session, struct xw_store_disk *disks, struct xw_error *err);

/* They are swapped in their order: does the first one still wait? */
bool xw_swap_has_not_begun(const struct xw_store_disk *disks);

/*
 * Domids count from 1 again after the host was started anew: what tells one boot from another
 * (random(4), boot_id). "" where it is not known.
 */
void xw_swap_boot_id(char out[XW_BOOT_ID_SIZE]);

#endif
