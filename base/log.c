/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

#define MESSAGE_SIZE 2048

static struct {
    xw_log_sink *sink;
    void *opaque;
    enum xw_log_level most;
} target;

void xw_log_set_sink(xw_log_sink *sink, void *opaque, enum xw_log_level most)
{
    target.sink = sink;
    target.opaque = opaque;
    target.most = most;
}

bool xw_log_wanted(enum xw_log_level level)
{
    return target.sink && level <= target.most;
}

void xw_log(enum xw_log_level level, const char *format, ...)
{
    /* raw is the longer one, so that what does not fit shows as "..." in the message. */
    char raw[2 * MESSAGE_SIZE], message[MESSAGE_SIZE];
    int saved = errno, n;
    va_list args;

    if (!xw_log_wanted(level))
        return;
    va_start(args, format);
    n = vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    if (n >= 0) {
        xw_text_printable(message, sizeof(message), raw,
                          (size_t)n < sizeof(raw) ? (size_t)n : sizeof(raw) - 1);
        target.sink(target.opaque, level, message);
    }
    errno = saved;
}

const char *xw_log_level_name(enum xw_log_level level)
{
    switch (level) {
    case XW_LOG_ERROR:
        return "error";
    case XW_LOG_WARNING:
        return "warning";
    case XW_LOG_NOTE:
        return "note";
    case XW_LOG_DEBUG:
        return "debug";
    }
    return "message";
}
