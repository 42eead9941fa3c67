/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALLEST 256

void xw_buffer_init(struct xw_buffer *buffer, size_t limit)
{
    *buffer = (struct xw_buffer)XW_BUFFER_INIT(limit);
}

void xw_buffer_free(struct xw_buffer *buffer)
{
    free(buffer->memory);
    xw_buffer_init(buffer, buffer->limit);
}

void xw_buffer_clear(struct xw_buffer *buffer)
{
    buffer->data = buffer->memory;
    buffer->length = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

/* Double until `need` fits, so that many small appends stay linear; never far over the limit. */
static size_t next_capacity(const struct xw_buffer *buffer, size_t need)
{
    size_t capacity = buffer->capacity < SMALLEST ? SMALLEST : buffer->capacity;

    while (capacity < need) {
        if (capacity > buffer->limit / 2)
            return need > buffer->limit ? need : buffer->limit + 1;
        capacity *= 2;
    }
    return capacity;
}

/* Room for `size` more bytes and the terminator behind what is there. */
static int make_room(struct xw_buffer *buffer, size_t size, struct xw_error *err)
{
    size_t start = buffer->memory ? (size_t)(buffer->data - buffer->memory) : 0;
    size_t want, need;
    char *memory;

    if (__builtin_add_overflow(buffer->length, size, &want) || want > buffer->limit)
        return xw_error_set(err, EFBIG, "more than the %zu bytes allowed here", buffer->limit);
    if (__builtin_add_overflow(want, 1, &need))
        return xw_error_set(err, ENOMEM, "out of memory");
    if (start > 0 && need > buffer->capacity - start) {
        memmove(buffer->memory, buffer->data, buffer->length + 1);
        buffer->data = buffer->memory;
        start = 0;
    }
    if (need > buffer->capacity - start) {
        size_t capacity = next_capacity(buffer, need);

        memory = realloc(buffer->memory, capacity);
        if (!memory)
            return xw_error_set(err, ENOMEM, "out of memory (%zu bytes wanted)", capacity);
        buffer->memory = memory;
        buffer->data = memory;
        buffer->capacity = capacity;
    }
    buffer->data[buffer->length] = '\0';
    return 0;
}

int xw_buffer_reserve(struct xw_buffer *buffer, size_t size, char **ret_room, struct xw_error *err)
{
    int rc = make_room(buffer, size, err);

    if (rc == 0)
        *ret_room = buffer->data + buffer->length;
    return rc;
}

void xw_buffer_commit(struct xw_buffer *buffer, size_t size)
{
    buffer->length += size;
    buffer->data[buffer->length] = '\0';
}

int xw_buffer_append(struct xw_buffer *buffer, const void *data, size_t size, struct xw_error *err)
{
    int rc = make_room(buffer, size, err);

    if (rc < 0)
        return rc;
    if (size > 0)
        memcpy(buffer->data + buffer->length, data, size);
    xw_buffer_commit(buffer, size);
    return 0;
}

int xw_buffer_append_text(struct xw_buffer *buffer, const char *text, struct xw_error *err)
{
    return xw_buffer_append(buffer, text, strlen(text), err);
}

int xw_buffer_vprintf(struct xw_buffer *buffer, struct xw_error *err, const char *format,
                      va_list args)
{
    va_list again;
    int n, rc;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        rc = xw_error_set_errno(err, "cannot format '%s'", format);
    else
        rc = make_room(buffer, (size_t)n, err);
    if (rc == 0) {
        vsnprintf(buffer->data + buffer->length, (size_t)n + 1, format, again);
        xw_buffer_commit(buffer, (size_t)n);
    }
    va_end(again);
    return rc;
}

int xw_buffer_printf(struct xw_buffer *buffer, struct xw_error *err, const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = xw_buffer_vprintf(buffer, err, format, args);
    va_end(args);
    return rc;
}

ssize_t xw_buffer_read(struct xw_buffer *buffer, int fd, size_t most, struct xw_error *err)
{
    size_t left = buffer->limit - buffer->length;
    ssize_t n;
    int rc;

    if (left == 0)
        return xw_error_set(err, EFBIG, "more than the %zu bytes allowed here", buffer->limit);
    if (most > left)
        most = left;
    rc = make_room(buffer, most, err);
    if (rc < 0)
        return rc;
    do {
        n = read(fd, buffer->data + buffer->length, most);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return -EAGAIN;
    if (n < 0)
        return xw_error_set_errno(err, "cannot read");
    xw_buffer_commit(buffer, (size_t)n);
    return n;
}

void xw_buffer_consume(struct xw_buffer *buffer, size_t size)
{
    if (size >= buffer->length) {
        xw_buffer_clear(buffer);
        return;
    }
    buffer->data += size;
    buffer->length -= size;
}

const char *xw_buffer_text(const struct xw_buffer *buffer)
{
    return buffer->data ? buffer->data : "";
}

char *xw_buffer_steal(struct xw_buffer *buffer)
{
    char *text;

    if (make_room(buffer, 0, NULL) < 0)
        return NULL;
    memmove(buffer->memory, buffer->data, buffer->length + 1);
    text = buffer->memory;
    xw_buffer_init(buffer, buffer->limit);
    return text;
}
