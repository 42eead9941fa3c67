/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xw-test pattern: fills a disk with blocks that can be told apart, and looks whether they are
 * there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/guest/xw-test.h"

#define CHUNK_BLOCKS 64u

static size_t chunk_at(uint64_t at, uint64_t blocks)
{
    return blocks - at < CHUNK_BLOCKS ? (size_t)(blocks - at) : CHUNK_BLOCKS;
}

static int write_pattern(const char *path, int fd, struct block *chunk, uint64_t seed,
                         uint64_t blocks)
{
    for (uint64_t at = 0; at < blocks; at += CHUNK_BLOCKS) {
        size_t count = chunk_at(at, blocks);

        for (size_t i = 0; i < count; i++)
            block_make(&chunk[i], seed, at + i);
        if (test_write_all(fd, chunk, count * BLOCK_BYTES) < 0)
            return test_failed(path);
    }
    if (fsync(fd) < 0)
        return test_failed(path);
    printf("%s: %" PRIu64 " blocks of seed %" PRIu64 " written\n", path, blocks, seed);
    return 0;
}

static int verify_pattern(const char *path, int fd, struct block *chunk, uint64_t seed,
                          uint64_t blocks)
{
    uint64_t wrong = 0;
    char text[160];

    for (uint64_t at = 0; at < blocks; at += CHUNK_BLOCKS) {
        size_t count = chunk_at(at, blocks);

        if (test_read_all(fd, chunk, count * BLOCK_BYTES) < 0) {
            if (errno != EPIPE)
                return test_failed(path);
            printf("%s: the file ends before the pattern does\n", path);
            return 1;
        }
        for (size_t i = 0; i < count; i++) {
            if (block_is(&chunk[i], seed, at + i))
                continue;
            block_describe(&chunk[i], text);
            if (wrong++ == 0)
                printf("%s: block %" PRIu64 " (byte %" PRIu64 ") is wrong: %s\n", path, at + i,
                       (at + i) * BLOCK_BYTES, text);
        }
    }
    if (wrong) {
        printf("%s: %" PRIu64 " of %" PRIu64 " blocks are wrong\n", path, wrong, blocks);
        return 1;
    }
    printf("%s: %" PRIu64 " blocks of seed %" PRIu64 " are right\n", path, blocks, seed);
    return 0;
}

int test_pattern(int argc, char **argv, const struct options *options)
{
    bool writes = argc == 2 && strcmp(argv[0], "write") == 0;
    uint64_t size = 0;

    if (argc != 2 || (!writes && strcmp(argv[0], "verify") != 0)) {
        dprintf(2, "xw-test: pattern: say 'write DISK' or 'verify DISK'\n");
        return 2;
    }
    int fd = test_open(argv[1], writes ? O_RDWR | O_CREAT : O_RDONLY, &size);
    if (fd < 0)
        return test_failed(argv[1]);
    struct block *chunk = aligned_alloc(BLOCK_BYTES, CHUNK_BLOCKS * BLOCK_BYTES);
    if (options->has_size)
        size = options->size;
    int status = 1;
    if (!chunk)
        test_failed(argv[1]);
    else if (size < BLOCK_BYTES)
        dprintf(2, "xw-test: %s: smaller than a block of %u bytes; give --size\n", argv[1],
                BLOCK_BYTES);
    else if (writes)
        status = write_pattern(argv[1], fd, chunk, options->seed, size / BLOCK_BYTES);
    else
        status = verify_pattern(argv[1], fd, chunk, options->seed, size / BLOCK_BYTES);
    free(chunk);
    close(fd);
    return status;
}
