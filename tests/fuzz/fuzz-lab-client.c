/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an agent sends to the client.  The first byte chooses what the client has asked for and how
 * many bytes come at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/client-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory_transport {
    struct lab_transport base;
    const uint8_t *data;
    size_t left, step;
};

static ssize_t memory_read(struct lab_transport *transport, void *bytes, size_t size)
{
    struct memory_transport *memory = (struct memory_transport *)(void *)transport;

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
    (void)transport;
    (void)bytes;
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

static int take_output(void *data, bool is_stderr, const void *bytes, size_t size,
                       struct xw_error *err)
{
    size_t *total = data;

    (void)is_stderr;
    (void)bytes;
    (void)err;
    *total += size;
    return 0;
}

static int start(struct lab_client *client, int which, size_t *total)
{
    struct lab_exec exec = {
        .argv = (const char *const[]){"true", NULL},
        .in = -1,
        .output = take_output,
        .data = total,
    };

    if (which == 0)
        return lab_client_start_ping(client, -1, NULL);
    if (which == 1)
        return lab_client_start_personalise(client, "", -1, NULL);
    return lab_client_start_exec(client, &exec, -1, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_transport memory = {.base = {.ops = &memory_ops, .fd = -1}};
    struct lab_client *client;
    size_t total = 0;
    int rc;

    if (size < 1 || lab_client_open(&client, &memory.base, "fuzz", NULL) < 0)
        return 0;
    memory.data = data + 1;
    memory.left = size - 1;
    memory.step = 1 + data[0] / 4;
    /* A nonce of zeroes; three of four inputs start behind the answer that carries it. */
    client->synced = data[0] % 4 != 3;
    if (start(client, data[0] % 4, &total) < 0)
        abort();
    while ((rc = lab_client_step(client, NULL, 0, NULL)) == LAB_CLIENT_WAITING)
        continue;
    if (total > size || client->window > LAB_STDIN_WINDOW)
        abort();
    lab_client_close(client);
    return 0;
}
