/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walking the data of a sparse file; shared by sparse.c and hash.c. */
#ifndef XW_BASE_SPARSE_EXTENT_H
#define XW_BASE_SPARSE_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenwright/error.h>

/* Bytes start to end - 1. */
struct xw_extent {
    uint64_t start, end;
};

/*
 * The next run of data at or after `at`, cut at `size`; start == end == size when only holes are
 * left. Moves the file offset. Messages name no file.
 */
int xw_sparse_next(int fd, uint64_t at, uint64_t size, struct xw_extent *ret,
                   struct xw_error *err);

/* All of data[0 … size) from offset `at`, or an error; -EIO when the file ends before. */
int xw_sparse_read(int fd, void *data, size_t size, uint64_t at, struct xw_error *err);

bool xw_sparse_is_zero(const void *data, size_t size);

#endif
