/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xw-test ticks: how long a guest, or its disk, stood still, as it sees it itself. A tick is a
 * millisecond's sleep and (a disk named) a write of one block that the disk has to confirm; what is
 * told at the end is the longest time between two of them. Ends with its standard input.
 *
 * The clock is one that goes on while the guest is paused or suspended.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lab/guest/xw-test.h"

#define TICK_NS 1000000
#define RING 16u

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* 1: it is to end; 0: it goes on; -1 with errno set. */
static int wait_tick(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = ppoll(&in, 1, &(struct timespec){.tv_nsec = TICK_NS}, NULL);
    char bytes[64];

    if (ready <= 0)
        return ready;
    return read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0;
}

static int run_ticks(const char *path, int fd, struct block *block, const struct options *options)
{
    int64_t last = now_us(), longest = 0;
    uint64_t number = 0;
    int end = 0;

    printf("ticking\n");
    fflush(stdout);
    while (!end && (!options->has_count || number < options->count)) {
        int64_t now;

        end = wait_tick();
        if (end < 0)
            return test_failed("standard input");
        block_make(block, options->seed, ++number);
        if (fd >= 0 && pwrite(fd, block, BLOCK_BYTES, (off_t)(number % RING * BLOCK_BYTES)) !=
                           BLOCK_BYTES)
            return test_failed(path);
        now = now_us();
        longest = now - last > longest ? now - last : longest;
        last = now;
    }
    printf("%" PRIu64 " ticks, the longest gap %" PRId64 " us\n", number, longest);
    return 0;
}

int test_ticks(int argc, char **argv, const struct options *options)
{
    const char *path = argc > 0 ? argv[0] : NULL;
    struct block *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    uint64_t size = RING * BLOCK_BYTES;
    int fd = -1, status;

    if (!block)
        return test_failed("ticks");
    if (path)
        fd = test_open(path, O_RDWR, &size);
    if (path && fd < 0)
        status = test_failed(path);
    else if (size < RING * BLOCK_BYTES)
        status = (errno = ENOSPC, test_failed(path));
    else
        status = run_ticks(path, fd, block, options);
    if (fd >= 0)
        close(fd);
    free(block);
    return status;
}
