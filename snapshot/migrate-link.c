/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/migrate-link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xenwright/mirror.h>

#include "base/cleanup.h"
#include "base/socket.h"

#define CONNECT_MS 10000
#define ACCEPT_MS 10000

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(2 * sizeof(int))];
};

int xw_migrate_connect(const char *socket, struct xw_error *err)
{
    const int fds[2] = {STDIN_FILENO, STDOUT_FILENO};
    union control control = {.room = {0}};
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control.room)};
    xw_auto_close int fd = -1;
    int rc = xw_socket_connect(AT_FDCWD, socket, CONNECT_MS, &fd, err);

    if (rc)
        return rc;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
    if (sendmsg(fd, &message, MSG_NOSIGNAL) != 1)
        return xw_error_set_errno(err, "%s", socket);
    while (read(fd, &byte, 1) > 0 || errno == EINTR)
        errno = 0;
    return 0;
}

int xw_migrate_accept(int listening, int *connection, int fds[2], struct xw_error *err)
{
    union control control;
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control.room)};
    xw_auto_close int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    struct pollfd in = {.fd = fd, .events = POLLIN};

    if (fd < 0)
        return xw_error_set_errno(err, "the connection of xl");
    if (poll(&in, 1, ACCEPT_MS) != 1 || recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != 1 ||
        !CMSG_FIRSTHDR(&message) || control.header.cmsg_type != SCM_RIGHTS ||
        control.header.cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return xw_error_set(err, EPROTO, "the connection of xl brought no descriptors");
    memcpy(fds, CMSG_DATA(&control.header), 2 * sizeof(int));
    *connection = fd;
    fd = -1;
    return 0;
}
