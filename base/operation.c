/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/operation.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int add(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int xw_operation_init(struct xw_operation *operation, const struct xw_operation_class *class,
                      struct xw_error *err)
{
    int rc;

    operation->class = class;
    operation->state.step = "";
    operation->waiting = -1;
    operation->end = 1;
    operation->fd = epoll_create1(EPOLL_CLOEXEC);
    operation->now = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (operation->fd >= 0 && operation->now >= 0 && add(operation->fd, operation->now) == 0)
        return 0;
    rc = xw_error_set_errno(err, "descriptors for an operation");
    if (operation->fd >= 0)
        close(operation->fd);
    if (operation->now >= 0)
        close(operation->now);
    return rc;
}

void xw_operation_report(struct xw_operation *operation, const char *step, uint64_t done,
                         uint64_t total)
{
    operation->state = (struct xw_operation_state){.step = step, .done = done, .total = total};
}

int xw_operation_wait_for(struct xw_operation *operation, int fd, struct xw_error *err)
{
    if (fd == operation->waiting)
        return 0;
    /* A descriptor that was closed meanwhile has left the set by itself. */
    epoll_ctl(operation->fd, EPOLL_CTL_DEL,
              operation->waiting >= 0 ? operation->waiting : operation->now, NULL);
    operation->waiting = fd;
    if (add(operation->fd, fd >= 0 ? fd : operation->now) == 0)
        return 0;
    return xw_error_set_errno(err, "waiting for an operation");
}

int xw_operation_fd(const struct xw_operation *operation)
{
    return operation->fd;
}

int xw_operation_step(struct xw_operation *operation, struct xw_error *err)
{
    if (operation->end > 0)
        operation->end = operation->class->step(operation, &operation->why);
    if (operation->end < 0 && err)
        *err = operation->why;
    return operation->end;
}

void xw_operation_state(const struct xw_operation *operation, struct xw_operation_state *ret)
{
    *ret = operation->state;
}

void xw_operation_cancel(struct xw_operation *operation)
{
    operation->cancelled = true;
}

void xw_operation_free(struct xw_operation *operation)
{
    if (!operation)
        return;
    xw_operation_cancel(operation);
    while (xw_operation_step(operation, NULL) > 0)
        poll(&(struct pollfd){.fd = operation->fd, .events = POLLIN}, 1, -1);
    operation->class->release(operation);
    close(operation->fd);
    close(operation->now);
    free(operation);
}
