/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serves one stream that the agent inherited.  The agent ends with it. */
#include <errno.h>
#include <stdlib.h>

#include "agent.h"

static void lost(struct agent_stream *stream, int error)
{
    (void)error;
    agent_stream_close(stream);
    agent_loop_quit();
}

static int start(const char *argument)
{
    static struct agent_stream stream;
    char *end;
    long fd = strtol(argument, &end, 10);

    if (*end || end == argument || fd < 0 || fd > 1 << 20)
        return -EBADF;
    struct lab_transport *transport = lab_transport_fd((int)fd);
    return transport ? agent_stream_open(&stream, transport, lost) : -errno;
}

const struct agent_listener agent_listener_fd = {
    .option = "--fd",
    .argument = "NUMBER",
    .help = "serve one client on an open descriptor, then end",
    .start = start,
};
