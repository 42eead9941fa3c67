/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside a host handle: the connections that the files of host/ share, and what Xen's libraries
 * said. Those libraries print to a logger; ours keeps the text for our messages.
 */
#ifndef XENWRIGHT_HOST_CONNECTION_H
#define XENWRIGHT_HOST_CONNECTION_H

#include <xentoollog.h>

#include <xenwright/error.h>
#include <xenwright/host.h>

#include "host/libxl-api.h"

/* A logger that is silent and keeps the first error (the cause; what follows is its echo). */
struct xw_xen_log {
    xentoollog_logger logger; /* first: Xen's libraries hand it back to us */
    char text[512];           /* "" when no error came since xw_xen_log_reset() */
};

void xw_xen_log_init(struct xw_xen_log *log);
void xw_xen_log_reset(struct xw_xen_log *log);

/*
 * A failure of Xen's libraries: the message of `format`, and what they logged since the last reset
 * where they logged anything. Returns -code.
 */
int xw_xen_log_error(struct xw_xen_log *log, int code, struct xw_error *err, const char *format,
                     ...) XW_PRINTF(4, 5);

/* The handle's log. */
struct xw_xen_log *xw_host_log(struct xw_host *host);

/* libxl, opened at the first call; it belongs to the handle. Resets the log. */
int xw_host_libxl(struct xw_host *host, libxl_ctx **ret, struct xw_error *err);

/* The errno value that says the same as an ERROR_* of libxl. */
int xw_libxl_errno(int rc);

/*
 * Is the system whose /sys and /proc are found beneath `root` ("" for the running one) a dom0?
 * Errors as xw_host_open(), of which this is the test.
 */
int xw_host_probe(const char *root, struct xw_error *err);

#endif
