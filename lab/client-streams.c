/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The caller's standard streams.
 *
 * They are often shared with other programs, so they are not made non-blocking: each is asked by
 * poll first.  A pipe or socket that is ready takes PIPE_BUF bytes without blocking; a file takes
 * any number.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lab/client-internal.h"

static bool is_ready(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    return poll(&poll_fd, 1, 0) > 0;
}

static bool is_file(int fd)
{
    struct stat info;

    return fd >= 0 && fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
}

void lab_client_look_at_streams(struct lab_client *client)
{
    client->in_always_ready = is_file(client->exec.in);
    client->out_never_blocks = is_file(client->exec.out);
    client->err_never_blocks = is_file(client->exec.err);
}

ssize_t lab_client_send_input(struct lab_client *client, struct xw_error *err)
{
    size_t room = lab_bytes_room(&client->out);
    size_t most = client->window;

    /* Half of the buffer stays free for signals and the like. */
    if (client->exec.in < 0 || client->in_ended || most == 0 ||
        room < LAB_FRAME_HEADER + LAB_FRAME_MAX + client->out.size / 2 ||
        (!client->in_always_ready && !is_ready(client->exec.in, POLLIN)))
        return 0;
    if (most > LAB_FRAME_MAX)
        most = LAB_FRAME_MAX;
    unsigned char *frame = lab_bytes_end(&client->out);
    ssize_t got = read(client->exec.in, frame + LAB_FRAME_HEADER, most);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    /* A terminal that has hung up says EIO. */
    if (got < 0 && errno != EIO)
        return xw_error_set_errno(err, "standard input");
    if (got <= 0) {
        client->in_ended = true;
        got = 0;
    }
    lab_put_header(frame, LAB_FRAME_STDIN, (uint32_t)got);
    lab_bytes_produced(&client->out, LAB_FRAME_HEADER + (size_t)got);
    client->window -= (uint32_t)got;
    return got > 0 ? got : 1;
}

/* Returns the number of bytes that were taken; 0: none for now. */
static ssize_t write_output(struct lab_client *client, size_t size, struct xw_error *err)
{
    bool is_stderr = client->output_type == LAB_FRAME_STDERR;
    const unsigned char *bytes = lab_bytes_start(&client->in);
    int fd = is_stderr ? client->exec.err : client->exec.out;
    bool never_blocks = is_stderr ? client->err_never_blocks : client->out_never_blocks;

    if (client->exec.output) {
        int result = client->exec.output(client->exec.data, is_stderr, bytes, size, err);

        return result < 0 ? result : (ssize_t)size;
    }
    if (fd < 0)
        return (ssize_t)size;
    if (!never_blocks && !is_ready(fd, POLLOUT))
        size = 0;
    else if (!never_blocks && size > PIPE_BUF)
        size = PIPE_BUF;
    ssize_t written = size > 0 ? write(fd, bytes, size) : 0;
    if (written < 0 && (errno == EAGAIN || errno == EINTR))
        written = 0;
    if (written < 0)
        return xw_error_set_errno(err, "standard %s", is_stderr ? "error" : "output");
    if (written == 0)
        client->blocked_on = fd;
    return written;
}

ssize_t lab_client_pass_output(struct lab_client *client, struct xw_error *err)
{
    size_t size = lab_bytes_used(&client->in);

    client->blocked_on = -1;
    if (size > client->output_left)
        size = client->output_left;
    if (size == 0)
        return 0;
    ssize_t taken = write_output(client, size, err);
    if (taken > 0) {
        lab_bytes_consume(&client->in, (size_t)taken);
        client->output_left -= (size_t)taken;
    }
    return taken;
}
