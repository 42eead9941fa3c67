/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of QMP, QEMU's machine protocol (docs/interop/qmp-spec of QEMU), for QEMUs of the
 * lab and for those that libxl starts for guests.
 *
 * Every call ends in bounded time. The peer is not trusted: a line may have XW_QMP_MAX_LINE bytes
 * and JSON nested XW_QMP_MAX_DEPTH deep. A connection on which something impossible arrived is
 * broken for good: every later call fails with the first message. A command that timed out
 * leaves the connection usable; its late answer is thrown away.
 *
 * One thread at a time. Errors, beside those of the system: -ETIMEDOUT (no answer in time),
 * -ECONNRESET (QEMU went away), -EPROTO (what came is not QMP), -EREMOTEIO (QEMU refused the
 * command; the message holds its reason), -EOPNOTSUPP (it does not know the command).
 */
#ifndef XENWRIGHT_HOST_QMP_H
#define XENWRIGHT_HOST_QMP_H

#include <stddef.h>

#include <jansson.h>

#include <xenwright/error.h>

#define XW_QMP_MAX_LINE (1024 * 1024) /* bytes */
#define XW_QMP_MAX_DEPTH 64
#define XW_QMP_MAX_EVENTS 1024 /* kept; beyond that the oldest is dropped */

struct xw_qmp;

/*
 * Connects to the UNIX socket at `path` (of any length), waits for the greeting and turns
 * command mode on, in `timeout_ms` altogether (-1: no limit, here and below). Messages call the
 * peer by `path`. Close with xw_qmp_close().
 */
int xw_qmp_open(struct xw_qmp **qmp, const char *path, int timeout_ms, struct xw_error *err);

/*
 * The same on a connected stream socket. `name` is what messages call the peer. Takes `fd` over
 * in any case, also on failure.
 */
int xw_qmp_attach(struct xw_qmp **qmp, int fd, const char *name, int timeout_ms,
                  struct xw_error *err);

/* Closes the connection. NULL is allowed. */
void xw_qmp_close(struct xw_qmp *qmp);

/*
 * Executes a command. `arguments` may be NULL; its reference is taken over in any case. *reply
 * becomes the value of "return", the caller's to json_decref(); `reply` may be NULL. Events that
 * arrive meanwhile are kept.
 */
int xw_qmp_execute(struct xw_qmp *qmp, const char *command, json_t *arguments, int timeout_ms,
                   json_t **reply, struct xw_error *err);

/*
 * The same, and passes the descriptor `pass_fd` along with the command (SCM_RIGHTS; "getfd" and
 * "add-fd"). `pass_fd` stays the caller's.
 */
int xw_qmp_execute_fd(struct xw_qmp *qmp, const char *command, json_t *arguments, int pass_fd,
                      int timeout_ms, json_t **reply, struct xw_error *err);

/*
 * Runs one line of the human monitor ("human-monitor-command"). *text is the caller's to free;
 * it holds what the monitor printed, which for a failed command is its error message.
 */
int xw_qmp_monitor(struct xw_qmp *qmp, const char *line, int timeout_ms, char **text,
                   struct xw_error *err);

/*
 * The oldest kept event called `name` (NULL: any), or the next that arrives in `timeout_ms`.
 * Others stay, in order. *event is the whole object ("event", "data", "timestamp"), the
 * caller's to json_decref(). -ETIMEDOUT where none came.
 */
int xw_qmp_wait_event(struct xw_qmp *qmp, const char *name, int timeout_ms, json_t **event,
                      struct xw_error *err);

/*
 * The socket, to be polled for reading beside other descriptors. When it is readable, call
 * xw_qmp_wait_event() with a timeout of 0. Poll it, nothing else.
 */
int xw_qmp_fd(const struct xw_qmp *qmp);

#endif
