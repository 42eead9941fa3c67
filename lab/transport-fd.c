/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transport over a descriptor: socket, pipe pair, virtio-serial port. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lab/transport.h"

static ssize_t fd_read(struct lab_transport *transport, void *bytes, size_t size)
{
    ssize_t moved;

    do
        moved = read(transport->fd, bytes, size);
    while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

static ssize_t fd_write(struct lab_transport *transport, const void *bytes, size_t size)
{
    ssize_t moved;

    do
        moved = write(transport->fd, bytes, size);
    while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

static void fd_close(struct lab_transport *transport)
{
    close(transport->fd);
    free(transport);
}

static const struct lab_transport_ops fd_ops = {
    .read = fd_read,
    .write = fd_write,
    .close = fd_close,
};

struct lab_transport *lab_transport_fd(int fd)
{
    struct lab_transport *transport = malloc(sizeof(*transport));
    int flags = fcntl(fd, F_GETFL);

    if (!transport || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        int saved = errno;

        free(transport);
        close(fd);
        errno = saved;
        return NULL;
    }
    *transport = (struct lab_transport){.ops = &fd_ops, .fd = fd};
    return transport;
}
