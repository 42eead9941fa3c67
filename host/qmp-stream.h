/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP's bytes turned into messages: one line of JSON each, checked to be one of the four kinds
 * that QEMU sends. No input or output in here, so that a fuzzer can feed it.
 */
#ifndef XENWRIGHT_HOST_QMP_STREAM_H
#define XENWRIGHT_HOST_QMP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <xenwright/error.h>

enum xw_qmp_kind {
    XW_QMP_GREETING, /* "QMP": an object */
    XW_QMP_RETURN,   /* "return": anything; perhaps "id" */
    XW_QMP_ERROR,    /* "error": { "class": string, "desc": string }; perhaps "id" */
    XW_QMP_EVENT,    /* "event": string; perhaps "data" */
};

struct xw_qmp_message {
    enum xw_qmp_kind kind;
    json_t *json; /* the whole object; the receiver's to json_decref() */
};

struct xw_qmp_stream;

/* NULL: out of memory. */
struct xw_qmp_stream *xw_qmp_stream_new(void);
void xw_qmp_stream_free(struct xw_qmp_stream *stream); /* NULL is allowed */

#define XW_QMP_MAX_FEED (64 * 1024)

/*
 * Adds received bytes, XW_QMP_MAX_FEED at most. Take all messages with xw_qmp_stream_next() before
 * adding more: there is room for one line of the greatest length and one feed.
 */
int xw_qmp_stream_feed(struct xw_qmp_stream *stream, const void *bytes, size_t size,
                       struct xw_error *err);

/*
 * Takes the next whole message. 1 and *message filled; 0 where more bytes are needed; -EPROTO
 * where a line is too long or is no QMP message (the stream is of no use after that).
 */
int xw_qmp_stream_next(struct xw_qmp_stream *stream, struct xw_qmp_message *message,
                       struct xw_error *err);

/*
 * Throws away what was fed, up to and with the first byte `mark`: true. false: there is none, all
 * of it is thrown away. *skipped grows by how much that was. From here on a line may have the mark
 * in it, and what is before the last of them does not count: a peer that was cut off.
 */
bool xw_qmp_stream_skip(struct xw_qmp_stream *stream, char mark, size_t *skipped);

#endif
