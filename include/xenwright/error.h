/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors of libxenwright.
 *
 * A function that can fail returns 0 or a negative errno value and takes a `struct xw_error *` as
 * its last parameter. The caller owns the struct (nothing is allocated, nothing has to be freed)
 * and may pass NULL when it wants the return value only. It is filled on failure and left
 * untouched on success. The message is one line of printable UTF-8 that names the thing and says
 * what to do; data from outside in it is escaped.
 */
#ifndef XENWRIGHT_ERROR_H
#define XENWRIGHT_ERROR_H

#include <stdarg.h>
#include <xenwright/macros.h>

XW_BEGIN_DECLS

#define XW_ERROR_MESSAGE_SIZE 1024

struct xw_error {
    int code;                            /* positive errno value; 0: no error so far */
    char message[XW_ERROR_MESSAGE_SIZE]; /* always terminated; cut with "..." where too long */
};

/* struct xw_error err = XW_ERROR_INIT; */
#define XW_ERROR_INIT {0, ""}

/*
 * Record an error and return -code, so that `return xw_error_set(err, ENOENT, …)` reads well.
 * code is a positive errno value (a code of 0 or below is recorded as EINVAL). err may be NULL.
 * Keeps errno.
 */
XW_PUBLIC int xw_error_set(struct xw_error *err, int code, const char *format, ...) XW_PRINTF(3, 4);
XW_PUBLIC int xw_error_vset(struct xw_error *err, int code, const char *format, va_list args)
    XW_PRINTF(3, 0);

/* The same with errno as the code and ": " and its text put after the message. */
XW_PUBLIC int xw_error_set_errno(struct xw_error *err, const char *format, ...) XW_PRINTF(2, 3);

/*
 * On the way up: put "context: " before the message there is. The code stays. Does nothing when
 * err is NULL. Where both do not fit, the end of the old message is cut.
 */
XW_PUBLIC void xw_error_prefix(struct xw_error *err, const char *format, ...) XW_PRINTF(2, 3);

/* Back to "no error". err may be NULL. */
XW_PUBLIC void xw_error_clear(struct xw_error *err);

XW_END_DECLS

#endif
