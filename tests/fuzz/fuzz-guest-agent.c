/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest may send in place of its agent's answers, as host/guest-agent.c reads it: skipped up
 * to a mark, then a message, and so on. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "host/qmp-stream.h"
#include "host/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 1: something came out; 0: more is needed. */
static int take(struct xw_qmp_stream *stream, bool *marked)
{
    struct xw_qmp_message message;
    struct xw_error err = XW_ERROR_INIT;
    size_t skipped = 0;
    int ret;

    if (!*marked) {
        *marked = xw_qmp_stream_skip(stream, '\xff', &skipped);
        if (skipped > XW_QMP_MAX_LINE + XW_QMP_MAX_FEED)
            abort();
        return *marked;
    }
    ret = xw_qmp_stream_next(stream, &message, &err);
    if (ret < 0 && err.code != -ret)
        abort();
    if (ret > 0)
        json_decref(message.json);
    *marked = ret == 0; /* after garbage, and after an answer, the next mark is looked for */
    return ret != 0;
}

/* The first byte is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xw_qmp_stream *stream;
    bool marked = false;
    size_t piece;

    if (size < 2 || !(stream = xw_qmp_stream_new()))
        return 0;
    piece = data[0] ? data[0] : XW_QMP_MAX_FEED;
    for (size_t at = 1; at < size; at += piece) {
        if (xw_qmp_stream_feed(stream, data + at, size - at < piece ? size - at : piece, NULL))
            abort();
        while (take(stream, &marked))
            ;
    }
    xw_qmp_stream_free(stream);
    return 0;
}
