/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fingerprints and content hashes of files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The implementation comes with the header, so the library links nothing more. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/sparse-extent.h"
#include "base/sparse.h"

#define BLOCK ((size_t)64 << 10)

int xw_fingerprint_of(int dirfd, const char *path, struct xw_fingerprint *ret,
                      struct xw_error *err)
{
    struct stat st;

    if (fstatat(dirfd, path, &st, 0) < 0)
        return xw_error_set_errno(err, "cannot look at '%s'", path);
    ret->size = (uint64_t)st.st_size;
    ret->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return 0;
}

bool xw_fingerprint_equal(const struct xw_fingerprint *a, const struct xw_fingerprint *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static void hash_text(XXH128_hash_t hash, char ret[XW_HASH_TEXT_SIZE])
{
    snprintf(ret, XW_HASH_TEXT_SIZE, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

static void update_number(XXH3_state_t *state, uint64_t number)
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> (8 * i));
    XXH3_128bits_update(state, bytes, sizeof(bytes));
}

/* The blocks of the file in order, without those that hold only zeros, then the size. */
static int hash_blocks(int fd, uint64_t size, char *block, XXH3_state_t *state,
                       struct xw_error *err)
{
    struct xw_extent extent = {0, 0};
    uint64_t at = 0;
    int rc;

    while (at < size) {
        size_t length;

        if (at >= extent.end) {
            rc = xw_sparse_next(fd, at, size, &extent, err);
            if (rc < 0)
                return rc;
            if (extent.start == size)
                break;
            at = extent.start - extent.start % BLOCK;
        }
        length = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
        rc = xw_sparse_read(fd, block, length, at, err);
        if (rc < 0)
            return rc;
        if (!xw_sparse_is_zero(block, length)) {
            update_number(state, at);
            XXH3_128bits_update(state, block, length);
        }
        at += length;
    }
    update_number(state, size);
    return 0;
}

int xw_hash_file(int dirfd, const char *path, char ret[XW_HASH_TEXT_SIZE], struct xw_error *err)
{
    xw_auto_free char *block = malloc(BLOCK);
    xw_auto_close int fd = -1;
    XXH3_state_t state;
    struct stat st;
    int rc;

    if (!block)
        return xw_error_set(err, ENOMEM, "out of memory");
    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return xw_error_set_errno(err, "cannot read '%s'", path);
    if (!S_ISREG(st.st_mode))
        return xw_error_set(err, EINVAL, "'%s' is not a regular file", path);
    XXH3_128bits_reset(&state);
    rc = hash_blocks(fd, (uint64_t)st.st_size, block, &state, err);
    if (rc < 0) {
        xw_error_prefix(err, "'%s'", path);
        return rc;
    }
    hash_text(XXH3_128bits_digest(&state), ret);
    return 0;
}

void xw_hash_bytes(const void *data, size_t size, char ret[XW_HASH_TEXT_SIZE])
{
    hash_text(XXH3_128bits(data, size), ret);
}
