/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connected socket on which QMP's messages come and go: what the client of QEMU (qmp.h) and that
 * of qemu-guest-agent (guest-agent.h) share. Every call ends in bounded time, and one on which
 * something impossible arrived is broken for good.
 */
#ifndef XENWRIGHT_HOST_QMP_LINK_H
#define XENWRIGHT_HOST_QMP_LINK_H

#include "host/qmp-stream.h"

struct xw_qmp_link {
    int fd;
    const char *peer; /* who is at its other end, in messages: "QEMU" */
    char *name;       /* what stands in front of them: the socket's path */
    struct xw_qmp_stream *stream;
    struct xw_error broken; /* code 0: it works */
};

/* Takes `fd` over in any case. To be closed also after a failure. */
int xw_qmp_link_open(struct xw_qmp_link *link, int fd, const char *name, const char *peer,
                     struct xw_error *err);
void xw_qmp_link_close(struct xw_qmp_link *link);

/*
 * Records that it can no longer be used, with what is in *err, so that later calls say the same.
 * Returns `code`.
 */
int xw_qmp_link_break(struct xw_qmp_link *link, int code, const struct xw_error *err);

/* The next message of any kind; -ETIMEDOUT leaves *err alone: only the caller knows what did not
 * come. */
int xw_qmp_link_receive(struct xw_qmp_link *link, int64_t deadline, struct xw_qmp_message *message,
                        struct xw_error *err);

/*
 * Throw away all up to and with the next byte `mark`, `most` bytes at most (-EPROTO). -ETIMEDOUT
 * as above.
 */
int xw_qmp_link_skip(struct xw_qmp_link *link, char mark, size_t most, int64_t deadline,
                     struct xw_error *err);

/*
 * All of the bytes, and the descriptor `pass_fd` (-1: none) with the first of them. A command sent
 * in part would garble all that follow, so a failure breaks the connection.
 */
int xw_qmp_link_send(struct xw_qmp_link *link, const char *bytes, size_t size, int pass_fd,
                     int64_t deadline, struct xw_error *err);

/*
 * What the peer says when it refuses: {"class": ..., "desc": ...}. -EREMOTEIO, -EOPNOTSUPP,
 * -ENODEV.
 */
int xw_qmp_link_refusal(const json_t *message, const char *command, struct xw_error *err);

/* Hands a failure of a public function to its caller, with the peer's name in front. */
int xw_qmp_link_report(const struct xw_qmp_link *link, int ret, struct xw_error *problem,
                       struct xw_error *err);

#endif
