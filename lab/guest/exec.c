/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a program in a guest as if it ran here. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "lab/guest/guest.h"

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static void window_size(uint16_t *columns, uint16_t *rows)
{
    struct winsize size;
    bool known = ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;

    *columns = known ? size.ws_col : 80;
    *rows = known ? size.ws_row : 24;
}

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

static void pass_signals(struct lab_client *client, int signals)
{
    struct signalfd_siginfo info;
    uint16_t columns, rows;

    while (read(signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGWINCH) {
            lab_client_signal(client, (int)info.ssi_signo);
            continue;
        }
        window_size(&columns, &rows);
        lab_client_window(client, columns, rows);
    }
}

static int drive(struct lab_client *client, int signals, struct xw_error *err)
{
    struct pollfd fds[1 + LAB_CLIENT_POLLFDS];
    size_t count = 0;
    int rc;

    while ((rc = lab_client_step(client, fds + 1, count, err)) == LAB_CLIENT_WAITING) {
        int timeout_ms = -1;

        count = lab_client_pollfds(client, fds + 1, &timeout_ms);
        fds[0] = (struct pollfd){.fd = signals, .events = POLLIN};
        if (poll(fds, 1 + count, timeout_ms) < 0 && errno != EINTR)
            return xw_error_set_errno(err, "poll");
        pass_signals(client, signals);
    }
    return rc < 0 ? rc : 0;
}

static int run(struct lab_client *client, const struct lab_exec *exec, int signals,
               struct xw_error *err)
{
    struct termios before, raw;
    bool is_raw = exec->tty && tcgetattr(STDIN_FILENO, &before) == 0;
    int rc = lab_client_start_exec(client, exec, -1, err);

    if (!rc && is_raw) {
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    if (!rc)
        rc = drive(client, signals, err);
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
    window_size(&exec.columns, &exec.rows);
    int signals = take_signals_as_input(err);
    rc = signals < 0 ? signals : run(stream.client, &exec, signals, err);
    struct lab_exec_end end = lab_client_exec_end(stream.client);
    if (signals >= 0)
        close(signals);
    guest_stream_close(&stream);
    if (rc)
        return rc;
    return (int)(end.kind == LAB_EXIT_STATUS ? end.value : 128 + end.value);
}
