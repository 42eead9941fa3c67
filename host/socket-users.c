/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sock_diag(7): the accepted ends carry the listener's name, and the inode of the other end. */
#include "host/socket-users.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ESTABLISHED 1 /* TCP_ESTABLISHED, whose numbers UNIX sockets share */

static int ask(void)
{
    const struct timeval patience = {.tv_sec = 2};
    struct {
        struct nlmsghdr header;
        struct unix_diag_req body;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = AF_UNIX,
                 .udiag_states = 1 << ESTABLISHED,
                 .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER},
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request))
        return fd;
    close(fd);
    return -1;
}

/* The inode of the other end, where this is one of the socket's; else 0. */
static unsigned int peer_of(struct nlmsghdr *header, const char *path)
{
    struct unix_diag_msg *message = NLMSG_DATA(header);
    struct rtattr *attribute = (struct rtattr *)(message + 1);
    int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*message)));
    unsigned int peer = 0;
    bool named = false;

    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        size_t size = RTA_PAYLOAD(attribute);

        if (attribute->rta_type == UNIX_DIAG_NAME)
            named = strnlen(RTA_DATA(attribute), size) == strlen(path) &&
                    !strncmp(RTA_DATA(attribute), path, strlen(path));
        else if (attribute->rta_type == UNIX_DIAG_PEER && size >= sizeof(peer))
            memcpy(&peer, RTA_DATA(attribute), sizeof(peer));
    }
    return named ? peer : 0;
}

/* 1: found; 0: not in these; negative: there are no more. */
static int look_through(struct nlmsghdr *header, int size, const char *path,
                        unsigned int *peer)
{
    for (; NLMSG_OK(header, (unsigned int)size); header = NLMSG_NEXT(header, size)) {
        if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
            return -1;
        *peer = peer_of(header, path);
        if (*peer)
            return 1;
    }
    return 0;
}

bool xw_socket_user(const char *path, struct xw_file_user *ret)
{
    _Alignas(struct nlmsghdr) char buffer[32768];
    xw_auto_close int fd = ask();
    unsigned int peer = 0;
    int found = fd < 0 ? -1 : 0;
    struct stat st;

    while (!found) {
        ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

        found =
            got <= 0 ? -1 : look_through((struct nlmsghdr *)buffer, (int)got, path, &peer);
    }
    if (found < 0)
        return false;
    if (ret)
        *ret = (struct xw_file_user){0};
    /* Sockets are files of one device, and have their inode as number. */
    if (ret && fstat(fd, &st) == 0) {
        st.st_ino = peer;
        xw_file_user_of(&st, ret);
    }
    return true;
}
