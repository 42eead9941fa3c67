/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest has to do itself before its disks are taken: suspend, or freeze its file systems. */
#ifndef XENWRIGHT_SNAPSHOT_QUIESCE_H
#define XENWRIGHT_SNAPSHOT_QUIESCE_H

#include "snapshot/create.h"

/*
 * Begin it, with the guest's QEMU not connected any more. 1: it goes on, to be stepped when
 * xw_create_wait_fd() is readable; 0: there is nothing that it has to do.
 */
int xw_quiesce_start(struct xw_session *session, struct xw_create *create, struct xw_error *err);

/* 1: it goes on; 0: the guest is ready. */
int xw_quiesce_step(struct xw_create *create, struct xw_error *err);

static inline bool xw_quiesce_goes_on(const struct xw_create *create)
{
    return create->saving || create->freezing;
}

/* Whatever has become of it, the guest goes on. */
void xw_quiesce_end(struct xw_create *create);

#endif
