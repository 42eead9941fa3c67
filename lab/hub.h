/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A network between labs: an Ethernet switch in a process of its own.
 *
 * QEMU sends each frame as one datagram to .nets/NET.sock and gets its frames at
 * NAME/link-NET.sock (-netdev dgram with unix addresses), both relative to the folder of the labs,
 * where QEMU runs. So the switch knows a member by the name its frames come from, and finds those
 * that have not sent anything yet by looking for their sockets. It may be killed and started anew
 * at any time: members keep sending to the same name and lose the frames of that moment.
 */
#ifndef XW_LAB_HUB_H
#define XW_LAB_HUB_H

#include <xenwright/error.h>

/* How long a switch without members waits for the first one, or the next. */
#define LAB_HUB_GRACE_MS 30000

/*
 * Makes sure that the switch of the network runs, and goes on for LAB_HUB_GRACE_MS at least. Where
 * it does not, starts "program __hub NET" with the folder labs_dirfd as its working directory,
 * apart from this session, and waits until it listens (5 s at most: -ETIMEDOUT). One that has no
 * time to answer counts as running.
 */
int lab_hub_ensure(int labs_dirfd, const char *net, const char *program, struct xw_error *err);

/*
 * The switch itself, for that process only: changes the working directory to labs_dirfd. Writes
 * "ready" and a newline to ready_fd once it listens, and puts /dev/null in its place (-1: nobody
 * waits). Returns 0 when no member has been there for grace_ms, and at once when the network has a
 * switch already.
 */
int lab_hub_run(int labs_dirfd, const char *net, int ready_fd, int grace_ms, struct xw_error *err);

#endif
