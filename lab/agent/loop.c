/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event loop: descriptors that became ready, then work that was not finished in one go. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent.h"

static int epoll_fd = -1;
static bool quitting;
static struct agent_loop_work *queue;

int agent_loop_init(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_fd < 0 ? -errno : 0;
}

int agent_source_open(struct agent_source *source, int fd,
                      void (*ready)(struct agent_source *source))
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = source,
    };

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    /* A first attempt at reading or writing costs less than the wait for the first event. */
    *source = (struct agent_source){.ready = ready, .fd = fd, .readable = true, .writable = true};
    return 0;
}

void agent_source_forget(struct agent_source *source)
{
    if (source->fd >= 0)
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
}

void agent_source_close(struct agent_source *source)
{
    int fd = source->fd;

    agent_source_forget(source);
    if (fd >= 0)
        close(fd);
}

void agent_loop_queue(struct agent_loop_work *work)
{
    if (work->queued)
        return;
    work->queued = true;
    work->next = queue;
    queue = work;
}

/* Each piece of work gets one turn, so that one busy stream does not hold up the others. */
static void run_queue(void)
{
    struct agent_loop_work *round = queue;

    queue = NULL;
    while (round) {
        struct agent_loop_work *work = round;

        round = work->next;
        work->queued = false;
        if (work->pump(work))
            agent_loop_queue(work);
    }
}

static void dispatch(const struct epoll_event *event)
{
    struct agent_source *source = event->data.ptr;

    /* Closed by an earlier event of the same round.  If it was opened again since, the flags are
     * wrong for once, and the next call that says EAGAIN puts them right. */
    if (source->fd < 0)
        return;
    if (event->events & ~(uint32_t)EPOLLOUT)
        source->readable = true;
    if (event->events & ~(uint32_t)EPOLLIN)
        source->writable = true;
    source->ready(source);
}

int agent_loop_run(void)
{
    while (!quitting || agent_program_orphans() > 0) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll_fd, events, 64, queue ? 0 : -1);

        if (count < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < count; i++)
            dispatch(&events[i]);
        run_queue();
    }
    return 0;
}

void agent_loop_quit(void)
{
    quitting = true;
}
