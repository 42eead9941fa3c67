/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard's part in freezing a guest's file systems: whatever happens, they are thawed. */
#ifndef XENWRIGHT_HOST_GUARD_FREEZE_H
#define XENWRIGHT_HOST_GUARD_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

#include "host/guard/guard.h"
#include "host/guest-agent.h"

struct guard_freeze {
    struct xw_guard_freeze order;
    struct xw_guest_agent *agent; /* NULL: not connected */
    bool frozen;                  /* they are, or may be */
    int64_t until_ms;             /* when they are to be thawed, by xw_clock_ms() */
};

/*
 * Freeze them. A failure has tried to thaw what may be frozen, and says so; `frozen` is still set
 * where that could not be had for certain.
 */
int guard_freeze(struct guard_freeze *freeze, struct xw_error *err);

/* Thaw them. -ESTALE: they are thawed, and were before. */
int guard_thaw(struct guard_freeze *freeze, struct xw_error *err);

/* The same at the end, when nobody waits any more: for minutes where it takes that. */
void guard_thaw_at_last(struct guard_freeze *freeze);

#endif
