/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xw-test records: writes numbered records to several disks in turn: number 1 to each of them,
 * then number 2, and so on, each safely on its disk before the next is begun.
 *
 * Disks that were all copied at one moment therefore hold the same last number, but for those
 * after the one that was being written to, which may lack it.  Anything else means that they were
 * copied at different moments, or that a disk lost what it had said was safe.
 *
 * Records are blocks of the disk's index as seed, in a ring at the start of the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/guest/xw-test.h"

#define DISKS_MAX 16
#define RING 256u
#define SEED_BASE UINT64_C(0x5245434f52440000) /* "RECORD", index */

struct disk {
    const char *path;
    int fd;
    uint64_t seed, last;
};

static int write_records(struct disk *disks, int count, struct block *block,
                         const struct options *options)
{
    for (uint64_t number = disks[0].last + 1; !options->has_count || number <= options->count;
         number++) {
        for (int i = 0; i < count; i++) {
            off_t at = (off_t)(number % RING * BLOCK_BYTES);

            block_make(block, disks[i].seed, number);
            if (pwrite(disks[i].fd, block, BLOCK_BYTES, at) != BLOCK_BYTES ||
                fdatasync(disks[i].fd) < 0)
                return test_failed(disks[i].path);
        }
        if (!options->quiet && printf("%" PRIu64 "\n", number) < 0)
            return test_failed("standard output");
        fflush(stdout);
    }
    return 0;
}

/* Finds the last record on a disk.  Before it the ring has to be without a gap. */
static int find_last(struct disk *disk, struct block *block)
{
    bool there[RING] = {false};
    uint64_t numbers[RING] = {0};

    disk->last = 0;
    for (unsigned i = 0; i < RING; i++) {
        if (pread(disk->fd, block, BLOCK_BYTES, (off_t)i * BLOCK_BYTES) != BLOCK_BYTES)
            return test_failed(disk->path);
        numbers[i] = block->number;
        there[i] = block->number % RING == i && block_is(block, disk->seed, block->number);
        if (there[i] && numbers[i] > disk->last)
            disk->last = numbers[i];
    }
    /* The one after the last may have been half written. */
    for (unsigned back = 1; back + 1 < RING && back < disk->last; back++) {
        uint64_t number = disk->last - back;

        if (!there[number % RING] || numbers[number % RING] != number) {
            printf("%s: record %" PRIu64 " is missing, and %" PRIu64 " is there\n", disk->path,
                   number, disk->last);
            return 1;
        }
    }
    return 0;
}

static int check_records(const struct disk *disks, int count)
{
    int steps = 0, status = 0;

    for (int i = 0; i < count; i++) {
        printf("%s %" PRIu64 "\n", disks[i].path, disks[i].last);
        if (i > 0 && disks[i].last != disks[i - 1].last)
            steps++;
        if (disks[i].last > disks[0].last || disks[0].last - disks[i].last > 1 || steps > 1)
            status = 1;
    }
    if (status)
        printf("the disks are not of one moment\n");
    return status;
}

int test_records(int argc, char **argv, const struct options *options)
{
    struct disk disks[DISKS_MAX];
    struct block *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    uint64_t size;
    int status = 0;

    if (!block)
        return test_failed("records");
    if (argc < 1 || argc > DISKS_MAX) {
        dprintf(2, "xw-test: records: name 1 to %d disks\n", DISKS_MAX);
        free(block);
        return 2;
    }
    for (int i = 0; i < argc && status == 0; i++) {
        disks[i] = (struct disk){.path = argv[i], .seed = SEED_BASE + (uint64_t)i};
        disks[i].fd = test_open(argv[i], options->check ? O_RDONLY : O_RDWR, &size);
        if (disks[i].fd < 0)
            status = test_failed(argv[i]);
        else if (size < RING * BLOCK_BYTES)
            status = (errno = ENOSPC, test_failed(argv[i]));
        else if (options->check || i == 0)
            status = find_last(&disks[i], block);
    }
    if (status == 0)
        status = options->check ? check_records(disks, argc)
                                : write_records(disks, argc, block, options);
    free(block);
    return status;
}
