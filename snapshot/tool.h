/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs of a storage that change it, run one at a time, and never cut off.
 *
 * A half of what they do may be worse than all or nothing: one of LVM's that is killed between the
 * suspension of a device and its resumption leaves a guest with a disk that hangs; one of Ceph's
 * leaves a lock that the guest's next write has to wait for. So nothing of ours can end them: their
 * output goes to memory files, not to pipes that break with this process, they have a session of
 * their own, and after the time limit they are left alone. And nobody is to act on what the storage
 * says while one of them still runs: their standard input is the file that is locked, and a lock
 * lasts as long as anybody has it open.
 */
#ifndef XENWRIGHT_SNAPSHOT_TOOL_H
#define XENWRIGHT_SNAPSHOT_TOOL_H

#include "base/buffer.h"
#include "base/lock.h"

struct xw_tool {
    const char *name;               /* in the names of kill points: "lvm" */
    const char *storage;            /* in messages: "LVM" */
    const char *lock;               /* the file */
    const char *const *environment; /* as in struct xw_spawn */
    int lock_ms;                    /* how long another command is waited for */
    int limit_ms;                   /* how long a program is waited for */
};

/*
 * Run one that changes something. `point`: what it does, in the names of kill points. -ETIMEDOUT:
 * it has not ended, and is left to end by itself. So it also is where this process is killed;
 * whoever asks or changes something next, through these functions, waits for it.
 */
int xw_tool_run(const struct xw_tool *tool, const char *point, const char *const *argv,
                struct xw_error *err);

/* Run one that only tells something, together with others of that kind; append that to `out`. */
int xw_tool_ask(const struct xw_tool *tool, const char *point, const char *const *argv,
                struct xw_buffer *out, struct xw_error *err);

/* The two parts of xw_tool_run, for who does more with the lock. */
int xw_tool_lock(const struct xw_tool *tool, enum xw_lock_kind kind, struct xw_lock *lock,
                 struct xw_error *err);
int xw_tool_run_locked(const struct xw_tool *tool, const char *point, const char *const *argv,
                       const struct xw_lock *lock, struct xw_buffer *out, struct xw_error *err);

#endif
