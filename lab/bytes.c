/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A queue of bytes of a fixed size, in one piece so that frames can be read in place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/bytes.h"

int lab_bytes_alloc(struct lab_bytes *bytes, size_t size)
{
    unsigned char *data = malloc(size);

    if (!data)
        return -ENOMEM;
    *bytes = (struct lab_bytes){.data = data, .size = size};
    return 0;
}

void lab_bytes_free(struct lab_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct lab_bytes){0};
}

void lab_bytes_clear(struct lab_bytes *bytes)
{
    bytes->head = bytes->tail = 0;
}

size_t lab_bytes_used(const struct lab_bytes *bytes)
{
    return bytes->tail - bytes->head;
}

size_t lab_bytes_room(struct lab_bytes *bytes)
{
    size_t used = lab_bytes_used(bytes);

    /* Moving is worth it only when little is moved, or when little room is left at the end. */
    if (bytes->head > 0 &&
        (used < bytes->head || bytes->size - bytes->tail < bytes->size / 4)) {
        memmove(bytes->data, bytes->data + bytes->head, used);
        bytes->head = 0;
        bytes->tail = used;
    }
    return bytes->size - bytes->tail;
}

unsigned char *lab_bytes_start(const struct lab_bytes *bytes)
{
    return bytes->data + bytes->head;
}

unsigned char *lab_bytes_end(const struct lab_bytes *bytes)
{
    return bytes->data + bytes->tail;
}

void lab_bytes_consume(struct lab_bytes *bytes, size_t count)
{
    bytes->head += count;
    if (bytes->head == bytes->tail)
        bytes->head = bytes->tail = 0;
}

void lab_bytes_produced(struct lab_bytes *bytes, size_t count)
{
    bytes->tail += count;
}
