/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A two-way byte stream that can be waited for with poll or epoll: a socket or virtio-serial port
 * (transport-fd.c) or a vchan between two Xen domains (transport-vchan.c).
 */
#ifndef LAB_TRANSPORT_H
#define LAB_TRANSPORT_H

#include <stddef.h>
#include <sys/types.h>

struct lab_transport;

struct lab_transport_ops {
    /* Like read(2) and write(2) on a non-blocking descriptor, but with a negative errno for a
     * failure: -EAGAIN when nothing can be moved now.  A read of 0 means that the peer is gone. */
    ssize_t (*read)(struct lab_transport *transport, void *bytes, size_t size);
    ssize_t (*write)(struct lab_transport *transport, const void *bytes, size_t size);
    /* The descriptor has become readable.  May be NULL.  To be called once for each time that
     * poll said so, before the next read or write. */
    void (*woken)(struct lab_transport *transport);
    /* Ends the connection and frees the transport. */
    void (*close)(struct lab_transport *transport);
    /* Room for writing is announced by the descriptor being readable, never by POLLOUT. */
    int write_wakes_as_input;
};

/* The first member of every kind of transport. */
struct lab_transport {
    const struct lab_transport_ops *ops;
    int fd; /* to wait on; belongs to the transport */
};

/* Makes a transport of an open stream and sets it non-blocking.  Owns fd from here on, also when
 * it fails.  Returns NULL with errno set. */
struct lab_transport *lab_transport_fd(int fd);

#endif
