/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A running machine in hand: its monitor, its agent's channels, its end. */
#ifndef LAB_CONTROL_H
#define LAB_CONTROL_H

#include "host/qmp.h"
#include "lab/client.h"
#include "lab/place.h"

/* Connect to the monitor of the lab's QEMU. Close with xw_qmp_close. */
int lab_control_qmp(const struct lab_place *place, const char *name, struct xw_qmp **ret,
                    struct xw_error *err);

/*
 * A free channel to the agent, held (by a lock that ends with this process) until
 * lab_channel_release. Waits up to timeout_ms for one where all are busy (-EBUSY).
 */
struct lab_channel {
    struct lab_client *client;
    int lock; /* descriptor */
};
int lab_channel_take(const struct lab_place *place, const char *name, int timeout_ms,
                     struct lab_channel *ret, struct xw_error *err);
void lab_channel_release(struct lab_channel *channel);

/*
 * End QEMU, whatever state it is in: asked first, then killed. Returns when it is gone. pid: as far
 * as known, else 0; it is only used while the lab's lock shows that its QEMU lives.
 */
int lab_control_end(const struct lab_place *place, const char *name, pid_t pid,
                    struct xw_error *err);

#endif
