/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xenwright-guard DOMID LIMIT: holds the vCPUs of a domain for at most LIMIT milliseconds at a
 * time, as it is told on its standard input (guard.h), and lets them go when that closes; and
 * resumes a domain that was left suspended.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xen/sched.h>

#include "host/guard/guard.h"
#include "host/libxl-api.h"

#define SUSPEND_LIMIT_NS INT64_C(10000000000)

struct guard {
    xc_interface *xc;
    libxl_ctx *libxl; /* opened when it is needed */
    uint32_t domid;
    int64_t limit_ns;
    bool held, armed, saving, too_late;
    int64_t since_ns, held_ns;
    struct xw_guard_rename *renames;
    size_t rename_count;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int hold(struct guard *guard)
{
    if (guard->held)
        return 0;
    if (xc_domain_pause(guard->xc, guard->domid))
        return errno;
    guard->since_ns = now_ns();
    guard->held = true;
    guard->too_late = false;
    return 0;
}

static int let_go(struct guard *guard)
{
    if (!guard->held)
        return 0;
    if (xc_domain_unpause(guard->xc, guard->domid))
        return errno;
    guard->held_ns = now_ns() - guard->since_ns;
    guard->held = false;
    return 0;
}

/* A domain that has shut down executes nothing any more, so it may be let go after that. */
static int reset(struct guard *guard)
{
    if (xc_domain_shutdown(guard->xc, guard->domid, SHUTDOWN_reboot))
        return errno;
    guard->armed = false;
    return let_go(guard);
}

static bool is_suspended(struct guard *guard)
{
    libxl_dominfo info;
    bool suspended = false;

    libxl_dominfo_init(&info);
    if (!libxl_domain_info(guard->libxl, &info, guard->domid))
        suspended = info.shutdown && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
    libxl_dominfo_dispose(&info);
    return suspended;
}

/*
 * The guest may have been asked to suspend by the one that has died, and do so only now; nobody
 * else would resume it. A guest that is asked answers within seconds; one that is suspended later
 * than that is so by somebody else's wish.
 */
static void resume_suspended(struct guard *guard)
{
    int64_t until = now_ns() + SUSPEND_LIMIT_NS;
    xentoollog_logger_stdiostream *log = xtl_createlogger_stdiostream(stderr, XTL_ERROR, 0);

    /* Without a logger libxl would crash at its first message. */
    if (!log || libxl_ctx_alloc(&guard->libxl, LIBXL_VERSION, 0, (xentoollog_logger *)log))
        return;
    while (!is_suspended(guard) && now_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    if (is_suspended(guard))
        libxl_domain_resume(guard->libxl, guard->domid, 1, NULL);
    libxl_ctx_free(guard->libxl);
    xtl_logger_destroy((xentoollog_logger *)log);
}

/* One more to be done at the end. Comes right behind its order. */
static int take_rename(struct guard *guard)
{
    size_t size = (guard->rename_count + 1) * sizeof(*guard->renames);
    struct xw_guard_rename *more = realloc(guard->renames, size);

    if (!more)
        return ENOMEM;
    guard->renames = more;
    more += guard->rename_count;
    if (recv(STDIN_FILENO, more, sizeof(*more), MSG_WAITALL) != sizeof(*more))
        return EIO;
    more->from[PATH_MAX - 1] = more->to[PATH_MAX - 1] = '\0';
    guard->rename_count++;
    return 0;
}

static void end(struct guard *guard)
{
    for (size_t i = 0; i < guard->rename_count; i++)
        rename(guard->renames[i].from, guard->renames[i].to);
    if (guard->armed)
        reset(guard);
    else
        let_go(guard);
    if (guard->saving)
        resume_suspended(guard);
}

static int obey(struct guard *guard, char order)
{
    switch (order) {
    case XW_GUARD_HELLO:
        return 0;
    case XW_GUARD_PAUSE:
        return hold(guard);
    case XW_GUARD_RESUME:
        guard->armed = false;
        return let_go(guard);
    case XW_GUARD_ARM:
        guard->armed = guard->held;
        return guard->held ? 0 : ETIMEDOUT;
    case XW_GUARD_RESET:
        return reset(guard);
    case XW_GUARD_RENAME:
        return take_rename(guard);
    case XW_GUARD_QUIT:
        guard->rename_count = 0;
        return 0;
    case XW_GUARD_SAVING:
    case XW_GUARD_SAVED:
        guard->saving = order == XW_GUARD_SAVING;
        return 0;
    default:
        return EINVAL;
    }
}

/* Milliseconds until the guest is to be let go, rounded up; -1: it is not held. */
static int time_left(const struct guard *guard)
{
    int64_t left;

    if (!guard->held || guard->armed)
        return -1;
    left = guard->since_ns + guard->limit_ns - now_ns();
    return left > 0 ? (int)(left / 1000000 + 1) : 0;
}

static void serve(struct guard *guard)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char order;

    for (;;) {
        struct xw_guard_answer answer = {0};
        int ready = poll(&in, 1, time_left(guard));

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0) {
            let_go(guard);
            guard->too_late = true;
            continue;
        }
        if (ready < 0 || recv(STDIN_FILENO, &order, 1, 0) != 1)
            return;
        answer.error = obey(guard, order);
        answer.too_late = guard->too_late;
        answer.held_ns = guard->held ? now_ns() - guard->since_ns : guard->held_ns;
        if (send(STDIN_FILENO, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
            return;
    }
}

int main(int argc, char **argv)
{
    struct guard guard = {0};

    if (argc != 3) {
        fputs("usage: xenwright-guard DOMID MILLISECONDS\n", stderr);
        return 2;
    }
    guard.domid = (uint32_t)strtoul(argv[1], NULL, 10);
    guard.limit_ns = strtoll(argv[2], NULL, 10) * 1000000;
    /* A Ctrl-C in the terminal is for the one that gives the orders. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    guard.xc = xc_interface_open(NULL, NULL, 0);
    if (!guard.xc) {
        perror("xenwright-guard: cannot open Xen's control interface");
        return 1;
    }
    serve(&guard);
    end(&guard);
    xc_interface_close(guard.xc);
    free(guard.renames);
    return 0;
}
