/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain that is held for a moment, and goes on whatever happens to this process: another one,
 * the guard, holds it, and lets it go when this one dies or takes too long.
 */
#ifndef XENWRIGHT_HOST_STANDSTILL_H
#define XENWRIGHT_HOST_STANDSTILL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spawn.h"

struct xw_standstill {
    uint32_t domid;
    int fd; /* to the guard; -1: there is none */
    struct xw_child guard;
};

#define XW_STANDSTILL_INIT {.fd = -1}

/* Start the guard, which takes time, while the domain still runs. */
int xw_standstill_prepare(struct xw_standstill *standstill, uint32_t domid, int limit_ms,
                          struct xw_error *err);

/* The vCPUs stand still when this returns (XEN_DOMCTL_pausedomain, which counts). */
int xw_standstill_begin(struct xw_standstill *standstill, struct xw_error *err);

/*
 * They go on. *held_us (may be NULL) becomes how long they were held. -ETIMEDOUT: that was over
 * before, after the limit: what relied on it does not hold.
 */
int xw_standstill_end(struct xw_standstill *standstill, int64_t *held_us, struct xw_error *err);

/*
 * From here on there is no limit, and the domain will not go on as it was: it is reset by
 * xw_standstill_reset(), or by the guard when this process dies. -ETIMEDOUT as above.
 */
int xw_standstill_arm(struct xw_standstill *standstill, struct xw_error *err);
int xw_standstill_reset(struct xw_standstill *standstill, struct xw_error *err);

/*
 * From here on the domain is being saved, and suspended at some point: the guard resumes it where
 * this process dies; until xw_standstill_saved(). Once it is suspended, the limit can be set to
 * hold for that too; -ETIMEDOUT of saved: it was resumed after the limit.
 */
int xw_standstill_saving(struct xw_standstill *standstill, struct xw_error *err);
int xw_standstill_suspended(struct xw_standstill *standstill, struct xw_error *err);
int xw_standstill_saved(struct xw_standstill *standstill, struct xw_error *err);

/*
 * Where this process dies, the guard renames `from` to `to` before the domain goes on. Both
 * absolute, shorter than PATH_MAX.
 */
int xw_standstill_rename(struct xw_standstill *standstill, const char *from, const char *to,
                         struct xw_error *err);

/*
 * Have the agent in the guest, at the socket `path`, freeze its file systems. The answer comes when
 * the guard's socket is readable, at the latest a while after `timeout_ms`, by
 * xw_standstill_frozen(). From then on they are frozen for `limit_ms` at most, and thawed where
 * this process dies.
 */
int xw_standstill_freeze(struct xw_standstill *standstill, const char *path, int timeout_ms,
                         int limit_ms, struct xw_error *err);
int xw_standstill_frozen(struct xw_standstill *standstill, struct xw_error *err);

/* Thaw them. -ETIMEDOUT, -ESTALE: they were thawed before, after the limit or by somebody else. */
int xw_standstill_thaw(struct xw_standstill *standstill, struct xw_error *err);

/*
 * The guard ends as if this process had died: for when it is not known what QEMU has done, and the
 * renames are safe either way.
 */
void xw_standstill_abandon(struct xw_standstill *standstill);

/* The guard ends; a domain that is still held goes on (or is reset, once armed). */
void xw_standstill_release(struct xw_standstill *standstill);

#endif
