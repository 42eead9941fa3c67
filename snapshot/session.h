/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command at work on one VM: its lock and journal are held, and what an earlier command left
 * unfinished has been put right.
 */
#ifndef XENWRIGHT_SNAPSHOT_SESSION_H
#define XENWRIGHT_SNAPSHOT_SESSION_H

#include "base/journal.h"
#include "host/guest-qemu.h"
#include "snapshot/subject.h"

struct xw_session {
    struct xw_snapshots *snapshots;
    struct xw_subject subject; /* with its record, and the record's snapshots */
    struct xw_lock lock;
    struct xw_journal *journal;
    struct xw_guest_qemu *qemu; /* while connected; else NULL */
    uint32_t recovered;         /* how many operations had been interrupted */
    bool postpones;             /* an interrupted deletion is left as it is: it takes long */
};

#define XW_SESSION_INIT {.lock = XW_LOCK_INIT}

/*
 * Open on what `domain` names. `make`: a VM that has no record gets one; else -ENOENT. Close with
 * xw_session_close(), also after a failure.
 */
int xw_session_open(struct xw_session *session, struct xw_snapshots *snapshots, const char *domain,
                    bool make, struct xw_error *err);

/*
 * Look at it only: nothing is locked, recovered, or written. A VM that has no record (make: that is
 * fine) gets an empty one in memory.
 */
int xw_session_peek(struct xw_session *session, struct xw_snapshots *snapshots, const char *domain,
                    bool make, struct xw_error *err);

/* After a failure: whether the operation will go on later is put in front of the message. */
void xw_session_tell_pending(const struct xw_session *session, struct xw_error *err);

/* The same as open, and as peek, for the VM with this record. */
int xw_session_open_vm(struct xw_session *session, struct xw_snapshots *snapshots, const char *vm,
                       struct xw_error *err);
int xw_session_peek_vm(struct xw_session *session, struct xw_snapshots *snapshots, const char *vm,
                       struct xw_error *err);
void xw_session_close(struct xw_session *session);

/* The record's snapshots, read again after a change. */
int xw_session_reload(struct xw_session *session, struct xw_error *err);

/* The snapshot called so. -ENOENT, with what to do. */
int xw_session_snapshot(const struct xw_session *session, const char *name,
                        const struct xw_snapshot **ret, struct xw_error *err);

/* Make `id` ("": nothing) what the present state goes back to, on disk. */
int xw_session_set_current(struct xw_session *session, const char *id, struct xw_error *err);

/*
 * The disks of a snapshot as stores take them, each with its store; a disk that the guest has open
 * is `running`. Free with xw_store_disk_free().
 */
int xw_session_disks_of(const struct xw_session *session, const struct xw_snapshot *snapshot,
                        struct xw_store_disk **ret, struct xw_error *err);

/* Connect to the guest's QEMU and set it in the disks that it serves; and the end of that. */
int xw_session_connect(struct xw_session *session, struct xw_store_disk *disks,
                       struct xw_error *err);

/*
 * The same for a recovery: a QEMU that has died is no hindrance. What it had open nobody has open
 * any more, though its domain is still there: those disks are not `running` then.
 */
int xw_session_connect_if_alive(struct xw_session *session, struct xw_store_disk *disks,
                                struct xw_error *err);
void xw_session_disconnect(struct xw_session *session, struct xw_store_disk *disks);

#endif
