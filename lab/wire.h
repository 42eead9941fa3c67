/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Integers and frame headers of lab/protocol.h in memory.  Shared by the agent and its client;
 * needs nothing but libc.
 */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "lab/protocol.h"

/* The size of a HELLO payload: u32 version and the nonce. */
#define LAB_HELLO_SIZE (4u + LAB_NONCE_SIZE)

static inline void lab_put16(unsigned char *to, uint16_t value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
}

static inline void lab_put32(unsigned char *to, uint32_t value)
{
    lab_put16(to, (uint16_t)value);
    lab_put16(to + 2, (uint16_t)(value >> 16));
}

static inline uint16_t lab_get16(const unsigned char *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t lab_get32(const unsigned char *from)
{
    return lab_get16(from) | (uint32_t)lab_get16(from + 2) << 16;
}

/* Writes the LAB_FRAME_HEADER bytes of a header. */
static inline void lab_put_header(unsigned char *to, enum lab_frame_type type, uint32_t length)
{
    lab_put32(to, (uint32_t)type);
    lab_put32(to + 4, length);
}

/* Whether LAB_FRAME_HEADER bytes can be a header at all: its reserved bytes and its length. */
static inline bool lab_header_sane(const unsigned char *from)
{
    return from[1] == 0 && from[2] == 0 && from[3] == 0 && lab_get32(from + 4) <= LAB_FRAME_MAX;
}

#endif
