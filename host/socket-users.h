/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is connected to a UNIX socket, as far as this host can see. */
#ifndef XENWRIGHT_HOST_SOCKET_USERS_H
#define XENWRIGHT_HOST_SOCKET_USERS_H

#include <stdbool.h>

#include "host/file-users.h"

/*
 * Whether somebody is connected to the listening socket that was bound to `path`, word for word.
 * *ret (may be NULL) names the one, with pid 0 and "" where it cannot be told. false also where the
 * kernel does not tell of sockets.
 */
bool xw_socket_user(const char *path, struct xw_file_user *ret);

#endif
