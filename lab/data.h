/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files that the program brings along: layers, image scripts, the agent. Run from a build
 * directory, they are those of the source tree and of that build; else those that were installed.
 */
#ifndef LAB_DATA_H
#define LAB_DATA_H

#include <limits.h>

#include <xenwright/error.h>

struct lab_data {
    char share[PATH_MAX]; /* holds layers/ and image/ */
    char agent[PATH_MAX]; /* the static binary that runs inside labs */
    char self[PATH_MAX];  /* this program */
    char source[PATH_MAX]; /* the source tree it was built from, when run from a build directory;
                              else "" */
};

int lab_data_find(struct lab_data *ret, struct xw_error *err);

#endif
