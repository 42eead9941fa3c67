/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Large files with holes: copying, freeing zeros, recognising that one has changed. */
#ifndef XW_BASE_SPARSE_H
#define XW_BASE_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenwright/error.h>

/* done and total in bytes of the file's size; called a few times a second at most. */
typedef void xw_sparse_progress(void *opaque, uint64_t done, uint64_t total);

/*
 * Make `to` (open for writing, a regular file) the same as `from`: shared extents where the file
 * system can (FICLONE), else in-kernel copy, else read and write; holes stay holes. Not fsynced.
 * progress may be NULL. -ENOSPC and the like name nothing: the caller prefixes the file.
 */
int xw_sparse_copy(int from, int to, xw_sparse_progress *progress, void *opaque,
                   struct xw_error *err);

/*
 * Free the blocks of `fd` (open for writing) that hold only zeros. *ret_freed (may be NULL): bytes
 * punched. -EOPNOTSUPP where the file system has no holes. The content stays the same.
 */
int xw_sparse_punch(int fd, uint64_t *ret_freed, struct xw_error *err);

/* What a file looks like from outside; a cheap "may have changed". */
struct xw_fingerprint {
    uint64_t size;    /* bytes */
    int64_t mtime_ns; /* last change, nanoseconds since 1970 */
};

int xw_fingerprint_of(int dirfd, const char *path, struct xw_fingerprint *ret,
                      struct xw_error *err);
bool xw_fingerprint_equal(const struct xw_fingerprint *a, const struct xw_fingerprint *b);

#define XW_HASH_TEXT_SIZE 33 /* 32 hex digits and the end */

/*
 * A content hash: XXH3-128 over (offset as 64-bit little endian, 64 KiB block) of every block that
 * is not all zero, then the size. Two files of equal content have equal hashes however their
 * holes lie, and holes cost no time. Not a cryptographic hash. dirfd as in openat(2).
 */
int xw_hash_file(int dirfd, const char *path, char ret[XW_HASH_TEXT_SIZE], struct xw_error *err);

/* Plain XXH3-128 of bytes in memory, as hex digits. */
void xw_hash_bytes(const void *data, size_t size, char ret[XW_HASH_TEXT_SIZE]);

#endif
