/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LAB_OVERLAY_H
#define LAB_OVERLAY_H

#include <xenwright/error.h>

/*
 * Make the qcow2 file `path` in `folder` as an overlay of `backing`, a qcow2 file named relative to
 * the overlay's own folder, so that the cache can be moved as a whole.
 */
int lab_overlay_make(int folder, const char *path, const char *backing, struct xw_error *err);

#endif
