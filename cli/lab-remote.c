/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/lab-remote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lab/session.h"

/* Signals that are passed on. The rest (stop, continue, kill) concern this program alone. */
static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static int block_signals(sigset_t *ret_before, struct xw_error *err)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
        sigaddset(&set, passed_on[i]);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, ret_before);
    signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : xw_error_set_errno(err, "signalfd");
}

static void window_size(uint16_t *columns, uint16_t *rows)
{
    struct winsize size;

    *columns = 80;
    *rows = 24;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col) {
        *columns = size.ws_col;
        *rows = size.ws_row;
    }
}

static void take_signals(int fd, struct lab_client *client)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGWINCH) {
            uint16_t columns, rows;

            window_size(&columns, &rows);
            lab_client_window(client, columns, rows);
        } else {
            lab_client_signal(client, (int)info.ssi_signo);
        }
    }
}

/* Carry the client on, as lab_watch_drive does, and pass signals. */
static int drive(struct lab_watch *watch, struct lab_client *client, int signals,
                 struct xw_error *err)
{
    struct pollfd fds[1 + LAB_CLIENT_POLLFDS + LAB_WATCH_POLLFDS];
    int rc = lab_client_step(client, NULL, 0, err);

    while (rc == LAB_CLIENT_WAITING) {
        int timeout = -1;
        size_t own = lab_client_pollfds(client, fds + 1, &timeout);
        size_t count = 1 + own + lab_watch_pollfds(watch, fds + 1 + own, &timeout);

        fds[0] = (struct pollfd){.fd = signals, .events = POLLIN};
        if (poll(fds, count, timeout) < 0 && errno != EINTR)
            return xw_error_set_errno(err, "poll");
        take_signals(signals, client);
        rc = lab_watch_check(watch, err);
        if (!rc)
            rc = lab_watch_explain(watch, lab_client_step(client, fds + 1, own, err), err);
    }
    return rc == LAB_CLIENT_DONE ? 0 : rc;
}

/* false: standard input is no terminal. */
static bool make_raw(struct termios *ret_before)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, ret_before) < 0)
        return false;
    raw = *ret_before;
    cfmakeraw(&raw);
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

/* From here on signals and keys are the program's; until then, they end or stop this one. */
static int run_program(struct cli_call *call, struct lab_session *session, struct lab_exec *exec,
                       struct xw_error *err)
{
    struct lab_client *client = session->channel.client;
    struct termios before;
    sigset_t unblocked;
    struct lab_exec_end end;
    xw_auto_close int signals = block_signals(&unblocked, err);
    bool is_raw = signals >= 0 && exec->tty && make_raw(&before);
    int rc = signals < 0 ? signals : 0;

    if (exec->tty)
        window_size(&exec->columns, &exec->rows);
    if (!rc)
        rc = lab_client_start_exec(client, exec, -1, err);
    if (!rc)
        rc = drive(session->watch, client, signals, err);
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    /* Those that come while the program ends are its own still: how it ended is what counts. */
    take_signals(signals, client);
    sigprocmask(SIG_SETMASK, &unblocked, NULL);
    if (rc)
        return rc;
    end = lab_client_exec_end(client);
    cli_exit_status(call, (int)(end.kind == LAB_EXIT_STATUS ? end.value : 128 + end.value));
    return 0;
}

int cli_lab_remote(struct cli_call *call, const char *const *argv, bool tty, struct xw_error *err)
{
    /* One that was closed has become one that cannot be read (cli/output.c). */
    bool has_input = (fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE) != O_WRONLY;
    struct lab_exec exec = {.argv = argv, .tty = tty, .in = has_input ? STDIN_FILENO : -1,
                            .out = STDOUT_FILENO, .err = STDERR_FILENO};
    const char *term = getenv("TERM");
    char term_env[128];
    const char *const env[] = {term_env, NULL};
    struct lab_place place;
    struct lab_record record;
    struct lab_session session;
    int rc = cli_lab_open_running(call, 0, &place, &record, err);

    if (rc)
        return rc;
    if (tty) {
        snprintf(term_env, sizeof(term_env), "TERM=%s", term ? term : "vt220");
        exec.env = env;
    }
    rc = lab_session_open(&place, &record, &session, err);
    if (!rc) {
        rc = run_program(call, &session, &exec, err);
        lab_session_close(&session);
    }
    lab_record_free(&record);
    lab_place_close(&place);
    return rc;
}
