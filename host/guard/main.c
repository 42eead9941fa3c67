/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xenwright-guard DOMID LIMIT: holds the vCPUs of a domain for at most LIMIT milliseconds at a
 * time, as it is told on its standard input (guard.h), and lets them go when that closes; and
 * resumes a domain that was left suspended, or is for longer than that; and has the agent in the
 * guest thaw file systems that it froze.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xen/sched.h>

#include <xenwright/xenstore.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "host/guard/freeze.h"
#include "host/connection.h"

#define SUSPEND_LIMIT_NS INT64_C(10000000000)

struct guard {
    xc_interface *xc;
    libxl_ctx *libxl; /* opened when it is needed */
    uint32_t domid;
    int64_t limit_ns;
    bool held, armed, saving, suspended;
    const char *too_late; /* what went on without orders, since its time was up; NULL: nothing */
    struct guard_freeze freeze;
    int64_t since_ns, held_ns;
    struct xw_guard_rename *renames;
    size_t rename_count;
};

static int hold(struct guard *guard)
{
    if (guard->held)
        return 0;
    if (guard->freeze.order.path[0] && !guard->freeze.frozen)
        return ETIMEDOUT;
    if (xc_domain_pause(guard->xc, guard->domid))
        return errno;
    guard->since_ns = xw_clock_ns();
    guard->held = true;
    guard->too_late = NULL;
    return 0;
}

static int let_go(struct guard *guard)
{
    if (!guard->held)
        return 0;
    if (xc_domain_unpause(guard->xc, guard->domid))
        return errno;
    guard->held_ns = xw_clock_ns() - guard->since_ns;
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

/* As libxl does after its own time limit: a guest that has taken the request has emptied the node. */
static int withdraw(struct xw_xenstore *xs, xw_xenstore_tx tx, void *data, struct xw_error *err)
{
    const char *path = data;
    xw_auto_free char *value = NULL;
    int rc = xw_xenstore_read(xs, tx, path, 64, &value, NULL, err);

    if (rc || strcmp(value, "suspend") != 0)
        return rc;
    return xw_xenstore_write(xs, tx, path, "", err);
}

static void withdraw_request(const struct guard *guard)
{
    struct xw_xenstore *xs;
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/control/shutdown", guard->domid);
    if (xw_xenstore_open(&xs, NULL))
        return;
    xw_xenstore_transact(xs, withdraw, path, NULL);
    xw_xenstore_close(xs);
}

/*
 * The guest may have been asked to suspend by the one that has died, and do so only now; nobody
 * else would resume it. A guest that is asked answers within seconds; one that is suspended later
 * than that is so by somebody else's wish.
 */
static void resume_suspended(struct guard *guard)
{
    int64_t until = xw_clock_ns() + SUSPEND_LIMIT_NS;
    struct xw_xen_log log;

    xw_xen_log_init(&log);
    if (libxl_ctx_alloc(&guard->libxl, LIBXL_VERSION, 0, &log.logger))
        return;
    while (!is_suspended(guard) && xw_clock_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    if (is_suspended(guard))
        libxl_domain_resume(guard->libxl, guard->domid, 1, NULL);
    else
        withdraw_request(guard);
    libxl_ctx_free(guard->libxl);
}

/* What comes right behind an order. */
static int take_more(void *ret, size_t size)
{
    return recv(STDIN_FILENO, ret, size, MSG_WAITALL) == (ssize_t)size ? 0 : EIO;
}

static int freeze(struct guard *guard, struct xw_error *err)
{
    struct xw_guard_freeze *order = &guard->freeze.order;

    if (take_more(order, sizeof(*order)))
        return EIO;
    order->path[PATH_MAX - 1] = '\0';
    guard->too_late = NULL;
    return -guard_freeze(&guard->freeze, err);
}

/* One more to be done at the end. */
static int take_rename(struct guard *guard)
{
    size_t size = (guard->rename_count + 1) * sizeof(*guard->renames);
    struct xw_guard_rename *more = realloc(guard->renames, size);

    if (!more)
        return ENOMEM;
    guard->renames = more;
    more += guard->rename_count;
    if (take_more(more, sizeof(*more)))
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
    guard_thaw_at_last(&guard->freeze);
}

static int obey(struct guard *guard, char order, struct xw_error *err)
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
    case XW_GUARD_SUSPENDED:
        guard->since_ns = xw_clock_ns();
        guard->suspended = true;
        guard->too_late = NULL;
        return 0;
    case XW_GUARD_FREEZE:
        return freeze(guard, err);
    case XW_GUARD_THAW:
        return -guard_thaw(&guard->freeze, err);
    case XW_GUARD_SAVING:
    case XW_GUARD_SAVED:
        guard->saving = order == XW_GUARD_SAVING;
        guard->suspended = false;
        return 0;
    default:
        return EINVAL;
    }
}

/* Milliseconds until the guest is to go on, rounded up; -1: it does. */
static int time_left(const struct guard *guard)
{
    int64_t left = INT64_MAX, thaw = INT64_MAX;

    if ((guard->held || guard->suspended) && !guard->armed)
        left = (guard->since_ns + guard->limit_ns - xw_clock_ns()) / 1000000 + 1;
    if (guard->freeze.frozen)
        thaw = guard->freeze.until_ms - xw_clock_ms() + 1;
    left = thaw < left ? thaw : left;
    return left == INT64_MAX ? -1 : left > 0 ? (int)left : 0;
}

static void time_is_up(struct guard *guard)
{
    let_go(guard);
    if (guard->suspended)
        resume_suspended(guard);
    guard->suspended = false;
    if (!guard->freeze.frozen) {
        guard->too_late = "stood still for too long, and was let go before all was done";
        return;
    }
    guard->too_late = "was frozen for too long, and was thawed before all was done";
    guard_thaw(&guard->freeze, NULL);
    if (guard->freeze.frozen)
        guard->freeze.until_ms = xw_clock_ms() + 1000;
}

static void serve(struct guard *guard)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char order;

    for (;;) {
        struct xw_guard_answer answer = {0};
        struct xw_error err = XW_ERROR_INIT;
        int ready = poll(&in, 1, time_left(guard));

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0) {
            time_is_up(guard);
            continue;
        }
        if (ready < 0 || recv(STDIN_FILENO, &order, 1, 0) != 1)
            return;
        answer.error = obey(guard, order, &err);
        answer.too_late = guard->too_late != NULL;
        snprintf(answer.text, sizeof(answer.text), "%s",
                 err.code ? err.message : guard->too_late ? guard->too_late : "");
        answer.held_ns = guard->held ? xw_clock_ns() - guard->since_ns : guard->held_ns;
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
