/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/restart.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

/* The toolstack takes the old domain down, then makes the new one: xl waits 2 s between the two. */
#define RESTART_MS 180000
#define GONE_MS 30000
#define POLL_NS 100000000
#define XL_MS 60000

static int start_timer(struct xw_restart *restart, struct xw_error *err)
{
    const struct itimerspec often = {.it_value = {.tv_nsec = POLL_NS},
                                     .it_interval = {.tv_nsec = POLL_NS}};

    restart->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (restart->timer < 0 || timerfd_settime(restart->timer, 0, &often, NULL) < 0)
        return xw_error_set_errno(err, "a timer");
    restart->deadline = xw_deadline(RESTART_MS);
    restart->gone = xw_deadline(GONE_MS);
    return 0;
}

int xw_restart_await(struct xw_restart *restart, struct xw_host *host,
                     const struct xw_subject *subject, struct xw_error *err)
{
    restart->host = host;
    restart->subject = subject;
    return start_timer(restart, err);
}

int xw_restart_destroy(const struct xw_subject *subject, struct xw_error *err)
{
    char domid[16];
    const char *const argv[] = {"xl", "destroy", domid, NULL};
    const struct xw_spawn spawn = {.argv = argv, .timeout_ms = XL_MS};

    snprintf(domid, sizeof(domid), "%" PRIu32, subject->domid);
    return xw_spawn_check(&spawn, NULL, err);
}

int xw_restart_restore(struct xw_restart *restart, struct xw_host *host,
                       const struct xw_subject *subject, const char *path, bool paused,
                       struct xw_error *err)
{
    const char *const argv[] = {"xl", "restore", paused ? "-p" : path, paused ? path : NULL, NULL};
    const struct xw_spawn spawn = {.argv = argv, .stderr_fd = XW_SPAWN_INHERIT};
    int rc = subject->running ? xw_restart_destroy(subject, err) : 0;

    restart->paused = paused;
    restart->host = host;
    restart->subject = subject;
    return rc ? rc : xw_spawn_start(&spawn, &restart->xl, err);
}

int xw_restart_fd(const struct xw_restart *restart)
{
    return restart->xl.pid ? restart->xl.pidfd : restart->timer;
}

/* A guest without uuid= in its configuration has another one in each snapshot of its memory. */
static bool is_it(const struct xw_subject *subject, const struct xw_domain *domain)
{
    return !strcmp(domain->uuid, subject->uuid) || !strcmp(domain->name, subject->name);
}

/* Is there a new domain of this guest, which has been let run? *any: there is one at all. */
static int find(struct xw_restart *restart, bool *any, struct xw_error *err)
{
    const struct xw_subject *subject = restart->subject;
    struct xw_domain *domains = NULL;
    int rc = xw_domain_list(restart->host, &domains, err);

    *any = false;
    for (const struct xw_domain *domain = domains; domain; domain = domain->next) {
        if (!is_it(subject, domain))
            continue;
        *any = true;
        if ((!subject->running || domain->domid != subject->domid) && domain->name[0] &&
            (restart->paused || !(domain->flags & XW_DOMAIN_PAUSED)))
            restart->domid = domain->domid;
    }
    xw_domain_free(domains);
    return rc;
}

static int await(struct xw_restart *restart, struct xw_error *err)
{
    uint64_t ticks;
    bool any;
    int rc;

    if (read(restart->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        return xw_error_set_errno(err, "a timer");
    rc = find(restart, &any, err);
    if (rc || restart->domid >= 0)
        return rc;
    if (any)
        restart->gone = xw_deadline(GONE_MS);
    if (xw_deadline_left(restart->deadline) > 0 && xw_deadline_left(restart->gone) > 0)
        return 1;
    return xw_error_set(err, ETIMEDOUT,
                        "'%s' is reverted, but its toolstack has not started it again (see "
                        "/var/log/xen/xl-%s.log): create it",
                        restart->subject->name, restart->subject->name);
}

static int await_xl(struct xw_restart *restart, struct xw_error *err)
{
    enum xw_spawn_end end;
    int status;
    bool any;
    int rc = xw_child_wait(&restart->xl, 0, &end, &status, NULL);

    if (rc == -ETIMEDOUT)
        return 1;
    restart->xl = (struct xw_child){0};
    if (rc || end != XW_SPAWN_EXITED || status != 0)
        return xw_error_set(err, EIO, "'xl restore' of '%s' failed (see above): it is off",
                            restart->subject->name);
    return find(restart, &any, err);
}

int xw_restart_step(struct xw_restart *restart, struct xw_error *err)
{
    return restart->xl.pid ? await_xl(restart, err) : await(restart, err);
}

void xw_restart_free(struct xw_restart *restart)
{
    if (restart->xl.pid)
        xw_child_forget(&restart->xl);
    if (restart->timer >= 0)
        close(restart->timer);
    *restart = (struct xw_restart)XW_RESTART_INIT;
}
