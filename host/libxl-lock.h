/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The locks by which libxl keeps commands on one domain apart (libxl_internal.c): flock(2) on
 * /var/lib/xen/userdata-l.DOMID.UUID.NAME. Where both are needed, "libxl-device-changes-lock" comes
 * before "qmp-socket-lock".
 */
#ifndef XENWRIGHT_HOST_LIBXL_LOCK_H
#define XENWRIGHT_HOST_LIBXL_LOCK_H

#include <stdint.h>

#include <xenwright/error.h>

struct xw_libxl_lock {
    int fd; /* 0: not held */
    char path[160];
};

/* -EBUSY where somebody else held it for all of `timeout_ms` (-1: no limit). */
int xw_libxl_lock_take(struct xw_libxl_lock *lock, uint32_t domid, const char *uuid,
                       const char *name, int timeout_ms, struct xw_error *err);

/* Give it back, and remove the file, as libxl does. Not held is fine. */
void xw_libxl_lock_release(struct xw_libxl_lock *lock);

#endif
