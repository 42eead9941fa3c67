/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest-agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "base/socket.h"
#include "host/qmp-link.h"
#include "host/qmp.h"
#include "host/socket-users.h"

/* The byte that no JSON has in it: guest-sync-delimited puts it before its answer, and in front of
 * a command it makes the agent forget half a one. */
#define MARK '\xff'

/* What may be left of others' conversations. */
#define MOST_STALE (4 * XW_QMP_MAX_LINE)

#define LOOK_AGAIN_MS 200 /* nothing tells that a socket is free */

struct xw_guest_agent {
    struct xw_qmp_link link;
};

/* Takes over the reference to `arguments`. */
static int send_command(struct xw_guest_agent *agent, const char *before, const char *command,
                        json_t *arguments, int64_t deadline, struct xw_error *err)
{
    xw_auto_json json_t *request = json_pack("{s:s}", "execute", command);
    xw_auto_buffer struct xw_buffer line = XW_BUFFER_INIT(XW_QMP_MAX_LINE);
    int ret = xw_buffer_append_text(&line, before, err);

    if (arguments && json_object_set_new(request, "arguments", arguments))
        ret = xw_error_set(err, ENOMEM, "%s: out of memory", command);
    if (!ret)
        ret = xw_json_print_line(request, &line, err);
    if (!ret)
        ret = xw_buffer_append_text(&line, "\n", err);
    return ret ? ret : xw_qmp_link_send(&agent->link, line.data, line.length, -1, deadline, err);
}

/*
 * Is what follows the mark the answer to our number? 1: yes; 0: no, to somebody else's, or an echo
 * of our own line.
 */
static int receive_number(struct xw_guest_agent *agent, int64_t number, int64_t deadline,
                          struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    struct xw_qmp_message message;
    json_t *answer;
    int ret = xw_qmp_link_receive(&agent->link, deadline, &message, &problem);

    if (ret == -EPROTO) {
        agent->link.broken = (struct xw_error)XW_ERROR_INIT;
        return 0;
    }
    if (ret)
        return ret == -ETIMEDOUT ? ret : xw_error_set(err, -ret, "%s", problem.message);
    answer = json_object_get(message.json, "return");
    ret = message.kind == XW_QMP_RETURN && json_is_integer(answer) &&
          json_integer_value(answer) == number;
    json_decref(message.json);
    return ret;
}

static int synchronise(struct xw_guest_agent *agent, int64_t deadline, struct xw_error *err)
{
    uint32_t number = 0;
    int ret = xw_random_bytes(&number, sizeof(number), err);

    if (!ret)
        ret = send_command(agent, "\xff", "guest-sync-delimited",
                           json_pack("{s:I}", "id", (json_int_t)number), deadline, err);
    for (int found = 0; !ret && !found; ret = found < 0 ? found : 0) {
        found = xw_qmp_link_skip(&agent->link, MARK, MOST_STALE, deadline, err);
        if (!found)
            found = receive_number(agent, number, deadline, err);
        if (!found && xw_deadline_left(deadline) == 0)
            found = -ETIMEDOUT;
    }
    if (ret == -ETIMEDOUT)
        xw_error_set(err, ETIMEDOUT,
                     "qemu-guest-agent does not answer (it has to run in the guest, and to be "
                     "started again there after 'xl restore' or 'xl migrate')");
    return ret;
}

/* The answer to the last command sent. */
static int receive_answer(struct xw_guest_agent *agent, const char *command, int64_t deadline,
                          json_t **reply, struct xw_error *err)
{
    struct xw_qmp_message message;
    int ret = xw_qmp_link_receive(&agent->link, deadline, &message, err);

    if (ret == -ETIMEDOUT)
        return xw_error_set(err, ETIMEDOUT, "%s: qemu-guest-agent gave no answer in time", command);
    if (ret)
        return ret;
    if (message.kind == XW_QMP_ERROR)
        ret = xw_qmp_link_refusal(message.json, command, err);
    else if (message.kind == XW_QMP_RETURN)
        *reply = json_incref(json_object_get(message.json, "return"));
    else
        ret = xw_error_set(err, EPROTO, "%s: what came is no answer", command);
    json_decref(message.json);
    return ret;
}

static int execute(struct xw_guest_agent *agent, const char *command, int64_t deadline,
                   json_t **reply, struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    int ret = agent->link.broken.code ? -agent->link.broken.code : 0;

    if (ret)
        return xw_qmp_link_report(&agent->link, ret, &agent->link.broken, err);
    ret = synchronise(agent, deadline, &problem);
    if (!ret)
        ret = send_command(agent, "", command, NULL, deadline, &problem);
    if (!ret)
        ret = receive_answer(agent, command, deadline, reply, &problem);
    return xw_qmp_link_report(&agent->link, ret, &problem, err);
}

/* How many file systems a command says that it was about. */
static int execute_count(struct xw_guest_agent *agent, const char *command, int64_t deadline,
                         int64_t *count, struct xw_error *err)
{
    xw_auto_json json_t *reply = NULL;
    int ret = execute(agent, command, deadline, &reply, err);

    if (ret)
        return ret;
    if (!json_is_integer(reply) || json_integer_value(reply) < 0)
        return xw_error_set(err, EPROTO, "%s: %s: the answer is no number", agent->link.name,
                            command);
    *count = json_integer_value(reply);
    return 0;
}

static int get_status(struct xw_guest_agent *agent, int64_t deadline, bool *frozen,
                      struct xw_error *err)
{
    xw_auto_json json_t *reply = NULL;
    int ret = execute(agent, "guest-fsfreeze-status", deadline, &reply, err);
    const char *status = json_string_value(reply);

    if (ret)
        return ret;
    if (!status || (strcmp(status, "frozen") != 0 && strcmp(status, "thawed") != 0))
        return xw_error_set(
            err, EPROTO, "%s: guest-fsfreeze-status: the answer is neither 'frozen' nor 'thawed'",
            agent->link.name);
    *frozen = !strcmp(status, "frozen");
    return 0;
}

int xw_guest_agent_status(struct xw_guest_agent *agent, int timeout_ms, bool *frozen,
                          struct xw_error *err)
{
    return get_status(agent, xw_deadline(timeout_ms), frozen, err);
}

int xw_guest_agent_freeze(struct xw_guest_agent *agent, int timeout_ms, int64_t *count,
                          struct xw_error *err)
{
    return execute_count(agent, "guest-fsfreeze-freeze", xw_deadline(timeout_ms), count, err);
}

/* The agent's word for a thaw is worth what its status says afterwards. */
int xw_guest_agent_thaw(struct xw_guest_agent *agent, int timeout_ms, int64_t *count,
                        struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);
    bool frozen = false;
    int ret = get_status(agent, deadline, &frozen, err);

    *count = 0;
    if (ret || !frozen)
        return ret;
    ret = execute_count(agent, "guest-fsfreeze-thaw", deadline, count, err);
    if (!ret)
        ret = get_status(agent, deadline, &frozen, err);
    if (!ret && frozen)
        ret = xw_error_set(err, EIO, "%s: the guest's file systems are frozen after a thaw",
                           agent->link.name);
    return ret;
}

void xw_guest_agent_leave_thaw(struct xw_guest_agent *agent)
{
    struct xw_error problem = XW_ERROR_INIT;

    send_command(agent, "\xff", "guest-fsfreeze-thaw", NULL, xw_deadline(0), &problem);
}

void xw_guest_agent_close(struct xw_guest_agent *agent)
{
    if (!agent)
        return;
    xw_qmp_link_close(&agent->link);
    free(agent);
}

int xw_guest_agent_attach(struct xw_guest_agent **ret, int fd, const char *name, int timeout_ms,
                          struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    struct xw_guest_agent *agent = calloc(1, sizeof(*agent));
    int rc;

    if (!agent) {
        close(fd);
        return xw_error_set(err, ENOMEM, "%s: no memory for a connection", name);
    }
    rc = xw_qmp_link_open(&agent->link, fd, name, "the guest's agent", err);
    if (!rc)
        rc = xw_qmp_link_report(&agent->link, synchronise(agent, xw_deadline(timeout_ms), &problem),
                                &problem, err);
    if (rc)
        xw_guest_agent_close(agent);
    else
        *ret = agent;
    return rc;
}

/* A second connection would be made, and not served. */
static int wait_until_free(const char *path, int64_t deadline, struct xw_error *err)
{
    struct xw_file_user user;

    while (xw_socket_user(path, &user)) {
        if (xw_deadline_left(deadline) == 0)
            return user.pid
                       ? xw_error_set(err, EBUSY, "%s: %s (process %d) talks to the agent", path,
                                      user.name, (int)user.pid)
                       : xw_error_set(err, EBUSY, "%s: somebody else talks to the agent", path);
        usleep(LOOK_AGAIN_MS * 1000);
    }
    return 0;
}

int xw_guest_agent_open(struct xw_guest_agent **ret, const char *path, int timeout_ms,
                        struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);
    int fd = -1;
    int rc = wait_until_free(path, deadline, err);

    if (!rc)
        rc = xw_socket_connect(AT_FDCWD, path, timeout_ms, &fd, err);
    return rc ? rc : xw_guest_agent_attach(ret, fd, path, xw_deadline_left(deadline), err);
}
