/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store "null", for tests of what calls stores: it keeps nothing of a disk's content, only the
 * names of files beside the image, and says what it is asked to do.
 *
 * No path, format, configuration or environment leads to it: it takes disks only in a program that
 * has set the watcher below, and takes every raw file then.
 */
#ifndef XENWRIGHT_SNAPSHOT_STORES_NULL_H
#define XENWRIGHT_SNAPSHOT_STORES_NULL_H

#include "snapshot/store.h"

/*
 * Called first by each function of the store that may fail, with the function's name. A negative
 * errno makes that function fail with it, before it has done anything. NULL: the store is off.
 */
extern int (*xw_null_watch)(const struct xw_store_disk *disk, const char *function);

extern const struct xw_store xw_store_null;

#endif
