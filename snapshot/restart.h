/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that has been reset comes back by the hand of its toolstack, or by 'xl restore' from the
 * memory in a snapshot: this waits for it.
 */
#ifndef XENWRIGHT_SNAPSHOT_RESTART_H
#define XENWRIGHT_SNAPSHOT_RESTART_H

#include "base/spawn.h"
#include "snapshot/subject.h"

struct xw_restart {
    struct xw_host *host;
    const struct xw_subject *subject; /* the guest as it was; the caller's */
    struct xw_child xl;               /* 'xl restore'; pid 0: it is awaited only */
    bool paused;                      /* it is not let run at once */
    int timer;                        /* -1: nothing is awaited */
    int64_t deadline;                 /* by which it has to be there */
    int64_t gone;                     /* by which there has to be a domain at all */
    int64_t domid;                    /* the new domain's; -1: not there yet */
};

#define XW_RESTART_INIT {.timer = -1, .domid = -1}

/* The toolstack that keeps it starts it again. */
int xw_restart_await(struct xw_restart *restart, struct xw_host *host,
                     const struct xw_subject *subject, struct xw_error *err);

/*
 * It goes on from the memory in the file `path`, or (paused) could; a domain that runs is destroyed
 * first.
 */
int xw_restart_restore(struct xw_restart *restart, struct xw_host *host,
                       const struct xw_subject *subject, const char *path, bool paused,
                       struct xw_error *err);

/* 'xl destroy' of a domain that runs. Once begun it ends, also where this process does not. */
int xw_restart_destroy(const struct xw_subject *subject, struct xw_error *err);

/* Readable when the next step is due. */
int xw_restart_fd(const struct xw_restart *restart);

/* 1: not there yet; 0: domid is the new domain's. -ETIMEDOUT: the toolstack does not start it. */
int xw_restart_step(struct xw_restart *restart, struct xw_error *err);

/* An 'xl restore' that still runs is left to itself: it keeps the guest. */
void xw_restart_free(struct xw_restart *restart);

#endif
