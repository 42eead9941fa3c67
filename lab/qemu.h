/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which QEMU runs the labs, and which version it is. */
#ifndef LAB_QEMU_H
#define LAB_QEMU_H

#include "lab/place.h"

struct lab_qemu {
    char program[PATH_MAX]; /* absolute */
    char version[160];      /* "10.0.2 (Debian 1:10.0.2+ds-2)": a state belongs to exactly one */
};

/*
 * given: a path or a name to look up in PATH; NULL: $XENWRIGHT_QEMU, else qemu-system-x86_64. QEMU
 * is asked for its version (QMP query-version) once for each binary; the answer is kept in
 * qemu.json. -ENOENT where there is no such program.
 */
int lab_qemu_find(const struct lab_place *place, const char *given, struct lab_qemu *ret,
                  struct xw_error *err);

#endif
