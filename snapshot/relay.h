/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands between `xl migrate` and the `xl migrate-receive` on the other host, and carries what
 * each says to the other.
 *
 * The end of what the sender says is held back until it is released: libxl's stream ends in a
 * record of eight zero bytes (docs/specs/libxl-migration-stream.pandoc of Xen, "END"), and the
 * receiver does not start the guest's QEMU, which opens the disks, before it has read that.
 */
#ifndef XENWRIGHT_SNAPSHOT_RELAY_H
#define XENWRIGHT_SNAPSHOT_RELAY_H

#include <stdbool.h>

#include <xenwright/error.h>

struct xw_relay;

/* The four descriptors become the relay's, also on failure. */
struct xw_relay_ends {
    int from_sender, to_sender, from_receiver, to_receiver;
};

int xw_relay_open(const struct xw_relay_ends *ends, struct xw_relay **ret, struct xw_error *err);

/* Hangs up on both. NULL is allowed. */
void xw_relay_close(struct xw_relay *relay);

/* To be polled for reading; it is readable from time to time until the end is released. */
int xw_relay_fd(const struct xw_relay *relay);

/*
 * Carry what there is. 1: it goes on; 0: both have hung up. *waiting: the sender has not said
 * anything for a while, and all but what may be the END record has been passed on.
 */
int xw_relay_step(struct xw_relay *relay, bool *waiting, struct xw_error *err);

/* Pass on what was held back, and hold nothing back any more. */
void xw_relay_release(struct xw_relay *relay);

#endif
