/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qmp-link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

int xw_qmp_link_open(struct xw_qmp_link *link, int fd, const char *name, const char *peer,
                     struct xw_error *err)
{
    *link = (struct xw_qmp_link){
        .fd = fd, .peer = peer, .name = strdup(name), .stream = xw_qmp_stream_new()};
    if (link->name && link->stream)
        return 0;
    return xw_error_set(err, ENOMEM, "%s: no memory for a connection", name);
}

void xw_qmp_link_close(struct xw_qmp_link *link)
{
    close(link->fd);
    xw_qmp_stream_free(link->stream);
    free(link->name);
}

int xw_qmp_link_break(struct xw_qmp_link *link, int code, const struct xw_error *err)
{
    link->broken = *err;
    link->broken.code = -code;
    return code;
}

/* Waits for the socket. -ETIMEDOUT leaves *err alone. */
static int wait_ready(struct xw_qmp_link *link, short events, int64_t deadline,
                      struct xw_error *err)
{
    for (;;) {
        struct pollfd wait = {.fd = link->fd, .events = events};
        int ret = poll(&wait, 1, xw_deadline_left(deadline));

        if (ret > 0)
            return 0;
        if (ret == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return xw_qmp_link_break(
                link, xw_error_set_errno(err, "cannot wait for %s", link->peer), err);
    }
}

static int closed(const struct xw_qmp_link *link, struct xw_error *err)
{
    return xw_error_set(err, ECONNRESET, "%s closed the connection (it has ended or been killed)",
                        link->peer);
}

static int receive_bytes(struct xw_qmp_link *link, struct xw_error *err)
{
    char bytes[16 * 1024];
    ssize_t got = recv(link->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    int ret;

    if (got > 0) {
        ret = xw_qmp_stream_feed(link->stream, bytes, (size_t)got, err);
        return ret ? xw_qmp_link_break(link, ret, err) : 0;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0 && errno != ECONNRESET)
        return xw_qmp_link_break(link, xw_error_set_errno(err, "cannot read"), err);
    return xw_qmp_link_break(link, closed(link, err), err);
}

/* Some more bytes. A peer that never stops sending does not get past the deadline. */
static int receive_more(struct xw_qmp_link *link, bool first, int64_t deadline,
                        struct xw_error *err)
{
    int ret = !first && xw_deadline_left(deadline) == 0 ? -ETIMEDOUT : 0;

    if (!ret)
        ret = wait_ready(link, POLLIN, deadline, err);
    return ret ? ret : receive_bytes(link, err);
}

int xw_qmp_link_receive(struct xw_qmp_link *link, int64_t deadline, struct xw_qmp_message *message,
                        struct xw_error *err)
{
    for (bool first = true;; first = false) {
        int ret = xw_qmp_stream_next(link->stream, message, err);

        if (ret > 0)
            return 0;
        if (ret < 0)
            return xw_qmp_link_break(link, ret, err);
        ret = receive_more(link, first, deadline, err);
        if (ret)
            return ret;
    }
}

int xw_qmp_link_skip(struct xw_qmp_link *link, char mark, size_t most, int64_t deadline,
                     struct xw_error *err)
{
    size_t skipped = 0;

    for (bool first = true; !xw_qmp_stream_skip(link->stream, mark, &skipped); first = false) {
        int ret =
            skipped > most ? xw_error_set(err, EPROTO, "%s sends without end", link->peer) : 0;

        if (ret)
            return xw_qmp_link_break(link, ret, err);
        ret = receive_more(link, first, deadline, err);
        if (ret)
            return ret;
    }
    return 0;
}

int xw_qmp_link_refusal(const json_t *message, const char *command, struct xw_error *err)
{
    const json_t *error = json_object_get(message, "error");
    const char *class = json_string_value(json_object_get(error, "class"));
    const char *why = json_string_value(json_object_get(error, "desc"));
    int code = EREMOTEIO;

    if (!strcmp(class, "CommandNotFound"))
        code = EOPNOTSUPP;
    else if (!strcmp(class, "DeviceNotFound"))
        code = ENODEV;
    return xw_error_set(err, code, "%s: %s", command, why);
}

/* One sendmsg(); a descriptor goes with the first byte. Bytes sent, or -1 with errno. */
static ssize_t send_some(int fd, const char *bytes, size_t size, int pass_fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (pass_fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control.room);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &pass_fd, sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int xw_qmp_link_send(struct xw_qmp_link *link, const char *bytes, size_t size, int pass_fd,
                     int64_t deadline, struct xw_error *err)
{
    size_t sent = 0;

    while (sent < size) {
        ssize_t some = send_some(link->fd, bytes + sent, size - sent, sent ? -1 : pass_fd);
        int ret = 0;

        if (some >= 0)
            sent += (size_t)some;
        else if (errno == EAGAIN)
            ret = wait_ready(link, POLLOUT, deadline, err);
        else if (errno == EPIPE || errno == ECONNRESET)
            ret = closed(link, err);
        else if (errno != EINTR)
            ret = xw_error_set_errno(err, "cannot send");
        if (ret == -ETIMEDOUT)
            xw_error_set(err, ETIMEDOUT, "%s takes no commands", link->peer);
        if (ret)
            return xw_qmp_link_break(link, ret, err);
    }
    return 0;
}

int xw_qmp_link_report(const struct xw_qmp_link *link, int ret, struct xw_error *problem,
                       struct xw_error *err)
{
    if (ret && err) {
        *err = *problem;
        xw_error_prefix(err, "%s", link->name);
    }
    return ret;
}
