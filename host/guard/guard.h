/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What host/standstill.c and the guard say to each other: one byte there, one struct back, on a
 * socket that is the guard's standard input.
 *
 * The guard is a program of its own, so that a guest goes on whatever becomes of the one that holds
 * it: when the socket closes it does by itself what was agreed.
 */
#ifndef XENWRIGHT_HOST_GUARD_H
#define XENWRIGHT_HOST_GUARD_H

#include <limits.h>
#include <stdint.h>

enum xw_guard_order {
    XW_GUARD_HELLO = 'h',  /* answers once it is ready */
    XW_GUARD_PAUSE = 'p',  /* hold the vCPUs */
    XW_GUARD_RESUME = 'u', /* let them go; the guard stays */
    XW_GUARD_ARM = 'a',    /* from here on, reset the domain where it would have let it go */
    XW_GUARD_SAVING = 's', /* from here on it may be suspended: see to it that it is resumed */
    XW_GUARD_SAVED = 'd',  /* it is not, any more */
    XW_GUARD_RENAME =
        'n', /* a struct xw_guard_rename follows: to be done before the domain goes on */
    XW_GUARD_QUIT = 'q', /* all ended well: let it go, and rename nothing */
    XW_GUARD_RESET = 'r' /* reset it: SHUTDOWN_reboot, for its toolstack to start it again */
};

/* rename(2), where the one that would have done it has died. Names that are gone by then are fine.
 */
struct xw_guard_rename {
    char from[PATH_MAX], to[PATH_MAX];
};

struct xw_guard_answer {
    int32_t error;    /* errno; 0: done */
    int32_t too_late; /* the time was up, and the guest runs on since */
    int64_t held_ns;  /* how long the vCPUs were held, by now or until they were let go */
};

#endif
