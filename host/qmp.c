/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/socket.h"
#include "host/qmp-link.h"

struct xw_qmp {
    struct xw_qmp_link link;
    json_t *events;  /* array, oldest first */
    int64_t last_id; /* of the last command sent */
};

/* Takes over the reference to `event`. */
static int keep_event(struct xw_qmp *qmp, json_t *event, struct xw_error *err)
{
    if (json_array_size(qmp->events) >= XW_QMP_MAX_EVENTS) {
        xw_log(XW_LOG_DEBUG, "%s: more than %d events unread, the oldest is dropped",
               qmp->link.name, XW_QMP_MAX_EVENTS);
        json_array_remove(qmp->events, 0);
    }
    if (json_array_append_new(qmp->events, event))
        return xw_error_set(err, ENOMEM, "no memory for an event");
    return 0;
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
    return xw_qmp_link_break(&qmp->link, ret, err);
}

static int await_answer(struct xw_qmp *qmp, const char *command, int64_t deadline, json_t **reply,
                        struct xw_error *err)
{
    for (bool first = true;; first = false) {
        struct xw_qmp_message message;
        int ret = !first && xw_deadline_left(deadline) == 0
                      ? -ETIMEDOUT
                      : xw_qmp_link_receive(&qmp->link, deadline, &message, err);

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
            return xw_qmp_link_break(&qmp->link, ret, err);
        case XW_QMP_RETURN:
        case XW_QMP_ERROR:
            ret = is_ours(qmp, &message, err);
            break;
        }

        if (ret > 0 && message.kind == XW_QMP_ERROR)
            ret = xw_qmp_link_refusal(message.json, command, err);
        else if (ret > 0 && reply)
            *reply = json_incref(json_object_get(message.json, "return"));
        json_decref(message.json);
        if (ret)
            return ret < 0 ? ret : 0;
    }
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
    return xw_qmp_link_send(&qmp->link, line.data, line.length, pass_fd, deadline, err);
}

int xw_qmp_execute_fd(struct xw_qmp *qmp, const char *command, json_t *arguments, int pass_fd,
                      int timeout_ms, json_t **reply, struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    int64_t deadline = xw_deadline(timeout_ms);
    int ret;

    if (qmp->link.broken.code) {
        json_decref(arguments);
        return xw_qmp_link_report(&qmp->link, -qmp->link.broken.code, &qmp->link.broken, err);
    }
    ret = send_command(qmp, command, arguments, pass_fd, deadline, &problem);
    if (!ret)
        ret = await_answer(qmp, command, deadline, reply, &problem);
    return xw_qmp_link_report(&qmp->link, ret, &problem, err);
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
        return xw_error_set(err, EINVAL, "%s: the monitor command is no text", qmp->link.name);
    ret = xw_qmp_execute(qmp, "human-monitor-command", arguments, timeout_ms, &reply, err);
    if (ret)
        return ret;
    if (!json_is_string(reply))
        return xw_error_set(err, EPROTO, "%s: the monitor answered without a text", qmp->link.name);
    *text = strdup(json_string_value(reply));
    return *text ? 0 : xw_error_set(err, ENOMEM, "%s: no memory for an answer", qmp->link.name);
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
        int ret = xw_qmp_link_receive(&qmp->link, deadline, &message, err);

        if (ret)
            return ret;
        if (message.kind == XW_QMP_EVENT)
            return keep_event(qmp, message.json, err);
        json_decref(message.json);
        if (message.kind == XW_QMP_GREETING) {
            ret = xw_error_set(err, EPROTO, "a second greeting arrived");
            return xw_qmp_link_break(&qmp->link, ret, err);
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
        if (qmp->link.broken.code)
            return xw_qmp_link_report(&qmp->link, -qmp->link.broken.code, &qmp->link.broken, err);
        ret = await_event(qmp, deadline, &problem);
    }
    if (ret == -ETIMEDOUT)
        xw_error_set(&problem, ETIMEDOUT, "no event %s came in time", name ? name : "at all");
    return xw_qmp_link_report(&qmp->link, ret, &problem, err);
}

int xw_qmp_fd(const struct xw_qmp *qmp)
{
    return qmp->link.fd;
}

void xw_qmp_close(struct xw_qmp *qmp)
{
    if (!qmp)
        return;
    xw_qmp_link_close(&qmp->link);
    json_decref(qmp->events);
    free(qmp);
}

static int greet(struct xw_qmp *qmp, int64_t deadline, struct xw_error *err)
{
    struct xw_qmp_message message;
    int ret = xw_qmp_link_receive(&qmp->link, deadline, &message, err);

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
    ret = xw_qmp_link_open(&qmp->link, fd, name, "QEMU", err);
    if (!ret && !(qmp->events = json_array()))
        ret = xw_error_set(err, ENOMEM, "%s: no memory for a connection", name);
    if (!ret)
        ret = xw_qmp_link_report(&qmp->link, greet(qmp, xw_deadline(timeout_ms), &problem),
                                 &problem, err);

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
