/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a snapshot, within a session; 'create' and 'revert' do. */
#ifndef XENWRIGHT_SNAPSHOT_CREATE_H
#define XENWRIGHT_SNAPSHOT_CREATE_H

#include "host/standstill.h"
#include "snapshot/memory.h"
#include "snapshot/session.h"

struct xw_create {
    struct xw_snapshot *snapshot;  /* id, name, description, parent, disks: what is to be */
    struct xw_store_disk *disks;   /* the same disks for the stores */
    enum xw_quiesce quiesce;
    struct xw_standstill *standstill; /* of a guest that is held already; NULL: it is not */
    bool memory, live;                /* its memory too; it runs while most of that is written */
    int agent_timeout_ms;             /* for the agent in it to freeze its file systems */
    struct xw_memory *saving;         /* while it is suspended, and before */
    struct xw_freeze *freezing;       /* while it is frozen, and before */
    json_t *actions;                  /* QEMU's part, once it is prepared */

    /* Of 'vm save', else NULL; the journal knows the file, which names the snapshot. */
    const struct xw_memory_target *target; /* where the memory goes first */
    const char *file;                      /* where it is in the end */
    /* All is taken, and the guest suspended: what becomes of it, and of the file. */
    int (*end)(struct xw_session *session, struct xw_create *create, struct xw_error *err);
};

/* What it is made for: its name follows from that, where none is given. */
enum xw_create_kind {
    XW_CREATE_SNAPSHOT,
    XW_CREATE_BEFORE_REVERT, /* of the state that a revert replaces */
    XW_CREATE_SAVE           /* 'vm save': the memory is in a file elsewhere */
};

/*
 * Fill in snapshot and disks from the session and the request; the rest is the caller's. Everything
 * that can be refused is refused here, before anything changes. Free with xw_create_free().
 */
int xw_create_plan(const struct xw_session *session, const struct xw_snapshot_create *request,
                   enum xw_create_kind kind, struct xw_create *ret, struct xw_error *err);
void xw_create_free(struct xw_create *create);

/* Without a standstill only what is one action is one point in time. -EINVAL: this is not. */
int xw_create_check_one_action(const struct xw_create *create, struct xw_error *err);

/*
 * The three parts, in this order. Each that fails has undone everything, or says what it could not
 * undo; the journal then still knows it. take with memory: 1 until it is done, to be called again
 * when xw_create_wait_fd() is readable.
 */
int xw_create_prepare(struct xw_session *session, struct xw_create *create, struct xw_error *err);
int xw_create_take(struct xw_session *session, struct xw_create *create, struct xw_error *err);
int xw_create_wait_fd(const struct xw_create *create);

/* Give up between two calls of take: all is undone. */
void xw_create_abandon(struct xw_session *session, struct xw_create *create);
int xw_create_settle(struct xw_session *session, struct xw_create *create, struct xw_error *err);

/* settle, for a recovery, which has words of its own for a failure. */
int xw_create_complete(struct xw_session *session, struct xw_create *create, struct xw_error *err);

/* All three. */
int xw_create_run(struct xw_session *session, struct xw_create *create, struct xw_error *err);

#endif
