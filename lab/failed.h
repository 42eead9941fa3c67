/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is left of a try to bring up a lab that failed: labs/.failed-NAME, with its console.log,
 * qemu.log and crash.json. The lab itself goes away, so this is the only place to look. The next
 * failed try takes it over; `lab prune` removes it.
 */
#ifndef LAB_FAILED_H
#define LAB_FAILED_H

#include "lab/place.h"

#define LAB_FAILED_PREFIX ".failed-"

/*
 * Keep what there is in the folder `run` of labs/ for the lab `name`. Where the console said
 * anything, the message in err tells the place from now on, and the gist of a crash.
 */
void lab_failed_keep(const struct lab_place *place, const char *run, const char *name,
                     struct xw_error *err);

#endif
