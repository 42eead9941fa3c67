/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where Debian's packages come from: what apt on this machine uses. */
#ifndef LAB_MIRROR_H
#define LAB_MIRROR_H

#include <limits.h>

#include <xenwright/error.h>

struct lab_mirror {
    char main[1024];     /* base URI of Debian's archive */
    char security[1024]; /* of its security archive; "" where apt knows none */
};

/*
 * Ask apt (apt-get indextargets). given: a URI to take instead for the archive, NULL for none; the
 * security archive is then not used. -ENOENT where apt knows no mirror of Debian.
 */
int lab_mirror_find(const char *given, struct lab_mirror *ret, struct xw_error *err);

#endif
