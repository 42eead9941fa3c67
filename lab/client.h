/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's side of lab/protocol.h: asks an agent to run programs.
 *
 * A client does one thing at a time.  lab_client_start_...() begins it; lab_client_step() carries
 * it on, as far as it can without waiting, until it is done.  What to wait for in between is told
 * by lab_client_pollfds(), so that the caller can watch other things in the same poll(2).  Callers
 * with nothing else to watch use lab_client_finish().
 *
 * After an error the connection is of no more use, except after -EREMOTEIO: that is the agent
 * saying that it could not do what it was asked to.  Not for use by several threads.
 */
#ifndef LAB_CLIENT_H
#define LAB_CLIENT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <xenwright/error.h>

#include "lab/protocol.h"
#include "lab/transport.h"

struct lab_client;

/* Makes a client that talks over the transport and owns it from here on, also on failure.  `peer`
 * names the other side in messages ("lab 'x'").  Returns 0 or -ENOMEM. */
int lab_client_open(struct lab_client **ret, struct lab_transport *transport, const char *peer,
                    struct xw_error *err);

/* Ends the connection, which ends a program that still runs.  NULL is allowed. */
void lab_client_close(struct lab_client *client);

/* Begins to find the agent, which has to come first.  It is asked again from time to time until
 * it answers: it may be starting, or busy with what an earlier client left.  timeout_ms is for
 * all of it (-ETIMEDOUT); below 0 there is none.  So it is for the other requests. */
int lab_client_start_hello(struct lab_client *client, int timeout_ms, struct xw_error *err);

/* Begins to ask for an answer from the agent itself. */
int lab_client_start_ping(struct lab_client *client, int timeout_ms, struct xw_error *err);

/* Begins to change what distinguishes the machine: lines "key=value\n" as described in
 * lab/agent/personalise.c, at most LAB_FRAME_MAX bytes (-E2BIG). */
int lab_client_start_personalise(struct lab_client *client, const char *lines, int timeout_ms,
                                 struct xw_error *err);

/* What to run, and where its streams go. */
struct lab_exec {
    const char *directory;    /* NULL or "": the home directory */
    const char *const *argv;  /* looked up in PATH; ends with NULL */
    const char *const *env; /* NAME=VALUE added to the agent's defaults; NULL, or ends with NULL */
    bool tty;                 /* on a new terminal of this size; its errors come as output */
    uint16_t columns, rows;
    int in;                   /* read as far as the program takes it; -1: /dev/null */
    int out, err;             /* -1: thrown away, unless `output` is given */
    /* Takes output instead of `out` and `err`.  Called from within lab_client_step(); returns 0,
     * or a negative errno to give up, having filled err. */
    int (*output)(void *data, bool is_stderr, const void *bytes, size_t size, struct xw_error *err);
    void *data;
};

/* How a program ended. */
struct lab_exec_end {
    enum lab_exit_kind kind;
    uint32_t value; /* exit status or signal number */
};

/* Begins to run a program.  The struct is copied and its strings are not needed any more when this
 * returns; the descriptors stay the caller's and have to stay open until the end.  They may be
 * shared with others: their flags are not changed.  SIGPIPE should be ignored.  -E2BIG: the
 * command line and environment do not fit into a frame. */
int lab_client_start_exec(struct lab_client *client, const struct lab_exec *exec, int timeout_ms,
                          struct xw_error *err);

/* Passes a signal or the terminal's new size to the running program; harmless if it has ended. */
void lab_client_signal(struct lab_client *client, int number);
void lab_client_window(struct lab_client *client, uint16_t columns, uint16_t rows);

/* How many descriptors lab_client_pollfds() fills at most. */
#define LAB_CLIENT_POLLFDS 3

/* Fills in what to wait for and lowers *timeout_ms (as poll takes it; below 0: for ever) if the
 * client has to be stepped earlier.  Returns the number of descriptors. */
size_t lab_client_pollfds(const struct lab_client *client, struct pollfd fds[LAB_CLIENT_POLLFDS],
                          int *timeout_ms);

enum lab_client_progress {
    LAB_CLIENT_WAITING = 0,
    LAB_CLIENT_DONE = 1,
};

/* Goes on after poll(2) has filled in the descriptors, or with NULL.  Returns a progress, or a
 * negative errno: -ETIMEDOUT, -ECONNRESET (the peer has gone), -EPROTO (it speaks nonsense),
 * -EREMOTEIO (the agent says why it cannot), or what reading or writing the caller's streams said,
 * such as -EPIPE. */
int lab_client_step(struct lab_client *client, const struct pollfd *fds, size_t count,
                    struct xw_error *err);

/* Steps until it is done.  Returns 0 or as lab_client_step(). */
int lab_client_finish(struct lab_client *client, struct xw_error *err);

/* After an exec is done. */
struct lab_exec_end lab_client_exec_end(const struct lab_client *client);

#endif
