/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qmp-stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "host/qmp.h"

struct xw_qmp_stream {
    struct xw_buffer buffer;
    size_t scanned; /* bytes at the front of buffer known to hold no newline */
    bool marked;    /* a line begins behind the last `mark` in it */
    char mark;
};

struct xw_qmp_stream *xw_qmp_stream_new(void)
{
    struct xw_qmp_stream *stream = calloc(1, sizeof(*stream));

    if (stream)
        xw_buffer_init(&stream->buffer, XW_QMP_MAX_LINE + XW_QMP_MAX_FEED);
    return stream;
}

void xw_qmp_stream_free(struct xw_qmp_stream *stream)
{
    if (!stream)
        return;
    xw_buffer_free(&stream->buffer);
    free(stream);
}

int xw_qmp_stream_feed(struct xw_qmp_stream *stream, const void *bytes, size_t size,
                       struct xw_error *err)
{
    return xw_buffer_append(&stream->buffer, bytes, size, err);
}

static int classify(struct xw_qmp_message *message, struct xw_error *err)
{
    const json_t *json = message->json;
    const json_t *error = json_object_get(json, "error");

    if (json_is_string(json_object_get(json, "event"))) {
        message->kind = XW_QMP_EVENT;
    } else if (json_is_string(json_object_get(error, "class")) &&
               json_is_string(json_object_get(error, "desc"))) {
        message->kind = XW_QMP_ERROR;
    } else if (json_object_get(json, "return")) {
        message->kind = XW_QMP_RETURN;
    } else if (json_is_object(json_object_get(json, "QMP"))) {
        message->kind = XW_QMP_GREETING;
    } else {
        return xw_error_set(err, EPROTO, "a message that is no greeting, answer or event arrived");
    }
    return 0;
}

/* One line, without its end. A blank one is 0, as is "more needed" for the caller. */
static int parse_line(const char *line, size_t length, struct xw_qmp_message *message,
                      struct xw_error *err)
{
    static const struct xw_json_limits limits = {.size = XW_QMP_MAX_LINE,
                                                 .depth = XW_QMP_MAX_DEPTH};
    int ret;

    while (length && (line[length - 1] == '\r' || line[length - 1] == ' '))
        length--;
    if (!length)
        return 0;

    ret = xw_json_parse(line, length, "message", &limits, &message->json, err);
    if (ret == -ENOMEM)
        return ret;
    if (ret) {
        if (err)
            err->code = EPROTO;
        return -EPROTO;
    }

    ret = classify(message, err);
    if (ret) {
        json_decref(message->json);
        message->json = NULL;
        return ret;
    }
    return 1;
}

/* How much of a line is what remained of another one. */
static size_t ahead(const struct xw_qmp_stream *stream, size_t length)
{
    const char *line = stream->buffer.data;
    const char *mark = stream->marked ? memrchr(line, stream->mark, length) : NULL;

    return mark ? (size_t)(mark - line) + 1 : 0;
}

int xw_qmp_stream_next(struct xw_qmp_stream *stream, struct xw_qmp_message *message,
                       struct xw_error *err)
{
    struct xw_buffer *buffer = &stream->buffer;
    int ret = 0;

    while (ret == 0) {
        const char *newline = NULL;
        size_t length;

        if (buffer->length > stream->scanned)
            newline = memchr(buffer->data + stream->scanned, '\n',
                             buffer->length - stream->scanned);
        length = newline ? (size_t)(newline - buffer->data) : buffer->length;
        if (length > XW_QMP_MAX_LINE)
            return xw_error_set(err, EPROTO, "a line of more than %d bytes arrived",
                                XW_QMP_MAX_LINE);
        if (!newline) {
            stream->scanned = length;
            return 0;
        }

        ret = parse_line(buffer->data + ahead(stream, length), length - ahead(stream, length),
                         message, err);
        xw_buffer_consume(buffer, length + 1);
        stream->scanned = 0;
    }
    return ret;
}

bool xw_qmp_stream_skip(struct xw_qmp_stream *stream, char mark, size_t *skipped)
{
    struct xw_buffer *buffer = &stream->buffer;
    const char *found = buffer->length ? memchr(buffer->data, mark, buffer->length) : NULL;
    size_t size = found ? (size_t)(found - buffer->data) + 1 : buffer->length;

    xw_buffer_consume(buffer, size);
    stream->scanned = 0;
    stream->marked = true;
    stream->mark = mark;
    *skipped += size;
    return found;
}
