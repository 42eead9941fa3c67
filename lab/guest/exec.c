/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a program in a guest as if it ran here. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "lab/guest/guest.h"

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static int take_signals_as_input(struct xw_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
        sigaddset(&set, passed_on[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : xw_error_set_errno(err, "signals");
}

static int run(struct guest_stream *stream, const struct lab_exec *exec, int signals,
               struct xw_error *err)
{
    struct termios before, raw;
    bool is_raw = exec->tty && tcgetattr(STDIN_FILENO, &before) == 0;
    int rc = lab_client_start_exec(stream->client, exec, -1, err);

    if (!rc && is_raw) {
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    if (!rc)
        rc = guest_drive(stream, signals, err);
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return rc;
}

int guest_exec(const char *name, const char *const *argv, bool tty, int timeout_ms,
               struct xw_error *err)
{
    const char *term = getenv("TERM");
    char term_env[128];
    const char *const env[] = {term_env, NULL};
    struct guest_stream stream;
    struct lab_exec exec = {
        .argv = argv,
        .env = tty ? env : NULL,
        .tty = tty,
        .in = STDIN_FILENO,
        .out = STDOUT_FILENO,
        .err = STDERR_FILENO,
    };
    int rc = guest_stream_open(&stream, name, timeout_ms, err);

    if (rc)
        return rc;
    snprintf(term_env, sizeof(term_env), "TERM=%s", term ? term : "vt220");
    guest_window_size(&exec.columns, &exec.rows);
    int signals = take_signals_as_input(err);
    rc = signals < 0 ? signals : run(&stream, &exec, signals, err);
    struct lab_exec_end end = lab_client_exec_end(stream.client);
    if (signals >= 0)
        close(signals);
    guest_stream_close(&stream);
    if (rc)
        return rc;
    return (int)(end.kind == LAB_EXIT_STATUS ? end.value : 128 + end.value);
}
