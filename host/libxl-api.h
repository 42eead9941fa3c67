/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libxl as we use it, everywhere in the same version of its API. */
#ifndef XENWRIGHT_HOST_LIBXL_API_H
#define XENWRIGHT_HOST_LIBXL_API_H

/* The newest that both Xen 4.17 and Xen 4.20 know by number. */
#define LIBXL_API_VERSION 0x041400

#include <libxl.h>
#include <libxl_utils.h>
#include <libxlutil.h>

#endif
