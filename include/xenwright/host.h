/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Xen host this program runs on, as its control domain (dom0) sees it.
 *
 * A handle is cheap: connections to libxl, xenstore and hypfs are made when first needed and
 * kept until the handle is closed. A handle serves one thread at a time.
 */
#ifndef XENWRIGHT_HOST_H
#define XENWRIGHT_HOST_H

#include <xenwright/error.h>

XW_BEGIN_DECLS

struct xw_host;
struct xw_xenstore;

/*
 * Opens a handle to the host. Fails with -ENODEV where no Xen is beneath this system, -EPERM
 * where there is one but this domain does not control it, -EACCES where the caller may not use
 * it (it takes root); *host is then left alone. Close with xw_host_close().
 */
XW_PUBLIC int xw_host_open(struct xw_host **host, struct xw_error *err);

/* Closes the handle and all its connections. NULL is allowed. */
XW_PUBLIC void xw_host_close(struct xw_host *host);

/*
 * The host's xenstore connection; it belongs to the handle. Watches set on it are the
 * caller's to remove.
 */
XW_PUBLIC int xw_host_xenstore(struct xw_host *host, struct xw_xenstore **xs,
                               struct xw_error *err);

XW_END_DECLS

#endif
