/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What long operations (include/xenwright/operation.h) are made of: a struct that begins with a
 * struct xw_operation, and a class that steps it.
 */
#ifndef XW_BASE_OPERATION_H
#define XW_BASE_OPERATION_H

#include <stdbool.h>

#include <xenwright/operation.h>

struct xw_operation_class {
    /*
     * One piece of work. 1: more to do, at once where `fd` is not set, else when it is readable;
     * 0: finished; negative: failed and undone. Looks at `cancelled` where an end is possible.
     */
    int (*step)(struct xw_operation *operation, struct xw_error *err);
    /* Releases what belongs to it; the struct itself is freed by the caller. */
    void (*release)(struct xw_operation *operation);
};

struct xw_operation {
    const struct xw_operation_class *class;
    struct xw_operation_state state;
    bool cancelled;
    int fd;              /* an epoll descriptor; private */
    int now;             /* an eventfd in it: readable while a step needs no waiting; private */
    int waiting;         /* what the next step waits for; -1: nothing. By xw_operation_wait_for() */
    int end;             /* 1: not ended; else what step returned last; private */
    struct xw_error why; /* of a failed one; private */
};

/* The descriptors. `operation` is zeroed memory; on failure nothing is held. */
int xw_operation_init(struct xw_operation *operation, const struct xw_operation_class *class,
                      struct xw_error *err);

/* What the next step is for; step is a static string. */
void xw_operation_report(struct xw_operation *operation, const char *step, uint64_t done,
                         uint64_t total);

/*
 * The next step is to be taken when `fd` is readable (-1: at once). fd stays the caller's, and
 * stays open until another one is named here.
 */
int xw_operation_wait_for(struct xw_operation *operation, int fd, struct xw_error *err);

#endif
