/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domain-save.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/connection.h"

#define MOST_FDS 64

struct xw_domain_save {
    struct xw_xen_log log;
    libxl_ctx *libxl;
    uint32_t domid;
    int epoll, timer;
    struct pollfd fds[MOST_FDS];
    int fd_count;
    libxl_asyncop_how how;
    bool running, ended;
    const char *wish; /* what cannot be done, where it fails */
    bool written;     /* its memory is, or is to be */
    int result;
    int64_t suspended_at;
};

static struct timeval now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    return (struct timeval){.tv_sec = at.tv_sec, .tv_usec = at.tv_nsec / 1000};
}

static void set_timer(struct xw_domain_save *save, int timeout_ms)
{
    struct itimerspec when = {0};

    if (timeout_ms >= 0)
        when.it_value = (struct timespec){.tv_sec = timeout_ms / 1000,
                                          .tv_nsec = timeout_ms % 1000 * 1000000 + 1};
    timerfd_settime(save->timer, 0, &when, NULL);
}

/* Ask libxl what it waits for, and make that what our own descriptor waits for. */
static int watch(struct xw_domain_save *save, struct xw_error *err)
{
    int timeout = -1;
    int rc;

    for (int i = 0; i < save->fd_count; i++)
        epoll_ctl(save->epoll, EPOLL_CTL_DEL, save->fds[i].fd, NULL);
    save->fd_count = MOST_FDS;
    rc = libxl_osevent_beforepoll(save->libxl, &save->fd_count, save->fds, &timeout, now());
    if (rc) {
        save->fd_count = 0;
        return xw_xen_log_error(&save->log, xw_libxl_errno(rc), err,
                                "domain %" PRIu32 ": libxl waits for too much", save->domid);
    }
    for (int i = 0; i < save->fd_count; i++) {
        struct epoll_event event = {.data.fd = save->fds[i].fd};

        event.events = (save->fds[i].events & POLLIN ? EPOLLIN : 0U) |
                       (save->fds[i].events & POLLOUT ? EPOLLOUT : 0U);
        epoll_ctl(save->epoll, EPOLL_CTL_ADD, save->fds[i].fd, &event);
    }
    set_timer(save, timeout);
    return 0;
}

static int open_descriptors(struct xw_domain_save *save, struct xw_error *err)
{
    struct epoll_event event = {.events = EPOLLIN};

    save->epoll = epoll_create1(EPOLL_CLOEXEC);
    save->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    event.data.fd = save->timer;
    if (save->epoll < 0 || save->timer < 0 ||
        epoll_ctl(save->epoll, EPOLL_CTL_ADD, save->timer, &event) < 0)
        return xw_error_set_errno(err, "domain %" PRIu32 ": descriptors for saving it",
                                  save->domid);
    return 0;
}

static const libxl_childproc_hooks childproc_hooks = {
    .chldowner = libxl_sigchld_owner_libxl_always_selective_reap};

/* A libxl of its own: what it waits for has to be known apart from everything else. */
static int open_libxl(struct xw_domain_save *save, struct xw_error *err)
{
    int rc;

    xw_xen_log_init(&save->log);
    rc = libxl_ctx_alloc(&save->libxl, LIBXL_VERSION, 0, &save->log.logger);
    if (!rc) {
        /* Of the children of this process it must take its own only. */
        libxl_childproc_setmode(save->libxl, &childproc_hooks, NULL);
        return 0;
    }
    save->libxl = NULL;
    return xw_xen_log_error(&save->log, xw_libxl_errno(rc), err, "cannot open libxl");
}

static int cannot(struct xw_domain_save *save, int rc, struct xw_error *err)
{
    return xw_xen_log_error(&save->log, xw_libxl_errno(rc), err, "domain %" PRIu32 " cannot be %s",
                            save->domid, save->wish);
}

/* `rc`: what libxl said to the order. */
static int begin(struct xw_domain_save *save, int rc, struct xw_error *err)
{
    if (rc)
        return cannot(save, rc, err);
    save->running = true;
    rc = watch(save, err);
    set_timer(save, 0); /* it may have ended already */
    return rc;
}

static int make(uint32_t domid, const char *wish, struct xw_domain_save **ret,
                struct xw_error *err)
{
    struct xw_domain_save *save = calloc(1, sizeof(*save));
    int rc;

    if (!save)
        return xw_error_set(err, ENOMEM, "domain %" PRIu32 ": out of memory", domid);
    *ret = save;
    save->domid = domid;
    save->wish = wish;
    save->epoll = save->timer = -1;
    rc = open_descriptors(save, err);
    return rc ? rc : open_libxl(save, err);
}

/* A failed start leaves nothing behind. */
static int started(struct xw_domain_save *save, int rc, struct xw_domain_save **ret)
{
    if (rc)
        xw_domain_save_free(save);
    else
        *ret = save;
    return rc;
}

int xw_domain_save_start(uint32_t domid, const void *head, size_t head_size, int fd, bool live,
                         struct xw_domain_save **ret, struct xw_error *err)
{
    struct xw_domain_save *save = NULL;
    int rc = make(domid, "saved", &save, err);

    if (!rc) {
        save->written = true;
        rc = xw_file_write_all(fd, head, head_size, "the memory of a domain", err);
    }
    if (!rc)
        rc = begin(save,
                   libxl_domain_suspend(save->libxl, domid, fd, live ? LIBXL_SUSPEND_LIVE : 0,
                                        &save->how),
                   err);
    return started(save, rc, ret);
}

int xw_domain_suspend_start(uint32_t domid, struct xw_domain_save **ret, struct xw_error *err)
{
    struct xw_domain_save *save = NULL;
    int rc = make(domid, "suspended", &save, err);

    if (!rc)
        rc = begin(save, libxl_domain_suspend_only(save->libxl, domid, &save->how), err);
    return started(save, rc, ret);
}

int xw_domain_save_fd(const struct xw_domain_save *save)
{
    return save->epoll;
}

static bool is_suspended(const struct xw_domain_save *save)
{
    libxl_dominfo info;
    bool suspended = false;

    libxl_dominfo_init(&info);
    if (!libxl_domain_info(save->libxl, &info, save->domid))
        suspended = info.shutdown && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
    libxl_dominfo_dispose(&info);
    return suspended;
}

/* Suspending is one of the things that libxl does while it is stepped, so this is soon enough. */
static void note_suspension(struct xw_domain_save *save)
{
    if (!save->suspended_at && is_suspended(save))
        save->suspended_at = xw_clock_ns();
}

static void collect(struct xw_domain_save *save)
{
    libxl_event *event;

    while (!libxl_event_check(save->libxl, &event, LIBXL_EVENTMASK_ALL, NULL, NULL)) {
        if (event->type == LIBXL_EVENT_TYPE_OPERATION_COMPLETE) {
            save->ended = true;
            save->running = false;
            save->result = event->u.operation_complete.rc;
        }
        libxl_event_free(save->libxl, event);
    }
}

int xw_domain_save_step(struct xw_domain_save *save, struct xw_error *err)
{
    int rc;

    poll(save->fds, (nfds_t)save->fd_count, 0);
    libxl_osevent_afterpoll(save->libxl, save->fd_count, save->fds, now());
    note_suspension(save);
    collect(save);
    if (!save->ended) {
        rc = watch(save, err);
        return rc ? rc : 1;
    }
    if (!save->result)
        return 0;
    return cannot(save, save->result, err);
}

int64_t xw_domain_save_suspended_at(const struct xw_domain_save *save)
{
    return save->suspended_at;
}

int xw_domain_save_resume(struct xw_domain_save *save, bool paused, struct xw_error *err)
{
    int rc = 0;

    if (!is_suspended(save)) /* never, or its guard has resumed it */
        return 0;
    xw_xen_log_reset(&save->log);
    if (paused)
        rc = libxl_domain_pause(save->libxl, save->domid, NULL);
    if (!rc)
        rc = libxl_domain_resume(save->libxl, save->domid, 1, NULL);
    if (rc)
        return xw_xen_log_error(&save->log, xw_libxl_errno(rc), err,
                                "domain %" PRIu32 " is suspended and cannot be resumed",
                                save->domid);
    return 0;
}

void xw_domain_save_gone(struct xw_domain_save *save)
{
    save->suspended_at = 0;
}

static void abort_save(struct xw_domain_save *save)
{
    libxl_ao_abort(save->libxl, &save->how);
    while (xw_domain_save_step(save, NULL) == 1)
        poll(&(struct pollfd){.fd = save->epoll, .events = POLLIN}, 1, -1);
}

bool xw_domain_save_free(struct xw_domain_save *save)
{
    bool asked = false, goes_on = true;

    if (!save)
        return true;
    if (save->running) {
        /* The guest still has libxl's request. */
        asked = !save->written;
        abort_save(save);
    }
    if (save->libxl)
        goes_on = xw_domain_save_resume(save, false, NULL) == 0 && (!asked || save->suspended_at);
    if (save->libxl)
        libxl_ctx_free(save->libxl);
    if (save->epoll >= 0)
        close(save->epoll);
    if (save->timer >= 0)
        close(save->timer);
    free(save);
    return goes_on;
}
