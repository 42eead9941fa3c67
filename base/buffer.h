/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A byte buffer that grows up to a limit, is filled at the end and consumed from the front.
 *
 * data[0] to data[length - 1] are the bytes; data[length] is always '\0' once anything has been
 * appended or reserved, so text in it can be used as a string (xw_buffer_text does for an
 * empty one too). Pointers into it are valid until the next call that adds or consumes.
 */
#ifndef XW_BASE_BUFFER_H
#define XW_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
#include <xenwright/error.h>

struct xw_buffer {
    char *data;      /* first byte not yet consumed; NULL in a fresh buffer */
    size_t length;   /* bytes held */
    size_t limit;    /* most bytes it may hold at a time */
    char *memory;    /* what was allocated; private */
    size_t capacity; /* size of memory; private */
};

#define XW_BUFFER_INIT(most) {.limit = (most)}

/* No allocation, cannot fail. */
void xw_buffer_init(struct xw_buffer *buffer, size_t limit);

/* Releases the memory; the buffer is empty and usable again, with the same limit. */
void xw_buffer_free(struct xw_buffer *buffer);

/* Forgets the bytes, keeps the memory. */
void xw_buffer_clear(struct xw_buffer *buffer);

/*
 * Add at the end. -EFBIG when the limit would be passed (the buffer is unchanged then), -ENOMEM.
 * size 0 is fine, with data NULL as well.
 */
int xw_buffer_append(struct xw_buffer *buffer, const void *data, size_t size, struct xw_error *err);
int xw_buffer_append_text(struct xw_buffer *buffer, const char *text, struct xw_error *err);
int xw_buffer_printf(struct xw_buffer *buffer, struct xw_error *err, const char *format, ...)
    XW_PRINTF(3, 4);
int xw_buffer_vprintf(struct xw_buffer *buffer, struct xw_error *err, const char *format,
                      va_list args) XW_PRINTF(3, 0);

/*
 * Room for `size` more bytes at the end, to be filled by the caller, who then says with
 * xw_buffer_commit how many of them count. Errors as append.
 */
int xw_buffer_reserve(struct xw_buffer *buffer, size_t size, char **ret_room, struct xw_error *err);
void xw_buffer_commit(struct xw_buffer *buffer, size_t size);

/*
 * One read() of at most `most` bytes to the end of the buffer (retried on EINTR). Returns the
 * number of bytes, 0 at the end of the file, or a negative errno value: -EAGAIN where a
 * non-blocking descriptor has nothing (err is not filled for that), -EFBIG where the buffer is
 * full.
 */
ssize_t xw_buffer_read(struct xw_buffer *buffer, int fd, size_t most, struct xw_error *err);

/* Drop `size` bytes (at most what is there) from the front. */
void xw_buffer_consume(struct xw_buffer *buffer, size_t size);

/* The bytes as a string, "" when empty. */
const char *xw_buffer_text(const struct xw_buffer *buffer);

/*
 * Hand the bytes over as a terminated string that the caller frees; the buffer is empty afterwards.
 * NULL only when memory ran out.
 */
char *xw_buffer_steal(struct xw_buffer *buffer);

#endif
