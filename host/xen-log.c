/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/connection.h"

/* vmessage of xentoollog.h; errno_value is -1 where none belongs to the message. */
XW_PRINTF(5, 0)
static void keep_first_error(xentoollog_logger *logger, xentoollog_level level, int errno_value,
                             const char *context, const char *format, va_list args)
{
    struct xw_xen_log *log = (struct xw_xen_log *)logger;
    size_t length;

    (void)context;
    if (level < XTL_ERROR || log->text[0])
        return;
    vsnprintf(log->text, sizeof(log->text), format, args);
    length = strlen(log->text);
    while (length && log->text[length - 1] == '\n')
        log->text[--length] = '\0';
    if (errno_value > 0)
        snprintf(log->text + length, sizeof(log->text) - length, ": %s", strerror(errno_value));
}

/* The log lives in its owner. */
static void destroy_nothing(xentoollog_logger *logger)
{
    (void)logger;
}

void xw_xen_log_init(struct xw_xen_log *log)
{
    *log = (struct xw_xen_log){
        .logger = {.vmessage = keep_first_error, .destroy = destroy_nothing},
    };
}

void xw_xen_log_reset(struct xw_xen_log *log)
{
    log->text[0] = '\0';
}

int xw_xen_log_error(struct xw_xen_log *log, int code, struct xw_error *err, const char *format,
                     ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (log->text[0])
        return xw_error_set(err, code, "%s: %s", text, log->text);
    return xw_error_set(err, code, "%s: %s", text, strerror(code));
}

int xw_libxl_errno(int rc)
{
    switch (rc) {
    case ERROR_DOMAIN_NOTFOUND:
    case ERROR_DOMAIN_DESTROYED:
    case ERROR_NOTFOUND:
        return ENOENT;
    case ERROR_NOMEM:
        return ENOMEM;
    case ERROR_INVAL:
        return EINVAL;
    case ERROR_TIMEDOUT:
    case ERROR_GUEST_TIMEDOUT:
        return ETIMEDOUT;
    case ERROR_NI:
        return EOPNOTSUPP;
    default:
        return EIO;
    }
}
