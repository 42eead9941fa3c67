/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"

#define ROOM (256 * 1024)
#define PIPE_ROOM (1024 * 1024)
#define END_SIZE 8
#define TICK_MS 5

struct way {
    int in, out; /* -1: hung up */
    bool in_watched, out_watched;
    bool rests; /* until the next tick */
    struct xw_buffer buffer;
    size_t held; /* bytes at the end that stay for now */
};

struct xw_relay {
    struct way there, back; /* from the sender to the receiver; and the other way */
    int epoll, timer;
    bool idle; /* nothing has come from the sender since the last tick */
    bool came;
};

static void hang_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void xw_relay_close(struct xw_relay *relay)
{
    if (!relay)
        return;
    hang_up(&relay->there.in);
    hang_up(&relay->there.out);
    hang_up(&relay->back.in);
    hang_up(&relay->back.out);
    hang_up(&relay->epoll);
    hang_up(&relay->timer);
    xw_buffer_free(&relay->there.buffer);
    xw_buffer_free(&relay->back.buffer);
    free(relay);
}

/* With much room in a pipe each end is woken less often. It may be no pipe, or not be allowed. */
static void prepare(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETPIPE_SZ, PIPE_ROOM);
}

/*
 * Whether the descriptor is in the set. It has to be taken out before it is closed, since the other
 * end of xl's pipes is known to another process of ours too.
 */
static void watch(const struct xw_relay *relay, int fd, bool wanted, uint32_t events, bool *watched)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    if (fd < 0 || wanted == *watched)
        return;
    *watched = wanted;
    epoll_ctl(relay->epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event);
}

static void end_in(const struct xw_relay *relay, struct way *way)
{
    watch(relay, way->in, false, 0, &way->in_watched);
    hang_up(&way->in);
}

static void end_out(const struct xw_relay *relay, struct way *way)
{
    watch(relay, way->out, false, 0, &way->out_watched);
    hang_up(&way->out);
}

static void init_way(struct way *way, int in, int out, size_t held)
{
    *way = (struct way){.in = in, .out = out, .held = held};
    xw_buffer_init(&way->buffer, ROOM);
    prepare(in);
    prepare(out);
}

static size_t ready(const struct way *way)
{
    return way->buffer.length > way->held ? way->buffer.length - way->held : 0;
}

/* Once all is passed on: what is left behind would have to be moved for each piece that comes. */
static bool wants_more(const struct way *way)
{
    return way->in >= 0 && way->out >= 0 && !way->rests && !ready(way);
}

static void watch_way(const struct xw_relay *relay, struct way *way)
{
    watch(relay, way->in, wants_more(way), EPOLLIN, &way->in_watched);
    watch(relay, way->out, ready(way) > 0, EPOLLOUT, &way->out_watched);
}

int xw_relay_open(const struct xw_relay_ends *ends, struct xw_relay **ret, struct xw_error *err)
{
    struct itimerspec tick = {.it_value = {.tv_nsec = TICK_MS * 1000000},
                              .it_interval = {.tv_nsec = TICK_MS * 1000000}};
    struct xw_relay *relay = calloc(1, sizeof(*relay));

    if (!relay) {
        for (const int *fd = &ends->from_sender; fd <= &ends->to_receiver; fd++)
            close(*fd);
        return xw_error_set(err, ENOMEM, "carrying a migration: out of memory");
    }
    init_way(&relay->there, ends->from_sender, ends->to_receiver, END_SIZE);
    init_way(&relay->back, ends->from_receiver, ends->to_sender, 0);
    relay->epoll = epoll_create1(EPOLL_CLOEXEC);
    relay->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (relay->epoll < 0 || relay->timer < 0 || timerfd_settime(relay->timer, 0, &tick, NULL) < 0) {
        int rc = xw_error_set_errno(err, "descriptors for a migration");

        xw_relay_close(relay);
        return rc;
    }
    watch(relay, relay->timer, true, EPOLLIN, &(bool){false});
    watch_way(relay, &relay->there);
    watch_way(relay, &relay->back);
    *ret = relay;
    return 0;
}

int xw_relay_fd(const struct xw_relay *relay)
{
    return relay->epoll;
}

/*
 * Read once. Where little has come, more is waited for a moment, since the sender writes a page at
 * a time: to be woken for each costs more than the page. What a sender that hangs up has left is
 * not passed on where it is held.
 */
static int take(const struct xw_relay *relay, struct way *way, bool *came, struct xw_error *err)
{
    ssize_t size;

    if (!wants_more(way))
        return 0;
    size = xw_buffer_read(&way->buffer, way->in, ROOM - way->buffer.length, err);
    if (size == -EAGAIN)
        return 0;
    if (size == 0)
        end_in(relay, way);
    *came = *came || size > 0;
    way->rests = relay->timer >= 0 && size > 0 && size < ROOM / 2;
    return size < 0 ? (int)size : 0;
}

static void give(const struct xw_relay *relay, struct way *way)
{
    size_t size = ready(way);
    ssize_t written;

    if (way->out >= 0 && size) {
        written = write(way->out, way->buffer.data, size);
        if (written > 0)
            xw_buffer_consume(&way->buffer, (size_t)written);
        else if (errno != EAGAIN && errno != EINTR)
            end_out(relay, way); /* nobody listens any more; what is read is of no use */
    }
    if (way->in < 0 && !ready(way))
        end_out(relay, way);
    if (way->out < 0)
        end_in(relay, way);
}

/* A listener that has gone must not end us. */
static void give_both(struct xw_relay *relay)
{
    const struct timespec at_once = {0, 0};
    sigset_t sigpipe, before, pending;

    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    give(relay, &relay->there);
    give(relay, &relay->back);
    if (!sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&sigpipe, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void tick(struct xw_relay *relay)
{
    uint64_t ticks;

    if (relay->timer < 0 || read(relay->timer, &ticks, sizeof(ticks)) < 0)
        return;
    relay->idle = !relay->came;
    relay->came = false;
    relay->there.rests = relay->back.rests = false;
}

static bool is_waiting(const struct xw_relay *relay)
{
    static const char end[END_SIZE];
    const struct xw_buffer *buffer = &relay->there.buffer;

    return relay->there.held && relay->idle && !relay->came && relay->there.in >= 0 &&
           buffer->length == END_SIZE && !memcmp(buffer->data, end, END_SIZE);
}

int xw_relay_step(struct xw_relay *relay, bool *waiting, struct xw_error *err)
{
    bool ignored = false;
    int rc = take(relay, &relay->there, &relay->came, err);

    if (!rc)
        rc = take(relay, &relay->back, &ignored, err);
    if (rc)
        return rc;
    give_both(relay);
    tick(relay);
    watch_way(relay, &relay->there);
    watch_way(relay, &relay->back);
    *waiting = is_waiting(relay);
    return relay->there.out >= 0 || relay->back.out >= 0;
}

void xw_relay_release(struct xw_relay *relay)
{
    relay->there.held = 0;
    relay->there.rests = relay->back.rests = false;
    hang_up(&relay->timer);
    watch_way(relay, &relay->there);
}
