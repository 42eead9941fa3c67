/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of qemu-guest-agent, which runs in a guest (QEMU's docs/interop/qemu-ga-ref): what it
 * takes to freeze the guest's file systems and to thaw them.
 *
 * The agent is at the other end of a serial line that remembers: answers to whoever asked before,
 * half a command of theirs, an echo where no agent listens. So every command here begins with
 * guest-sync-delimited and a random number; what comes before its answer is thrown away.
 *
 * Every call ends in bounded time; the guest is not trusted, see host/qmp-stream.h for the limits.
 * Errors, beside those of the system: -ETIMEDOUT (no answer in time), -ECONNRESET (the line was
 * closed), -EPROTO (what came is no answer), -EREMOTEIO (the agent refused; the message holds its
 * reason), -EOPNOTSUPP (it does not know the command).
 */
#ifndef XENWRIGHT_HOST_GUEST_AGENT_H
#define XENWRIGHT_HOST_GUEST_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include <xenwright/error.h>

struct xw_guest_agent;

/*
 * Connect to the agent's socket in dom0, and wait for it to answer. -EBUSY: somebody else was
 * connected all the time, who is named: QEMU serves one at a time.
 */
int xw_guest_agent_open(struct xw_guest_agent **ret, const char *path, int timeout_ms,
                        struct xw_error *err);

/* The same on a connected stream socket, which is taken over in any case. `name` is for messages.
 */
int xw_guest_agent_attach(struct xw_guest_agent **ret, int fd, const char *name, int timeout_ms,
                          struct xw_error *err);
void xw_guest_agent_close(struct xw_guest_agent *agent); /* NULL is allowed */

/* Whether the agent has frozen file systems (guest-fsfreeze-status). */
int xw_guest_agent_status(struct xw_guest_agent *agent, int timeout_ms, bool *frozen,
                          struct xw_error *err);

/*
 * Freeze all that can be; *count becomes how many that are. After a failure, -ETIMEDOUT above all,
 * they may be frozen, or become so: thaw.
 */
int xw_guest_agent_freeze(struct xw_guest_agent *agent, int timeout_ms, int64_t *count,
                          struct xw_error *err);

/*
 * Thaw what the agent has frozen; 0 once it says that nothing is frozen any more. *count becomes
 * how many were, 0 where they were thawed before.
 */
int xw_guest_agent_thaw(struct xw_guest_agent *agent, int timeout_ms, int64_t *count,
                        struct xw_error *err);

/* For an agent that does not answer: to be thawed once it reads on. Nothing is waited for. */
void xw_guest_agent_leave_thaw(struct xw_guest_agent *agent);

#endif
