/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xenwright itself, inside labs.
 *
 * A program for dom0 has to be linked against the Xen libraries of dom0's own release. Run from a
 * build directory, the source tree is compiled and packaged in a build root of that release
 * (scripts/make-build-root, scripts/build-package), and the content of the packages is put into
 * a lab after it woke: neither disk nor state has to be made again when our code changes.
 */
#ifndef LAB_PACKAGE_H
#define LAB_PACKAGE_H

#include "lab/data.h"
#include "lab/image.h"
#include "lab/record.h"

/*
 * Have the packages of this tree for a release. *ret: the folder with the .deb files, relative to
 * the cache; "" when this program was not run from a build directory, so that there is nothing to
 * compile. Takes seconds when little has changed, nothing when nothing has. -ECHILD: it does not
 * compile; the message names the log.
 */
int lab_package_make(const struct lab_place *place, const struct lab_data *data,
                     const struct lab_release *release, const struct lab_reporter *reporter,
                     char ret[PATH_MAX], struct xw_error *err);

/* Unpack one .deb file in the running lab; what it depends on has to be there. */
int lab_package_unpack(const struct lab_place *place, const struct lab_record *record,
                       const char *deb, struct xw_error *err);

/* Unpack the programs among the packages in the running lab. */
int lab_package_install(const struct lab_place *place, const struct lab_record *record,
                        const char *folder, struct xw_error *err);

#endif
