/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One stream: finds the frames in what arrives, answers them, and sends what is queued. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"

#define IN_SIZE (2 * (LAB_FRAME_MAX + LAB_FRAME_HEADER))
#define OUT_SIZE (4 * (LAB_FRAME_MAX + LAB_FRAME_HEADER) + AGENT_STREAM_RESERVE)

/* How often a stream may go round in one turn of the loop before the others get theirs. */
#define ROUNDS 16

bool agent_stream_has_room(struct agent_stream *stream, size_t payload)
{
    return lab_bytes_room(&stream->out) >= LAB_FRAME_HEADER + payload;
}

void agent_stream_put(struct agent_stream *stream, enum lab_frame_type type, const void *payload,
                      size_t size)
{
    unsigned char *frame = lab_bytes_end(&stream->out);

    lab_put_header(frame, type, (uint32_t)size);
    if (size > 0)
        memcpy(frame + LAB_FRAME_HEADER, payload, size);
    lab_bytes_produced(&stream->out, LAB_FRAME_HEADER + size);
}

void agent_stream_failed(struct agent_stream *stream, int error, const char *format, ...)
{
    unsigned char payload[4 + 512];
    va_list args;

    lab_put32(payload, (uint32_t)error);
    va_start(args, format);
    vsnprintf((char *)payload + 4, sizeof(payload) - 4, format, args);
    va_end(args);
    agent_stream_put(stream, LAB_FRAME_FAILED, payload, 4 + strlen((char *)payload + 4));
}

void agent_stream_poke(struct agent_stream *stream)
{
    agent_loop_queue(&stream->work);
}

void agent_stream_reset(struct agent_stream *stream)
{
    if (stream->program)
        agent_program_orphan(stream->program);
    stream->program = NULL;
    stream->greeted = false;
    lab_bytes_clear(&stream->out);
}

static void greet(struct agent_stream *stream, const unsigned char *payload)
{
    unsigned char answer[LAB_HELLO_SIZE];

    agent_stream_reset(stream);
    lab_put32(answer, LAB_PROTOCOL_VERSION);
    memcpy(answer + 4, payload + 4, LAB_NONCE_SIZE);
    agent_stream_put(stream, LAB_FRAME_HELLO, answer, sizeof(answer));
    stream->greeted = true;
}

static void personalise(struct agent_stream *stream, const unsigned char *payload, size_t size)
{
    char lines[LAB_FRAME_MAX + 1];
    struct agent_failure failure;

    memcpy(lines, payload, size);
    lines[size] = '\0';
    if (strlen(lines) != size)
        agent_stream_failed(stream, EINVAL, "personalise: a NUL byte in the request");
    else if (agent_personalise(lines, &failure) < 0)
        agent_stream_failed(stream, failure.error, "%s", failure.text);
    else
        agent_stream_put(stream, LAB_FRAME_DONE, NULL, 0);
}

/* Frames for a running program.  Those that come after its end crossed its EXIT on the way. */
static int pass_on(struct agent_stream *stream, enum lab_frame_type type,
                   const unsigned char *payload, size_t size)
{
    if (!stream->program)
        return 0;
    if (type == LAB_FRAME_STDIN)
        return agent_program_input(stream->program, payload, size);
    if (size != 4)
        return -EPROTO;
    if (type == LAB_FRAME_SIGNAL)
        agent_program_signal(stream->program, lab_get32(payload));
    else
        agent_program_window(stream->program, lab_get16(payload), lab_get16(payload + 2));
    return 0;
}

/* Returns 0, -EAGAIN if the frame has to wait until there is room for the answer, or -EPROTO. */
static int handle(struct agent_stream *stream, enum lab_frame_type type,
                  const unsigned char *payload, size_t size)
{
    switch (type) {
    case LAB_FRAME_HELLO:
        if (size != LAB_HELLO_SIZE)
            return -EPROTO;
        greet(stream, payload);
        return 0;
    case LAB_FRAME_STDIN:
    case LAB_FRAME_SIGNAL:
    case LAB_FRAME_WINDOW:
        return pass_on(stream, type, payload, size);
    case LAB_FRAME_EXEC:
    case LAB_FRAME_PERSONALISE:
    case LAB_FRAME_PING:
        break;
    default:
        return -EPROTO;
    }
    if (!agent_stream_has_room(stream, AGENT_STREAM_RESERVE +
                                           (type == LAB_FRAME_PING ? size : 0)))
        return -EAGAIN;
    if (type == LAB_FRAME_PING)
        agent_stream_put(stream, LAB_FRAME_PONG, payload, size);
    else if (stream->program)
        agent_stream_failed(stream, EBUSY, "a program is already running on this stream");
    else if (type == LAB_FRAME_EXEC)
        agent_program_start(stream, payload, size);
    else
        personalise(stream, payload, size);
    return 0;
}

/* Skips to what may be a HELLO.  Returns whether there is a whole one at the start. */
static bool seek_hello(struct lab_bytes *in)
{
    static const unsigned char header[LAB_FRAME_HEADER] = {LAB_FRAME_HELLO, 0, 0, 0,
                                                           LAB_HELLO_SIZE};

    while (lab_bytes_used(in) > 0) {
        const unsigned char *start = lab_bytes_start(in);
        size_t used = lab_bytes_used(in);
        size_t known = used < sizeof(header) ? used : sizeof(header);

        if (memcmp(start, header, known) == 0)
            return used >= LAB_FRAME_HEADER + LAB_HELLO_SIZE;
        const unsigned char *next = memchr(start + 1, LAB_FRAME_HELLO, used - 1);
        lab_bytes_consume(in, next ? (size_t)(next - start) : used);
    }
    return false;
}

/* Handles the frame at the start of the input.  Returns false when that has to wait. */
static bool take_frame(struct agent_stream *stream)
{
    struct lab_bytes *in = &stream->in;

    if (!stream->greeted && !seek_hello(in))
        return false;
    while (lab_bytes_used(in) > 0 && *lab_bytes_start(in) == LAB_FRAME_PAD)
        lab_bytes_consume(in, 1);
    if (lab_bytes_used(in) < LAB_FRAME_HEADER)
        return false;

    const unsigned char *frame = lab_bytes_start(in);
    size_t size = lab_get32(frame + 4);
    int result = -EPROTO;

    if (lab_header_sane(frame)) {
        if (lab_bytes_used(in) < LAB_FRAME_HEADER + size)
            return false;
        result = handle(stream, frame[0], frame + LAB_FRAME_HEADER, size);
    }
    if (result == -EAGAIN)
        return false;
    if (result == 0) {
        lab_bytes_consume(in, LAB_FRAME_HEADER + size);
    } else { /* not understood: only a HELLO helps now, and it may begin with the next byte */
        agent_stream_reset(stream);
        lab_bytes_consume(in, 1);
    }
    return true;
}

static void hang_up(struct agent_stream *stream, int error)
{
    agent_stream_reset(stream);
    lab_bytes_clear(&stream->in);
    stream->lost(stream, error);
}

/* Reads what has come.  Returns whether there was something. */
static bool receive(struct agent_stream *stream)
{
    size_t room = lab_bytes_room(&stream->in);

    if (!stream->link.readable || room == 0)
        return false;
    ssize_t got = stream->transport->ops->read(stream->transport, lab_bytes_end(&stream->in),
                                               room);
    if (got > 0) {
        lab_bytes_produced(&stream->in, (size_t)got);
        return true;
    }
    stream->link.readable = false;
    if (got != -EAGAIN)
        hang_up(stream, (int)got);
    return false;
}

static bool transmit(struct agent_stream *stream)
{
    size_t used = lab_bytes_used(&stream->out);

    if (!stream->link.writable || used == 0)
        return false;
    ssize_t sent = stream->transport->ops->write(stream->transport,
                                                 lab_bytes_start(&stream->out), used);
    if (sent > 0) {
        lab_bytes_consume(&stream->out, (size_t)sent);
        return true;
    }
    /* A peer that has gone is noticed by reading. */
    stream->link.writable = false;
    return false;
}

static bool pump(struct agent_loop_work *work)
{
    struct agent_stream *stream = agent_container_of(work, struct agent_stream, work);
    bool moved = stream->transport != NULL;

    for (int round = 0; moved && round < ROUNDS; round++) {
        moved = receive(stream);
        if (!stream->transport)
            return false;
        while (take_frame(stream))
            moved = true;
        if (stream->program && agent_program_pump(stream->program))
            moved = true;
        if (transmit(stream))
            moved = true;
    }
    return moved;
}

static void link_ready(struct agent_source *source)
{
    struct agent_stream *stream = agent_container_of(source, struct agent_stream, link);
    const struct lab_transport_ops *ops = stream->transport->ops;

    if (source->readable && ops->woken)
        ops->woken(stream->transport);
    if (ops->write_wakes_as_input)
        source->writable = source->readable = true;
    agent_stream_poke(stream);
}

int agent_stream_open(struct agent_stream *stream, struct lab_transport *transport,
                      void (*lost)(struct agent_stream *stream, int error))
{
    int result = lab_bytes_alloc(&stream->in, IN_SIZE);

    stream->link.fd = -1;
    stream->transport = transport;
    if (result == 0)
        result = lab_bytes_alloc(&stream->out, OUT_SIZE);
    if (result == 0)
        result = agent_source_open(&stream->link, transport->fd, link_ready);
    if (result < 0) {
        agent_stream_close(stream);
        return result;
    }
    stream->lost = lost;
    stream->work.pump = pump;
    agent_stream_poke(stream);
    return 0;
}

void agent_stream_close(struct agent_stream *stream)
{
    agent_stream_reset(stream);
    agent_source_forget(&stream->link);
    stream->transport->ops->close(stream->transport);
    stream->transport = NULL;
    lab_bytes_free(&stream->in);
    lab_bytes_free(&stream->out);
}
