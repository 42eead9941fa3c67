/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Debian releases a lab can run. */
#ifndef LAB_RELEASE_H
#define LAB_RELEASE_H

#include <stddef.h>

#include <xenwright/error.h>

struct lab_release {
    const char *codename; /* "trixie" */
    const char *version;  /* "13" */
    const char *xen;      /* "4.20": the version of Xen it carries */
};

extern const struct lab_release lab_releases[];
extern const size_t lab_release_count;

/* The first is the default. */
#define LAB_RELEASE_DEFAULT (&lab_releases[0])

/* NULL stands for the default. -EINVAL names the releases there are. */
int lab_release_find(const char *codename, const struct lab_release **ret, struct xw_error *err);

#endif
