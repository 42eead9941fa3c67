/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client sends to the agent: lab/agent/stream.c and the EXEC requests of spawn.c, with a
 * program that is never started.  Whatever came before, a HELLO after enough padding is answered.
 * The first byte says how many bytes come at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/agent/agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- in the place of loop.c, program.c and personalise.c ---- */

int agent_source_open(struct agent_source *source, int fd,
                      void (*ready)(struct agent_source *source))
{
    *source = (struct agent_source){.ready = ready, .fd = fd, .readable = true, .writable = true};
    return 0;
}

void agent_source_forget(struct agent_source *source)
{
    source->fd = -1;
}

void agent_loop_queue(struct agent_loop_work *work)
{
    (void)work;
}

void agent_program_start(struct agent_stream *stream, const unsigned char *payload, size_t size)
{
    static struct agent_program program;
    struct agent_request request;
    size_t total = 0;

    if (agent_request_parse(&request, payload, size) < 0) {
        agent_stream_failed(stream, EPROTO, "malformed");
        return;
    }
    for (char **string = request.argv; *string; string++)
        total += strlen(*string) + 1;
    for (char **string = request.env; *string; string++)
        total += strlen(*string) + 1;
    if (total > size + 256) /* the environment's defaults are added */
        abort();
    free(request.argv);
    stream->program = &program;
}

bool agent_program_pump(struct agent_program *program)
{
    (void)program;
    return false;
}

int agent_program_input(struct agent_program *program, const unsigned char *bytes, size_t size)
{
    (void)program;
    (void)bytes;
    return size % 7 == 6 ? -EPROTO : 0;
}

void agent_program_signal(struct agent_program *program, uint32_t number)
{
    program->value = number;
}

void agent_program_window(struct agent_program *program, uint16_t columns, uint16_t rows)
{
    program->value = columns + (uint32_t)rows;
}

void agent_program_orphan(struct agent_program *program)
{
    program->dead = true;
}

int agent_personalise(char *lines, struct agent_failure *failure)
{
    *failure = (struct agent_failure){.error = EINVAL};
    return *lines ? -EINVAL : 0;
}

/* ---- */

struct memory_transport {
    struct lab_transport base;
    const uint8_t *data;
    size_t left, step;
    unsigned char last[LAB_FRAME_HEADER + LAB_HELLO_SIZE]; /* of what was written */
};

static ssize_t memory_read(struct lab_transport *transport, void *bytes, size_t size)
{
    struct memory_transport *memory = (struct memory_transport *)(void *)transport;

    if (memory->left == 0)
        return -EAGAIN;
    if (size > memory->step)
        size = memory->step;
    if (size > memory->left)
        size = memory->left;
    memcpy(bytes, memory->data, size);
    memory->data += size;
    memory->left -= size;
    return (ssize_t)size;
}

static ssize_t memory_write(struct lab_transport *transport, const void *bytes, size_t size)
{
    struct memory_transport *memory = (struct memory_transport *)(void *)transport;
    size_t kept = sizeof(memory->last);

    if (size >= kept)
        memcpy(memory->last, (const unsigned char *)bytes + size - kept, kept);
    return (ssize_t)size;
}

static void memory_close(struct lab_transport *transport)
{
    (void)transport;
}

static const struct lab_transport_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .close = memory_close,
};

static void feed(struct agent_stream *stream, struct memory_transport *memory, const uint8_t *data,
                 size_t size)
{
    memory->data = data;
    memory->left = size;
    stream->link.readable = true;
    while (stream->work.pump(&stream->work))
        continue;
    if (memory->left)
        abort(); /* it stopped reading */
}

/* Whether a HELLO gets its answer now. */
static bool greets(struct agent_stream *stream, struct memory_transport *memory,
                   const uint8_t *hello, size_t size)
{
    memset(memory->last, 0, sizeof(memory->last));
    feed(stream, memory, hello, size);
    return memcmp(memory->last, hello, size) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t padding[LAB_FRAME_HEADER + LAB_FRAME_MAX];
    struct memory_transport memory = {.base = {.ops = &memory_ops, .fd = -1}};
    struct agent_stream stream = {0};
    uint8_t hello[LAB_FRAME_HEADER + LAB_HELLO_SIZE];

    if (size < 1 || agent_stream_open(&stream, &memory.base, NULL) < 0)
        return 0;
    memory.step = 1 + data[0] * 64u;
    lab_put_header(hello, LAB_FRAME_HELLO, LAB_HELLO_SIZE);
    lab_put32(hello + LAB_FRAME_HEADER, LAB_PROTOCOL_VERSION);
    memset(hello + LAB_FRAME_HEADER + 4, 0x5a, LAB_NONCE_SIZE);
    if (data[0] % 2)
        feed(&stream, &memory, hello, sizeof(hello));
    feed(&stream, &memory, data + 1, size - 1);

    if (!greets(&stream, &memory, hello, sizeof(hello))) {
        memory.step = sizeof(padding);
        feed(&stream, &memory, padding, sizeof(padding));
        if (!greets(&stream, &memory, hello, sizeof(hello)))
            abort();
    }
    agent_stream_close(&stream);
    return 0;
}
