/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU, or anything in its place, may send: any bytes, in pieces of any size. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "host/qmp-stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0: go on; else the stream is of no use any more. */
static int take_messages(struct xw_qmp_stream *stream)
{
    for (;;) {
        struct xw_qmp_message message;
        struct xw_error err = XW_ERROR_INIT;
        int ret = xw_qmp_stream_next(stream, &message, &err);

        if (ret < 0 && err.code != -ret)
            abort();
        if (ret <= 0)
            return ret;
        if (!json_is_object(message.json))
            abort();
        if (message.kind == XW_QMP_EVENT &&
            !json_is_string(json_object_get(message.json, "event")))
            abort();
        json_decref(message.json);
    }
}

/* The first byte is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xw_qmp_stream *stream;
    size_t piece;

    if (size < 2)
        return 0;
    stream = xw_qmp_stream_new();
    if (!stream)
        return 0;
    piece = data[0] ? data[0] : XW_QMP_MAX_FEED;
    for (size_t at = 1; at < size; at += piece) {
        if (xw_qmp_stream_feed(stream, data + at, size - at < piece ? size - at : piece, NULL))
            abort();
        if (take_messages(stream))
            break;
    }
    xw_qmp_stream_free(stream);
    return 0;
}
