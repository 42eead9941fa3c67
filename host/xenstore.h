/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two files about xenstore share. */
#ifndef XENWRIGHT_HOST_XENSTORE_H
#define XENWRIGHT_HOST_XENSTORE_H

struct xs_handle;

struct xw_xenstore {
    struct xs_handle *handle;
};

#endif
