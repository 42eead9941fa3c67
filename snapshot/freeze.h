/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest whose file systems its agent has frozen, for the disks of a snapshot. */
#ifndef XENWRIGHT_SNAPSHOT_FREEZE_H
#define XENWRIGHT_SNAPSHOT_FREEZE_H

#include "host/standstill.h"
#include "snapshot/session.h"

#define XW_FREEZE_TIMEOUT_MS 30000 /* for the agent to freeze them, where nothing else was said */

struct xw_freeze;

/* Begin. The guard does it, and thaws them where we die, or take too long. */
int xw_freeze_start(struct xw_session *session, int timeout_ms, struct xw_freeze **ret,
                    struct xw_error *err);

/* When it is readable, this tells how it ended: 0: they are frozen. */
int xw_freeze_fd(const struct xw_freeze *freeze);
int xw_freeze_finish(struct xw_freeze *freeze, struct xw_error *err);

/* The guard, which holds the guest as well. It belongs to the freeze. */
struct xw_standstill *xw_freeze_guard(struct xw_freeze *freeze);

/* -ETIMEDOUT, -ESTALE: they were thawed before, and what relied on it does not hold. */
int xw_freeze_thaw(struct xw_freeze *freeze, struct xw_error *err);

/* The guest goes on, and is thawed, in any case. NULL is allowed. */
void xw_freeze_free(struct xw_freeze *freeze);

#endif
