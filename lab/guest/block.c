/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocks that know their place. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lab/guest/xw-test.h"

#define MAGIC UINT64_C(0x6b636f6c42747758) /* "XwtBlock" */
#define WORDS (sizeof(((struct block *)0)->words) / sizeof(uint64_t))

/* A step of the generator, and a good mixer of bits: splitmix64. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t sum_of(const struct block *block)
{
    uint64_t sum = mix(block->seed) + block->number;

    for (size_t i = 0; i < WORDS; i++)
        sum = (sum ^ block->words[i]) * UINT64_C(0x100000001b3);
    return sum;
}

void block_make(struct block *block, uint64_t seed, uint64_t number)
{
    uint64_t state = mix(mix(seed) ^ number);

    *block = (struct block){.magic = MAGIC, .seed = seed, .number = number};
    for (size_t i = 0; i < WORDS; i++) {
        /* xorshift64: a few instructions for each word, since this runs in emulated machines */
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block->words[i] = state;
    }
    block->sum = sum_of(block);
}

bool block_is(const struct block *block, uint64_t seed, uint64_t number)
{
    struct block expected;

    block_make(&expected, seed, number);
    return memcmp(block, &expected, sizeof(expected)) == 0;
}

void block_describe(const struct block *block, char text[static 160])
{
    const unsigned char *bytes = (const unsigned char *)block;

    if (block->magic == MAGIC && block->sum == sum_of(block))
        snprintf(text, 160, "it is block %" PRIu64 " of seed %" PRIu64, block->number, block->seed);
    else if (block->magic == MAGIC)
        snprintf(text, 160, "it begins like block %" PRIu64 " of seed %" PRIu64
                 ", but its checksum is wrong", block->number, block->seed);
    else if (bytes[0] == 0 && memcmp(bytes, bytes + 1, BLOCK_BYTES - 1) == 0)
        snprintf(text, 160, "it is all zeroes");
    else
        snprintf(text, 160, "it begins with %02x %02x %02x %02x %02x %02x %02x %02x", bytes[0],
                 bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
}
