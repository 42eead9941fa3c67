/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transport over libxenvchan, see transport-vchan.h. */
#include <errno.h>
#include <fcntl.h>
#include <libxenvchan.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lab/transport-vchan.h"

/* Of each ring.  Sixteen pages of a guest's memory for each direction of each stream. */
#define RING_SIZE 65536

struct vchan_transport {
    struct lab_transport base;
    struct libxenvchan *vchan;
    bool gone; /* the domain that it was made in is another one now */
};

static struct libxenvchan *vchan_of(const struct lab_transport *transport)
{
    return ((const struct vchan_transport *)(const void *)transport)->vchan;
}

/* libxenvchan_is_open() takes a server that outlives its clients for open, always. */
static int peer_is_there(struct libxenvchan *vchan)
{
    return vchan->is_server ? vchan->ring->cli_live : vchan->ring->srv_live;
}

static ssize_t vchan_read(struct lab_transport *transport, void *bytes, size_t size)
{
    struct libxenvchan *vchan = vchan_of(transport);
    int peer = peer_is_there(vchan); /* before the read: what it left can still be read after */
    int got = libxenvchan_read(vchan, bytes, size > INT_MAX ? INT_MAX : size);

    if (got < 0)
        return peer ? -EIO : 0;
    if (got == 0)
        return peer ? -EAGAIN : 0;
    return got;
}

static ssize_t vchan_write(struct lab_transport *transport, const void *bytes, size_t size)
{
    struct libxenvchan *vchan = vchan_of(transport);

    if (!peer_is_there(vchan))
        return -EPIPE;
    int sent = libxenvchan_write(vchan, bytes, size > INT_MAX ? INT_MAX : size);
    return sent < 0 ? -EIO : sent == 0 ? -EAGAIN : sent;
}

/* Takes the event and lets the next one come.  Does not block: the descriptor is set so. */
static void vchan_woken(struct lab_transport *transport)
{
    libxenvchan_wait(vchan_of(transport));
}

static void vchan_close(struct lab_transport *transport)
{
    if (!((struct vchan_transport *)transport)->gone)
        libxenvchan_close(vchan_of(transport));
    free(transport);
}

static const struct lab_transport_ops vchan_ops = {
    .read = vchan_read,
    .write = vchan_write,
    .woken = vchan_woken,
    .close = vchan_close,
    .write_wakes_as_input = 1,
};

static struct lab_transport *wrap(struct libxenvchan *vchan)
{
    struct vchan_transport *transport = vchan ? malloc(sizeof(*transport)) : NULL;
    int fd = vchan ? libxenvchan_fd_for_select(vchan) : -1;
    int flags = vchan ? fcntl(fd, F_GETFL) : -1;

    if (!transport || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        int saved = errno;

        free(transport);
        if (vchan)
            libxenvchan_close(vchan);
        errno = saved;
        return NULL;
    }
    vchan->blocking = 0;
    *transport = (struct vchan_transport){
        .base = {.ops = &vchan_ops, .fd = fd},
        .vchan = vchan,
    };
    return &transport->base;
}

struct lab_transport *lab_transport_vchan_server(const char *path)
{
    struct libxenvchan *vchan = libxenvchan_server_init(NULL, 0, path, RING_SIZE, RING_SIZE);

    if (vchan)
        vchan->server_persist = 1;
    return wrap(vchan);
}

void lab_transport_vchan_give_up(struct lab_transport *transport)
{
    ((struct vchan_transport *)transport)->gone = true;
}

unsigned lab_transport_vchan_port(const struct lab_transport *transport)
{
    return vchan_of(transport)->event_port;
}

struct lab_transport *lab_transport_vchan_client(int domain, const char *path)
{
    return wrap(libxenvchan_client_init(NULL, domain, path));
}
