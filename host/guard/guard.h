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

#include <xenwright/error.h>

enum xw_guard_order {
    XW_GUARD_HELLO = 'h',  /* answers once it is ready */
    XW_GUARD_PAUSE = 'p',  /* hold the vCPUs */
    XW_GUARD_RESUME = 'u', /* let them go; the guard stays */
    XW_GUARD_ARM = 'a',    /* from here on, reset the domain where it would have let it go */
    XW_GUARD_SAVING = 's', /* from here on it may be suspended: see to it that it is resumed */
    XW_GUARD_SUSPENDED = 'z', /* it is suspended now, and the limit holds for that */
    XW_GUARD_SAVED = 'd',  /* it is not, any more */
    XW_GUARD_RENAME =
        'n', /* a struct xw_guard_rename follows: to be done before the domain goes on */
    XW_GUARD_FREEZE = 'f', /* a struct xw_guard_freeze follows; the answer may take its time */
    XW_GUARD_THAW = 't',
    XW_GUARD_QUIT = 'q', /* all ended well: let it go, and rename nothing */
    XW_GUARD_RESET = 'r' /* reset it: SHUTDOWN_reboot, for its toolstack to start it again */
};

/* rename(2), where the one that would have done it has died. Names that are gone by then are fine.
 */
struct xw_guard_rename {
    char from[PATH_MAX], to[PATH_MAX];
};

/* Have the agent in the guest freeze its file systems. */
struct xw_guard_freeze {
    char path[PATH_MAX]; /* of the agent's socket */
    int32_t timeout_ms;  /* for the agent to say that they are frozen */
    int32_t limit_ms;    /* when they are thawed in any case, after that */
};

struct xw_guard_answer {
    int32_t error;    /* errno; 0: done */
    int32_t too_late; /* a time was up, and the guest runs on since */
    int64_t held_ns;  /* how long the vCPUs were held, by now or until they were let go */
    char text[XW_ERROR_MESSAGE_SIZE]; /* of an error, or which time was up; "": errno says it */
};

#endif
