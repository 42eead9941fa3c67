/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UNIX stream sockets by path. sockaddr_un holds 107 bytes (unix(7)); longer paths are reached
 * through a descriptor of their folder, so only the last part has a limit (about 80 bytes).
 */
#ifndef XW_BASE_SOCKET_H
#define XW_BASE_SOCKET_H

#include <xenwright/error.h>

/*
 * Connect. The socket is close-on-exec and blocking. timeout_ms bounds the wait for a full
 * backlog (below 0: for ever). -ENOENT, -ECONNREFUSED: nobody there. -ETIMEDOUT. -ENAMETOOLONG.
 */
int xw_socket_connect(int dirfd, const char *path, int timeout_ms, int *ret_fd,
                      struct xw_error *err);

/*
 * Bind and listen, for the owner only (mode 0600). A socket file that nobody listens on any more is
 * replaced; -EADDRINUSE when somebody does or when something else is there.
 */
int xw_socket_listen(int dirfd, const char *path, int *ret_fd, struct xw_error *err);

#endif
