/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest whose disks are mirrored is sent to the other host by `xl migrate`, through us. When it
 * is suspended all has been sent but the end of the stream, which is held back until the mirrors
 * are ended and their images closed. Only with the end of the stream does the receiver start what
 * opens the images (docs/design/mirror.md).
 */
#ifndef XENWRIGHT_SNAPSHOT_MIGRATE_SEND_H
#define XENWRIGHT_SNAPSHOT_MIGRATE_SEND_H

#include "snapshot/mirror.h"

struct xw_send;

struct xw_send_how { /* all of it stays the caller's, and where it is */
    struct xw_snapshots *snapshots;
    struct xw_mirror *mirrors; /* in step; one at least */
    uint32_t domid;
    const char *host, *program; /* see xw_migrate_storage() */
};

int xw_send_start(const struct xw_send_how *how, struct xw_send **ret, struct xw_error *err);

/* To be polled for reading before each step. */
int xw_send_fd(const struct xw_send *send);

/*
 * 1: it goes on; 0: the guest runs there; negative: it runs on here. `cancelled`: break off, where
 * that is still possible.
 */
int xw_send_step(struct xw_send *send, bool cancelled, struct xw_error *err);

/* Whether somebody there may have opened the images. NULL: no. */
bool xw_send_is_released(const struct xw_send *send);

/* How long the suspended guest waited for the end of the mirrors. */
int64_t xw_send_switch_us(const struct xw_send *send);

/* One that has ended, or whose xl is to find its connection broken. NULL is allowed. */
void xw_send_free(struct xw_send *send);

#endif
