/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks between processes on a small file that also tells who holds it.
 *
 * They are open-file-description locks (fcntl(2), F_OFD_SETLK): two openings in one process are two
 * holders, and asking who holds one takes nothing. The kernel gives the lock back when the holder
 * dies. A child made by fork inherits it until it execs (the descriptor is close-on-exec).
 */
#ifndef XW_BASE_LOCK_H
#define XW_BASE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>
#include <xenwright/error.h>

struct xw_lock {
    int fd; /* -1: not held */
};

#define XW_LOCK_INIT {.fd = -1}

enum xw_lock_kind {
    XW_LOCK_EXCLUSIVE,
    XW_LOCK_SHARED,
};

/*
 * Take the lock at `path`, making the file where it is not there. timeout_ms 0: try once;
 * below 0: wait for ever. -EBUSY with the holder's pid in the message when it could not be had in
 * time. A lock file that was removed meanwhile is made again.
 */
int xw_lock_take(struct xw_lock *lock, int dirfd, const char *path, enum xw_lock_kind kind,
                 int timeout_ms, struct xw_error *err);

/* Give it back; nothing happens when it is not held. The file stays. */
void xw_lock_release(struct xw_lock *lock);

/*
 * Whether anybody holds the exclusive lock at this moment, without waiting and without making the
 * file. *ret_pid (may be NULL) becomes the holder's pid, 0 where it is not known.
 */
bool xw_lock_is_held(int dirfd, const char *path, pid_t *ret_pid);

#endif
