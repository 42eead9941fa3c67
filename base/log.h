/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages beside the way of errors. The library prints nothing: a message goes to the sink that
 * the program has set, and nowhere when there is none. One sink for the process; set it before
 * other threads run.
 */
#ifndef XW_BASE_LOG_H
#define XW_BASE_LOG_H

#include <stdbool.h>
#include <xenwright/macros.h>

enum xw_log_level {
    XW_LOG_ERROR,   /* something failed that no return value reports */
    XW_LOG_WARNING, /* it goes on, but the user should know */
    XW_LOG_NOTE,    /* what a user may want to follow */
    XW_LOG_DEBUG,   /* for those who look for a fault */
};

/* message: one line of printable UTF-8 without the newline; valid during the call only. */
typedef void xw_log_sink(void *opaque, enum xw_log_level level, const char *message);

/* Messages up to and including `most` go to sink. A NULL sink switches all of them off. */
void xw_log_set_sink(xw_log_sink *sink, void *opaque, enum xw_log_level most);

/* Whether a message of this level reaches anyone: ask before costly preparations. */
bool xw_log_wanted(enum xw_log_level level);

/* Keeps errno. Messages over 2 KiB are cut with "...". */
void xw_log(enum xw_log_level level, const char *format, ...) XW_PRINTF(2, 3);

/* "error", "warning", "note" or "debug". */
const char *xw_log_level_name(enum xw_log_level level);

#endif
