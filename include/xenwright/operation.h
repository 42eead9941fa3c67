/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Long operations, without threads: a descriptor to poll and a step to take when it is readable.
 *
 *     rc = xw_snapshot_create(snapshots, &how, &operation, &err);
 *     while (!rc && (rc = xw_operation_step(operation, &err)) > 0)
 *         rc = poll(&(struct pollfd){xw_operation_fd(operation), POLLIN, 0}, 1, -1) < 0 ? -errno :
 * 0; xw_operation_free(operation);
 *
 * A step blocks for as long as its piece of work takes (running lvcreate, a QMP transaction), never
 * for what a guest or another host may take for ever. One thread at a time may use an operation.
 */
#ifndef XENWRIGHT_OPERATION_H
#define XENWRIGHT_OPERATION_H

#include <stdint.h>

#include <xenwright/error.h>

XW_BEGIN_DECLS

struct xw_operation;

/* What is going on. Strings are static, or belong to the operation until its next step. */
struct xw_operation_state {
    const char *step; /* "copying disk xvda"; "" before the first step */
    uint64_t done;    /* of total; in bytes where step says so, else in steps */
    uint64_t total;   /* 0: not known */
};

/* Poll it for reading. It belongs to the operation, and stays the same until xw_operation_free().
 */
XW_PUBLIC int xw_operation_fd(const struct xw_operation *operation);

/*
 * Does what can be done now. 1: not finished; 0: finished; negative: it failed, and what it had
 * done was undone, or *err says what was not. After the end it returns the same again.
 */
XW_PUBLIC int xw_operation_step(struct xw_operation *operation, struct xw_error *err);

XW_PUBLIC void xw_operation_state(const struct xw_operation *operation,
                                  struct xw_operation_state *ret);

/*
 * Asks for an end. The next steps undo what was done and then return -ECANCELED; where the point of
 * no return has passed, the operation goes on to its usual end.
 */
XW_PUBLIC void xw_operation_cancel(struct xw_operation *operation);

/* Frees it; one that has not ended is cancelled and stepped to its end first. NULL is allowed. */
XW_PUBLIC void xw_operation_free(struct xw_operation *operation);

XW_END_DECLS

#endif
