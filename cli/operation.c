/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/operation.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/progress.h"

/* At the terminal, by kill(1) or at shutdown, and when the connection to the terminal is lost. */
static const int endings[] = {SIGINT, SIGTERM, SIGHUP};

enum { ENDINGS = sizeof(endings) / sizeof(endings[0]) };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = number;
}

/*
 * The first of them cancels, and the next one ends at once. Whoever has it ignored, as nohup(1) and
 * a shell in the background do, wants it so.
 */
static void catch_endings(struct sigaction old[ENDINGS])
{
    const struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

    for (size_t i = 0; i < ENDINGS; i++) {
        sigaction(endings[i], NULL, &old[i]);
        if (old[i].sa_handler != SIG_IGN)
            sigaction(endings[i], &action, NULL);
    }
}

static void show(struct xw_progress *progress, const struct xw_operation *operation)
{
    struct xw_operation_state state;

    xw_operation_state(operation, &state);
    if (state.step[0])
        xw_progress_step(progress, state.step,
                         state.total ? (int)(state.done * 100 / state.total) : -1);
}

static int step_to_end(struct xw_progress *progress, struct xw_operation *operation,
                       struct xw_error *err)
{
    struct pollfd in = {.fd = xw_operation_fd(operation), .events = POLLIN};
    int rc;

    while ((rc = xw_operation_step(operation, err)) > 0) {
        show(progress, operation);
        if (poll(&in, 1, -1) < 0 && errno != EINTR)
            return xw_error_set_errno(err, "waiting for an operation");
        if (interrupted)
            xw_operation_cancel(operation);
    }
    return rc;
}

int cli_operation_run(struct cli_call *call, const char *task, struct xw_operation *operation,
                      struct xw_error *err)
{
    struct xw_progress *progress = cli_progress(call, task, 0);
    struct sigaction old[ENDINGS];
    int rc;

    interrupted = 0;
    catch_endings(old);
    rc = step_to_end(progress, operation, err);
    for (size_t i = 0; i < ENDINGS; i++)
        sigaction(endings[i], &old[i], NULL);
    xw_progress_end(progress);
    return rc;
}
