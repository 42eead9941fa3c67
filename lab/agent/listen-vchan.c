/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Serves a few vchans announced in xenstore as PATH/0, PATH/1, ...
 *
 * When the guest is restored or migrated it finds itself in a new domain: the nodes, the grants
 * and the event channels of the vchans are gone.  The kernel then sets its xenstore watches anew,
 * which makes each fire once; a vchan whose node is not there any more is made anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xenstore.h>

#include "agent.h"
#include "lab/transport-vchan.h"

#define VCHANS 4

static const char *root;
static struct xs_handle *store;
static struct xs_handle *watching; /* the thread's own */
static struct agent_source watch;
static struct agent_stream streams[VCHANS];
static struct agent_loop_work check_work;

/* A vchan stays from client to client, as a virtio-serial port does. */
static void lost(struct agent_stream *stream, int error)
{
    (void)stream;
    (void)error;
}

/* Whether dom0 still finds the stream's vchan in xenstore. */
static bool is_announced(int number)
{
    char path[512], expected[16];
    unsigned size;

    snprintf(path, sizeof(path), "%s/%d/event-channel", root, number);
    snprintf(expected, sizeof(expected), "%u",
             lab_transport_vchan_port(streams[number].transport));
    char *found = xs_read(store, XBT_NULL, path, &size);
    bool same = found && strcmp(found, expected) == 0;
    free(found);
    return same;
}

static void serve(int number)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%d", root, number);
    struct lab_transport *transport = lab_transport_vchan_server(path);
    int result = transport ? agent_stream_open(&streams[number], transport, lost) : -errno;
    if (result < 0)
        agent_note("vchan %s: %s", path, strerror(-result));
}

static bool check(struct agent_loop_work *work)
{
    (void)work;
    for (int i = 0; i < VCHANS; i++) {
        if (streams[i].transport && is_announced(i))
            continue;
        if (streams[i].transport) {
            lab_transport_vchan_give_up(streams[i].transport);
            agent_stream_close(&streams[i]);
        }
        serve(i);
    }
    return false;
}

static void watch_ready(struct agent_source *source)
{
    eventfd_t count;

    eventfd_read(source->fd, &count);
    agent_loop_queue(&check_work);
}

/*
 * xs_fileno() would do without a thread, but not here: in a program that is linked statically,
 * libxenstore reads events only while it waits for something else.
 */
static void *pass_events(void *fd)
{
    char **event;
    unsigned count;

    while ((event = xs_read_watch(watching, &count))) {
        free(event);
        eventfd_write(*(int *)fd, 1);
    }
    agent_note("watch of xenstore: %s", strerror(errno));
    return NULL;
}

static int start_thread(void)
{
    static int fd;
    pthread_t thread;
    sigset_t all, before;

    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = fd < 0 ? -errno : agent_source_open(&watch, fd, watch_ready);
    if (result < 0)
        return result;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = -pthread_create(&thread, NULL, pass_events, &fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int start(const char *argument)
{
    char token[] = "vchan";

    root = argument;
    check_work.pump = check;
    store = xs_open(0);
    watching = xs_open(0);
    /* Watching the first one is enough: they all go at the same time. */
    char path[512];
    snprintf(path, sizeof(path), "%s/0/event-channel", root);
    if (!store || !watching || !xs_watch(watching, path, token))
        return -errno;
    int result = start_thread();
    if (result == 0)
        agent_loop_queue(&check_work);
    return result;
}

const struct agent_listener agent_listener_vchan = {
    .option = "--vchan",
    .argument = "PATH",
    .help = "serve vchans for dom0, announced beneath PATH in xenstore",
    .start = start,
};
