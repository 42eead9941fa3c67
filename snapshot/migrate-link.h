/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a migration gets hold of what `xl migrate` says: xl starts, in place of ssh, a program that
 * passes its standard input and output to us over a socket and waits for us to hang up. If we are
 * killed it ends, and xl takes that for a broken connection.
 */
#ifndef XENWRIGHT_SNAPSHOT_MIGRATE_LINK_H
#define XENWRIGHT_SNAPSHOT_MIGRATE_LINK_H

#include <xenwright/error.h>

/* Accept the program at a listening socket: its connection, and its standard input and output. */
int xw_migrate_accept(int listening, int *connection, int fds[2], struct xw_error *err);

#endif
