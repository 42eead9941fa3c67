/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/progress.h"

/* stdio keeps only that writing failed, not why; this is the first cause that is known. */
static volatile sig_atomic_t write_error;

static void pipe_broken(int signal_number)
{
    (void)signal_number;
    write_error = EPIPE;
}

void cli_write(const char *text, size_t length)
{
    if (fwrite(text, 1, length, stdout) != length && !write_error)
        write_error = errno;
}

void cli_streams_prepare(void)
{
    struct sigaction action;

    for (int fd = 0; fd <= 2; fd++) {
        /* The lowest free descriptor is taken, so this fills the gap; the mode refuses its use. */
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) == -1)
            _exit(1);
    }
    /* A handler, not SIG_IGN: exec() resets it. One who had it ignored wants it so. */
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action = (struct sigaction){.sa_handler = pipe_broken, .sa_flags = SA_RESTART};
        sigaction(SIGPIPE, &action, NULL);
    }
}

/* Returns only where SIGPIPE was ignored when we were started. */
static void die_of_pipe(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == pipe_broken) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
}

int cli_streams_finish(struct xw_error *err)
{
    int error = ferror(stdout) ? (write_error ? write_error : EIO) : 0;

    if (fflush(stdout) == EOF && !error)
        error = errno;
    if (error == EPIPE)
        die_of_pipe();
    return error ? xw_error_set(err, error, "standard output: %s", strerror(error)) : 0;
}

void cli_complain(const char *format, ...)
{
    char line[2048];
    size_t used = (size_t)snprintf(line, sizeof(line), "xenwright: ");
    va_list list;

    va_start(list, format);
    vsnprintf(line + used, sizeof(line) - used - 1, format, list);
    va_end(list);
    xw_progress_hide();
    fprintf(stderr, "%s\n", line);
}

size_t cli_width(size_t most)
{
    struct winsize window;
    size_t columns = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0)
        columns = window.ws_col;
    if (columns == 0) {
        const char *text = getenv("COLUMNS");

        columns = text ? strtoul(text, NULL, 10) : 0;
    }
    if (columns == 0)
        return 80;
    return columns < 40 ? 40 : columns < most ? columns : most;
}

bool cli_color_wanted(const char *when)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (when && strcmp(when, "auto") != 0)
        return strcmp(when, "always") == 0;
    if (no_color && *no_color)
        return false;
    return term && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO);
}
