/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Putting right what an operation left unfinished: a command that was killed, or that failed at a
 * point where some of it was done. The journal tells what it was about; the stores are asked what
 * became of it.
 */
#ifndef XENWRIGHT_SNAPSHOT_RECOVER_H
#define XENWRIGHT_SNAPSHOT_RECOVER_H

#include "snapshot/session.h"

/*
 * What a session's journal holds is finished or undone. Nothing pending is fine. -ESTALE: it is,
 * and the VM's configuration has perhaps changed with it, so that it has to be looked for again.
 */
int xw_recover(struct xw_session *session, struct xw_error *err);

/* The same for one kind each; the session's journal has it pending. */
int xw_recover_create(struct xw_session *session, bool *finished, struct xw_error *err);
int xw_recover_revert(struct xw_session *session, struct xw_error *err);
int xw_recover_delete(struct xw_session *session, struct xw_error *err);
int xw_recover_convert(struct xw_session *session, struct xw_error *err);

/* The stores drop these disks of a snapshot, however long that takes. */
int xw_recover_drop(struct xw_session *session, struct xw_store_disk *disks, struct xw_error *err);

/*
 * -ENODEV where neither the image of a disk nor what was kept of it is there: its file system is
 * not mounted, and what is asked of the stores then would be taken for done. `all`: of all disks.
 * `record` is what can be removed, beneath the VM's folder, where they are gone for good.
 */
int xw_recover_check_there(const struct xw_session *session, const struct xw_snapshot *snapshot,
                           bool all, const char *record, struct xw_error *err);

/* The snapshot that the pending operation is about, from its arguments. Free with
 * xw_snapshot_free(). */
int xw_recover_snapshot(const struct xw_session *session, struct xw_snapshot **ret,
                        struct xw_error *err);

#endif
