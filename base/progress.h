/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far a long operation is. In `libbase-output`, linked by the program only.
 *
 * For people: one line on stderr that is rewritten in place, only on a terminal, and only once the
 * operation has lasted two seconds; gone when it ends. For programs (--progress=json): a line
 * {"task":"copy","done":5,"total":9} per change, at most ten a second, and always the last one;
 * steps give {"task":"building image","step":"installing packages","done":37,"total":100}.
 */
#ifndef XW_BASE_PROGRESS_H
#define XW_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum xw_progress_mode {
    XW_PROGRESS_AUTO, /* a bar where the descriptor is a terminal, else nothing */
    XW_PROGRESS_JSON,
    XW_PROGRESS_NONE,
};

struct xw_progress_setup {
    enum xw_progress_mode mode;
    int fd;                /* where to; 0: stderr */
    bool plain;            /* no colour (NO_COLOR, --color=never) */
    int64_t (*clock)(void); /* NULL: xw_clock_ms; tests give their own */
};

struct xw_progress;

/*
 * setup NULL: automatic, on stderr, colour unless NO_COLOR is set. task is copied; total in any
 * unit, 0 where it is not known. Never fails: NULL (out of memory) is taken by the functions below
 * and shows nothing.
 */
struct xw_progress *xw_progress_begin(const struct xw_progress_setup *setup, const char *task,
                                      uint64_t total);

/* done of total; cheap enough to be called often. Has the shape of xw_sparse_progress. */
void xw_progress_update(void *progress, uint64_t done, uint64_t total);

/* "building image: installing packages 37%"; percent below 0: not known. step is copied. */
void xw_progress_step(struct xw_progress *progress, const char *step, int percent);

/*
 * Take the line away, of whichever operation it is, so that something else can be written to the
 * terminal; the next update draws it again.
 */
void xw_progress_hide(void);

/* The end, good or bad: wipe the line, free all. */
void xw_progress_end(struct xw_progress *progress);

#endif
