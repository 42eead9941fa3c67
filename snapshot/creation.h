/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The making of a snapshot as an operation: 'snapshot create' is that alone, 'vm save' is more. */
#ifndef XENWRIGHT_SNAPSHOT_CREATION_H
#define XENWRIGHT_SNAPSHOT_CREATION_H

#include "base/operation.h"
#include "snapshot/create.h"

struct xw_creation {
    struct xw_operation operation; /* first */
    struct xw_session session;
    struct xw_create create;
    struct xw_snapshot_made *made;
    bool dry_run;
    uint64_t memory; /* bytes that the guest's may take; 0: not known yet */
    int (*next)(struct xw_session *session, struct xw_create *create, struct xw_error *err);
};

/*
 * Opens the session on how->domain; the operation is initialised, the rest zeroed memory. What
 * `create` is to be is for the caller then: xw_create_plan(). Released in any case.
 */
int xw_creation_open(struct xw_creation *creation, struct xw_snapshots *snapshots,
                     const struct xw_snapshot_create *how, struct xw_error *err);

/* Of a class; the latter also releases the session. */
int xw_creation_step(struct xw_operation *operation, struct xw_error *err);
void xw_creation_release(struct xw_operation *operation);

#endif
