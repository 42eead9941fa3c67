/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The putting back of disks, and the guest's going on from there: 'snapshot revert', 'vm restore'. */
#ifndef XENWRIGHT_SNAPSHOT_REVERT_H
#define XENWRIGHT_SNAPSHOT_REVERT_H

#include "base/operation.h"
#include "host/standstill.h"
#include "snapshot/restart.h"
#include "snapshot/session.h"

struct xw_revert {
    struct xw_operation operation; /* first */
    struct xw_session session;
    struct xw_standstill standstill;
    char *domain, *name; /* what was asked for: the VM, and its snapshot */
    bool discard_current, restart, no_memory, dry_run;
    bool resume;      /* it goes on from memory */
    char *memory;     /* the file with that, which the caller has checked; NULL: the snapshot's own */
    bool paused;      /* it is restored, but not let run */
    bool as_they_are; /* the disks hold what they are to hold */
    struct xw_snapshot_reverted *reverted;
    char kept[XW_SNAPSHOT_NAME_SIZE]; /* the snapshot of the state before; "": none was made */
    struct xw_snapshot *target;
    struct xw_store_disk *disks;
    struct xw_restart guest;
    bool awaits_guest; /* its disks are put back, and it is to come back */
};

/* Of zeroed memory, whose `operation` is the caller's to initialise; and what it holds. */
void xw_revert_init(struct xw_revert *revert);
void xw_revert_release(struct xw_operation *operation);

/* Everything that can be refused; fills target and disks. The session is open. */
int xw_revert_plan(struct xw_revert *revert, struct xw_error *err);

/* After that. 1: to be called again when the operation is readable; 0: done. */
int xw_revert_go(struct xw_revert *revert, struct xw_error *err);

#endif
