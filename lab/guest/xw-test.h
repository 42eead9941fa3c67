/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xw-test: programs for tests inside guests.  Data consists of blocks that know what they are, so
 * that a wrong one tells where it came from.
 */
#ifndef LAB_GUEST_XW_TEST_H
#define LAB_GUEST_XW_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_BYTES 4096u

/* ---- block.c ---- */

struct block {
    uint64_t magic, seed, number, sum; /* sum: of the words after it and of seed and number */
    uint64_t words[BLOCK_BYTES / 8 - 4];
};

/* Makes block `number` of a pattern.  Any two blocks differ in nearly all words. */
void block_make(struct block *block, uint64_t seed, uint64_t number);
/* Whether a block is what block_make() makes. */
bool block_is(const struct block *block, uint64_t seed, uint64_t number);
/* Says in words what a block is instead. */
void block_describe(const struct block *block, char text[static 160]);

/* ---- main.c ---- */

struct options {
    uint64_t seed, size, count;
    bool has_size, has_count, check, quiet;
};

/* Each returns an exit status, having said on stderr what went wrong. */
int test_pattern(int argc, char **argv, const struct options *options);
int test_records(int argc, char **argv, const struct options *options);
int test_ticks(int argc, char **argv, const struct options *options);
int test_send(int argc, char **argv, const struct options *options);
int test_receive(int argc, char **argv, const struct options *options);

/* Prints "xw-test: WHAT: <text of errno>" and returns 1. */
int test_failed(const char *what);

/* Opens a disk or file past the page cache where it can be, and tells its size in bytes.
 * Returns -1 with errno set. */
int test_open(const char *path, int flags, uint64_t *size);
/* Reads or writes all of it.  Returns -1 with errno set; EPIPE is the end of the file. */
int test_read_all(int fd, void *bytes, size_t size);
int test_write_all(int fd, const void *bytes, size_t size);

#endif
