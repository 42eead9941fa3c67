/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A queue of bytes of a fixed size, in one piece so that frames can be read and made in place. */
#ifndef LAB_BYTES_H
#define LAB_BYTES_H

#include <stddef.h>

struct lab_bytes {
    unsigned char *data;
    size_t size, head, tail;
};

/* Allocates room for size bytes.  Returns 0 or -ENOMEM. */
int lab_bytes_alloc(struct lab_bytes *bytes, size_t size);
void lab_bytes_free(struct lab_bytes *bytes);
void lab_bytes_clear(struct lab_bytes *bytes);
size_t lab_bytes_used(const struct lab_bytes *bytes);
/* How many bytes lab_bytes_end() has room for; moves the content to the front if that helps. */
size_t lab_bytes_room(struct lab_bytes *bytes);
unsigned char *lab_bytes_start(const struct lab_bytes *bytes);
unsigned char *lab_bytes_end(const struct lab_bytes *bytes);
/* Both: count is at most what is used, or the room. */
void lab_bytes_consume(struct lab_bytes *bytes, size_t count);
void lab_bytes_produced(struct lab_bytes *bytes, size_t count);

#endif
