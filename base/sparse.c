/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying with holes and freeing zeros; hashing is in hash.c. */
#include "base/sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/sparse-extent.h"

#define COPY_STEP ((size_t)8 << 20)
#define BLOCK ((size_t)64 << 10)
#define REPORT_MS 100

int xw_sparse_next(int fd, uint64_t at, uint64_t size, struct xw_extent *ret,
                   struct xw_error *err)
{
    off_t start = lseek(fd, (off_t)at, SEEK_DATA), end;

    if (start < 0 && errno == ENXIO) {
        ret->start = ret->end = size;
        return 0;
    }
    if (start < 0 && errno == EINVAL) { /* a file system without holes: all is data */
        ret->start = at;
        ret->end = size;
        return 0;
    }
    if (start < 0)
        return xw_error_set_errno(err, "cannot look for data");
    end = lseek(fd, start, SEEK_HOLE);
    if (end < 0)
        return xw_error_set_errno(err, "cannot look for holes");
    ret->start = (uint64_t)start < size ? (uint64_t)start : size;
    ret->end = (uint64_t)end < size ? (uint64_t)end : size;
    return 0;
}

int xw_sparse_read(int fd, void *data, size_t size, uint64_t at, struct xw_error *err)
{
    char *to = data;

    while (size > 0) {
        ssize_t n = pread(fd, to, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xw_error_set_errno(err, "cannot read");
        if (n == 0)
            return xw_error_set(err, EIO, "became shorter while it was read");
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

bool xw_sparse_is_zero(const void *data, size_t size)
{
    const char *bytes = data;

    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

struct copy {
    int from, to;
    uint64_t size;
    bool in_kernel; /* copy_file_range has not refused yet */
    char *block;    /* for read and write; made when first needed */
    xw_sparse_progress *progress;
    void *opaque;
    int64_t reported; /* ms */
};

static void report(struct copy *copy, uint64_t done)
{
    int64_t now;

    if (!copy->progress)
        return;
    now = xw_clock_ms();
    if (done < copy->size && now - copy->reported < REPORT_MS)
        return;
    copy->reported = now;
    copy->progress(copy->opaque, done, copy->size);
}

/* One step in user space. */
static int copy_block(struct copy *copy, uint64_t at, size_t size, struct xw_error *err)
{
    int rc;

    if (!copy->block)
        copy->block = malloc(BLOCK);
    if (!copy->block)
        return xw_error_set(err, ENOMEM, "out of memory");
    rc = xw_sparse_read(copy->from, copy->block, size, at, err);
    for (size_t done = 0; rc == 0 && done < size;) {
        ssize_t n = pwrite(copy->to, copy->block + done, size - done, (off_t)(at + done));

        if (n < 0 && errno != EINTR)
            rc = xw_error_set_errno(err, "cannot write");
        else if (n > 0)
            done += (size_t)n;
    }
    return rc;
}

static int copy_extent(struct copy *copy, struct xw_extent extent, struct xw_error *err)
{
    uint64_t at = extent.start;
    int rc;

    while (at < extent.end) {
        uint64_t left = extent.end - at;
        size_t step = left < COPY_STEP ? (size_t)left : COPY_STEP;

        if (copy->in_kernel) {
            off_t in = (off_t)at, out = (off_t)at;
            ssize_t n = copy_file_range(copy->from, &in, copy->to, &out, step, 0);

            if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO))
                return xw_error_set_errno(err, "cannot copy");
            /*
             * Anything else is the kernel declining this pair of files, or the end of a shrunken
             * one.
             */
            copy->in_kernel = n > 0;
            at += n > 0 ? (uint64_t)n : 0;
        } else {
            step = step < BLOCK ? step : BLOCK;
            rc = copy_block(copy, at, step, err);
            if (rc < 0)
                return rc;
            at += step;
        }
        report(copy, at);
    }
    return 0;
}

static int copy_extents(struct copy *copy, struct xw_error *err)
{
    struct xw_extent extent = {0, 0};
    int rc;

    while (extent.end < copy->size) {
        rc = xw_sparse_next(copy->from, extent.end, copy->size, &extent, err);
        if (rc == 0)
            rc = copy_extent(copy, extent, err);
        if (rc < 0)
            return rc;
    }
    report(copy, copy->size);
    return 0;
}

int xw_sparse_copy(int from, int to, xw_sparse_progress *progress, void *opaque,
                   struct xw_error *err)
{
    struct copy copy = {.from = from, .to = to, .in_kernel = true, .progress = progress,
                        .opaque = opaque, .reported = xw_clock_ms()};
    struct stat st;
    int rc;

    if (fstat(from, &st) < 0)
        return xw_error_set_errno(err, "cannot read");
    if (!S_ISREG(st.st_mode))
        return xw_error_set(err, EINVAL, "not a regular file");
    copy.size = (uint64_t)st.st_size;
    if (ftruncate(to, 0) < 0)
        return xw_error_set_errno(err, "cannot write");
    if (ioctl(to, FICLONE, from) == 0) {
        report(&copy, copy.size);
        return 0;
    }
    if (ftruncate(to, st.st_size) < 0)
        return xw_error_set_errno(err, "cannot write");
    rc = copy_extents(&copy, err);
    free(copy.block);
    return rc;
}

/* A run of zero blocks, collected so that one call frees it. */
static int punch(int fd, struct xw_extent *run, uint64_t *freed, struct xw_error *err)
{
    uint64_t length = run->end - run->start;

    if (length == 0)
        return 0;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)run->start,
                  (off_t)length) < 0)
        return xw_error_set_errno(err, "cannot free zero blocks");
    *freed += length;
    run->start = run->end;
    return 0;
}

static int punch_extent(int fd, struct xw_extent extent, char *block, uint64_t *freed,
                        struct xw_error *err)
{
    struct xw_extent run = {extent.start, extent.start};
    int rc = 0;

    for (uint64_t at = extent.start, step; rc == 0 && at < extent.end; at += step) {
        step = BLOCK - at % BLOCK;
        if (step > extent.end - at)
            step = extent.end - at;
        rc = xw_sparse_read(fd, block, (size_t)step, at, err);
        if (rc < 0)
            return rc;
        if (xw_sparse_is_zero(block, (size_t)step)) {
            run.end = at + step;
            continue;
        }
        rc = punch(fd, &run, freed, err);
        run.start = run.end = at + step;
    }
    return rc < 0 ? rc : punch(fd, &run, freed, err);
}

int xw_sparse_punch(int fd, uint64_t *ret_freed, struct xw_error *err)
{
    xw_auto_free char *block = malloc(BLOCK);
    struct xw_extent extent = {0, 0};
    uint64_t freed = 0;
    struct stat st;
    int rc;

    if (!block)
        return xw_error_set(err, ENOMEM, "out of memory");
    if (fstat(fd, &st) < 0)
        return xw_error_set_errno(err, "cannot read");
    while (extent.end < (uint64_t)st.st_size) {
        rc = xw_sparse_next(fd, extent.end, (uint64_t)st.st_size, &extent, err);
        if (rc == 0)
            rc = punch_extent(fd, extent, block, &freed, err);
        if (rc < 0)
            return rc;
    }
    if (ret_freed)
        *ret_freed = freed;
    return 0;
}
