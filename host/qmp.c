/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/socket.h"
#include "host/qmp-stream.h"

struct xw_qmp {
    int fd;
    char *name;
    struct xw_qmp_stream *stream;
    json_t *events;         /* array, oldest first */
    int64_t last_id;        /* of the last command sent */
    struct xw_error broken; /* code 0: it works */
};

/*
 * Records that the connection can no longer be used, with what is in *err, so that later calls
 * say the same. Returns `code`.
 */
static int break_connection(struct xw_qmp *qmp, int code, const struct xw_error *err)
{
    qmp->broken = *err;
    qmp->broken.code = -code;
    return code;
}

/* Waits for the socket. -ETIMEDOUT leaves *err alone: only the caller knows what did not come. */
static int wait_ready(struct xw_qmp *qmp, short events, int64_t deadline, struct xw_error *err)
{
    for (;;) {
        struct pollfd wait = {.fd = qmp->fd, .events = events};
        int ret = poll(&wait, 1, xw_deadline_left(deadline));

        if (ret > 0)
            return 0;
        if (ret == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return break_connection(qmp, xw_error_set_errno(err, "cannot wait for QEMU"), err);
    }
}

static int receive_bytes(struct xw_qmp *qmp, struct xw_error *err)
{
    char bytes[16 * 1024];
    ssize_t got = recv(qmp->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    int ret;

    if (got > 0) {
        ret = xw_qmp_stream_feed(qmp->stream, bytes, (size_t)got, err);
        return ret ? break_connection(qmp, ret, err) : 0;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0 && errno != ECONNRESET)
        return break_connection(qmp, xw_error_set_errno(err, "cannot read"), err);
    ret = xw_error_set(err, ECONNRESET, "QEMU closed the connection (it has ended or been killed)");
    return break_connection(qmp, ret, err);
}

/* The next message of any kind; -ETIMEDOUT leaves *err alone. */
static int receive(struct xw_qmp *qmp, int64_t deadline, struct xw_qmp_message *message,
                   struct xw_error *err)
{
    for (;;) {
        int ret = xw_qmp_stream_next(qmp->stream, message, err);

        if (ret > 0)
            return 0;
        if (ret < 0)
            return break_connection(qmp, ret, err);
        ret = wait_ready(qmp, POLLIN, deadline, err);
        if (!ret)
            ret = receive_bytes(qmp, err);
        if (ret)
            return ret;
    }
}

/* Takes over the reference to `event`. */
static int keep_event(struct xw_qmp *qmp, json_t *event, struct xw_error *err)
{
    if (json_array_size(qmp->events) >= XW_QMP_MAX_EVENTS) {
        xw_log(XW_LOG_DEBUG, "%s: more than %d events unread, the oldest is dropped", qmp->name,
               XW_QMP_MAX_EVENTS);
        json_array_remove(qmp->events, 0);
    }
    if (json_array_append_new(qmp->events, event))
        return xw_error_set(err, ENOMEM, "no memory for an event");
    return 0;
}

/* What QEMU says when it refuses: {"class": …, "desc": …}. */
static int refusal(const json_t *message, const char *command, struct xw_error *err)
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

/*
 * Is this an answer to our last command? 1 yes; 0 no, to an earlier one that was given up. An
 * error without an id comes from a QEMU that could not even read the command, so it is ours.
 */
static int is_ours(struct xw_qmp *qmp, const struct xw_qmp_message *message, struct xw_error *err)
{
    const json_t *id = json_object_get(message->json, "id");
    int ret;

    if (!id && message->kind == XW_QMP_ERROR)
        return 1;
    if (json_is_integer(id) && json_integer_value(id) == qmp->last_id)
        return 1;
    if (json_is_integer(id) && json_integer_value(id) > 0 && json_integer_value(id) < qmp->last_id)
        return 0;
    ret = xw_error_set(err, EPROTO, "an answer to a command that was never sent arrived");
    return break_connection(qmp, ret, err);
}

static int await_answer(struct xw_qmp *qmp, const char *command, int64_t deadline, json_t **reply,
                        struct xw_error *err)
{
    for (;;) {
        struct xw_qmp_message message;
        int ret = receive(qmp, deadline, &message, err);

        if (ret == -ETIMEDOUT)
            return xw_error_set(err, ETIMEDOUT, "%s: no answer in time", command);
        if (ret)
            return ret;

        switch (message.kind) {
        case XW_QMP_EVENT:
            ret = keep_event(qmp, message.json, err);
            if (ret)
                return ret;
            continue;
        case XW_QMP_GREETING:
            json_decref(message.json);
            ret = xw_error_set(err, EPROTO, "a second greeting arrived");
            return break_connection(qmp, ret, err);
        case XW_QMP_RETURN:
        case XW_QMP_ERROR:
            ret = is_ours(qmp, &message, err);
            break;
        }

        if (ret > 0 && message.kind == XW_QMP_ERROR)
            ret = refusal(message.json, command, err);
        else if (ret > 0 && reply)
            *reply = json_incref(json_object_get(message.json, "return"));
        json_decref(message.json);
        if (ret)
            return ret < 0 ? ret : 0;
    }
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

/* A command sent in part would garble all that follow, so giving up breaks the connection. */
static int send_all(struct xw_qmp *qmp, const char *bytes, size_t size, int pass_fd,
                    int64_t deadline, struct xw_error *err)
{
    size_t sent = 0;

    while (sent < size) {
        ssize_t some = send_some(qmp->fd, bytes + sent, size - sent, sent ? -1 : pass_fd);
        int ret = 0;

        if (some >= 0)
            sent += (size_t)some;
        else if (errno == EAGAIN)
            ret = wait_ready(qmp, POLLOUT, deadline, err);
        else if (errno == EPIPE || errno == ECONNRESET)
            ret = xw_error_set(err, ECONNRESET,
                               "QEMU closed the connection (it has ended or been killed)");
        else if (errno != EINTR)
            ret = xw_error_set_errno(err, "cannot send");
        if (ret == -ETIMEDOUT)
            xw_error_set(err, ETIMEDOUT, "QEMU takes no commands");
        if (ret)
            return break_connection(qmp, ret, err);
    }
    return 0;
}

/* Takes over the reference to `arguments`. */
static int send_command(struct xw_qmp *qmp, const char *command, json_t *arguments, int pass_fd,
                        int64_t deadline, struct xw_error *err)
{
    xw_auto_json json_t *request = json_object();
    xw_auto_buffer struct xw_buffer line = XW_BUFFER_INIT(XW_QMP_MAX_LINE);
    int failed = json_object_set_new(request, "execute", json_string(command));
    int ret;

    if (arguments)
        failed |= json_object_set_new(request, "arguments", arguments);
    failed |= json_object_set_new(request, "id", json_integer(qmp->last_id + 1));
    if (failed)
        return xw_error_set(err, EINVAL, "%s: its name or arguments are no JSON text", command);

    ret = xw_json_print_line(request, &line, err);
    if (!ret)
        ret = xw_buffer_append_text(&line, "\n", err);
    if (ret) {
        xw_error_prefix(err, "%s", command);
        return ret;
    }
    qmp->last_id++;
    return send_all(qmp, line.data, line.length, pass_fd, deadline, err);
}

/* Hands a failure of a public function to its caller, with the peer's name in front. */
static int report(const struct xw_qmp *qmp, int ret, struct xw_error *problem,
                  struct xw_error *err)
{
    if (ret && err) {
        *err = *problem;
        xw_error_prefix(err, "%s", qmp->name);
    }
    return ret;
}

int xw_qmp_execute_fd(struct xw_qmp *qmp, const char *command, json_t *arguments, int pass_fd,
                      int timeout_ms, json_t **reply, struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    int64_t deadline = xw_deadline(timeout_ms);
    int ret;

    if (qmp->broken.code) {
        json_decref(arguments);
        return report(qmp, -qmp->broken.code, &qmp->broken, err);
    }
    ret = send_command(qmp, command, arguments, pass_fd, deadline, &problem);
    if (!ret)
        ret = await_answer(qmp, command, deadline, reply, &problem);
    return report(qmp, ret, &problem, err);
}

int xw_qmp_execute(struct xw_qmp *qmp, const char *command, json_t *arguments, int timeout_ms,
                   json_t **reply, struct xw_error *err)
{
    return xw_qmp_execute_fd(qmp, command, arguments, -1, timeout_ms, reply, err);
}

int xw_qmp_monitor(struct xw_qmp *qmp, const char *line, int timeout_ms, char **text,
                   struct xw_error *err)
{
    xw_auto_json json_t *reply = NULL;
    json_t *arguments = json_pack("{s:s}", "command-line", line);
    int ret;

    if (!arguments)
        return xw_error_set(err, EINVAL, "%s: the monitor command is no text", qmp->name);
    ret = xw_qmp_execute(qmp, "human-monitor-command", arguments, timeout_ms, &reply, err);
    if (ret)
        return ret;
    if (!json_is_string(reply))
        return xw_error_set(err, EPROTO, "%s: the monitor answered without a text", qmp->name);
    *text = strdup(json_string_value(reply));
    return *text ? 0 : xw_error_set(err, ENOMEM, "%s: no memory for an answer", qmp->name);
}

/* Takes the first kept event of that name out; NULL where there is none. */
static json_t *take_event(struct xw_qmp *qmp, const char *name)
{
    size_t i;
    json_t *event;

    json_array_foreach(qmp->events, i, event) {
        if (!name || !strcmp(json_string_value(json_object_get(event, "event")), name)) {
            json_incref(event);
            json_array_remove(qmp->events, i);
            return event;
        }
    }
    return NULL;
}

/* Adds the next event to those kept, dropping late answers to commands that were given up. */
static int await_event(struct xw_qmp *qmp, int64_t deadline, struct xw_error *err)
{
    for (;;) {
        struct xw_qmp_message message;
        int ret = receive(qmp, deadline, &message, err);

        if (ret)
            return ret;
        if (message.kind == XW_QMP_EVENT)
            return keep_event(qmp, message.json, err);
        json_decref(message.json);
        if (message.kind == XW_QMP_GREETING) {
            ret = xw_error_set(err, EPROTO, "a second greeting arrived");
            return break_connection(qmp, ret, err);
        }
    }
}

int xw_qmp_wait_event(struct xw_qmp *qmp, const char *name, int timeout_ms, json_t **event,
                      struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    int64_t deadline = xw_deadline(timeout_ms);
    int ret = 0;

    while (!ret) {
        *event = take_event(qmp, name);
        if (*event)
            return 0;
        if (qmp->broken.code)
            return report(qmp, -qmp->broken.code, &qmp->broken, err);
        ret = await_event(qmp, deadline, &problem);
    }
    if (ret == -ETIMEDOUT)
        xw_error_set(&problem, ETIMEDOUT, "no event %s came in time", name ? name : "at all");
    return report(qmp, ret, &problem, err);
}

int xw_qmp_fd(const struct xw_qmp *qmp)
{
    return qmp->fd;
}

void xw_qmp_close(struct xw_qmp *qmp)
{
    if (!qmp)
        return;
    close(qmp->fd);
    xw_qmp_stream_free(qmp->stream);
    json_decref(qmp->events);
    free(qmp->name);
    free(qmp);
}

static int greet(struct xw_qmp *qmp, int64_t deadline, struct xw_error *err)
{
    struct xw_qmp_message message;
    int ret = receive(qmp, deadline, &message, err);

    if (ret == -ETIMEDOUT)
        return xw_error_set(err, ETIMEDOUT, "QEMU sent no greeting in time (another client may be "
                            "connected: it serves one at a time)");
    if (ret)
        return ret;
    json_decref(message.json);
    if (message.kind != XW_QMP_GREETING)
        return xw_error_set(err, EPROTO, "what answers there does not begin with a QMP greeting");

    ret = send_command(qmp, "qmp_capabilities", NULL, -1, deadline, err);
    if (!ret)
        ret = await_answer(qmp, "qmp_capabilities", deadline, NULL, err);
    return ret;
}

int xw_qmp_attach(struct xw_qmp **ret_qmp, int fd, const char *name, int timeout_ms,
                  struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    struct xw_qmp *qmp = calloc(1, sizeof(*qmp));
    int ret;

    if (!qmp) {
        close(fd);
        return xw_error_set(err, ENOMEM, "%s: no memory for a connection", name);
    }
    qmp->fd = fd;
    qmp->name = strdup(name);
    qmp->stream = xw_qmp_stream_new();
    qmp->events = json_array();
    if (!qmp->name || !qmp->stream || !qmp->events)
        ret = xw_error_set(err, ENOMEM, "%s: no memory for a connection", name);
    else
        ret = report(qmp, greet(qmp, xw_deadline(timeout_ms), &problem), &problem, err);

    if (ret)
        xw_qmp_close(qmp);
    else
        *ret_qmp = qmp;
    return ret;
}

int xw_qmp_open(struct xw_qmp **qmp, const char *path, int timeout_ms, struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);
    int fd = -1;
    int ret = xw_socket_connect(AT_FDCWD, path, timeout_ms, &fd, err);

    if (ret)
        return ret;
    return xw_qmp_attach(qmp, fd, path, xw_deadline_left(deadline), err);
}
