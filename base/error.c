/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <xenwright/error.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Longer than a message, since escaping is done after formatting and "..." must show a cut. */
#define RAW_SIZE (2 * XW_ERROR_MESSAGE_SIZE)

/* Format into out; what cannot be formatted at all (a broken %s of the C library) is empty. */
static void format_line(char *out, size_t size, const char *format, va_list args)
    XW_PRINTF(3, 0);

static void format_line(char *out, size_t size, const char *format, va_list args)
{
    char raw[RAW_SIZE];
    int n = vsnprintf(raw, sizeof(raw), format, args);

    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof(raw))
        n = (int)sizeof(raw) - 1;
    xw_text_printable(out, size, raw, (size_t)n);
}

int xw_error_vset(struct xw_error *err, int code, const char *format, va_list args)
{
    int saved = errno;

    if (code <= 0)
        code = EINVAL;
    if (err) {
        err->code = code;
        format_line(err->message, sizeof(err->message), format, args);
    }
    errno = saved;
    return -code;
}

int xw_error_set(struct xw_error *err, int code, const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = xw_error_vset(err, code, format, args);
    va_end(args);
    return rc;
}

int xw_error_set_errno(struct xw_error *err, const char *format, ...)
{
    int code = errno;
    char reason[128], tail[160];
    va_list args;
    size_t at, size;
    int rc;

    va_start(args, format);
    rc = xw_error_vset(err, code, format, args);
    va_end(args);
    if (!err)
        return rc;
    /* The reason matters more than the end of a very long name: it always fits. */
    size = (size_t)snprintf(tail, sizeof(tail), ": %s",
                            strerror_r(-rc, reason, sizeof(reason)));
    at = strlen(err->message);
    if (at + size >= sizeof(err->message)) {
        char head[XW_ERROR_MESSAGE_SIZE];

        memcpy(head, err->message, at + 1);
        at = xw_text_printable(err->message, sizeof(err->message) - size, head, at);
    }
    memcpy(err->message + at, tail, size + 1);
    errno = code;
    return rc;
}

void xw_error_prefix(struct xw_error *err, const char *format, ...)
{
    char old[XW_ERROR_MESSAGE_SIZE], joined[2 * XW_ERROR_MESSAGE_SIZE];
    int saved = errno, n;
    va_list args;

    if (!err)
        return;
    memcpy(old, err->message, sizeof(old));
    va_start(args, format);
    format_line(err->message, sizeof(err->message), format, args);
    va_end(args);
    n = snprintf(joined, sizeof(joined), "%s: %s", err->message, old);
    xw_text_printable(err->message, sizeof(err->message), joined, (size_t)n);
    errno = saved;
}

void xw_error_clear(struct xw_error *err)
{
    if (!err)
        return;
    err->code = 0;
    err->message[0] = '\0';
}
