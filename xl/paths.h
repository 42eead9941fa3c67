/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the real xl is, and where ours; in front of each stands the root that is worked on. */
#ifndef XENWRIGHT_XL_PATHS_H
#define XENWRIGHT_XL_PATHS_H

#include "config.h"

#define XL_NAME "/usr/sbin/xl" /* what people and scripts run */

/*
 * Where the real one is while ours has its name. It goes by its own basename, and Debian's is a
 * link to ../lib/xen-common/…: so it is called xl, and one folder below /usr as before.
 */
#define XL_REAL "/usr/libexec/xl"

#define XL_OURS XENWRIGHT_LIBEXEC_DIR "/xl"
#define XL_XENWRIGHT XENWRIGHT_BIN_DIR "/xenwright"

#endif
