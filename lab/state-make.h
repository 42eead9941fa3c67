/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a state: boot, wait, freeze. For lab/state.c. */
#ifndef LAB_STATE_MAKE_H
#define LAB_STATE_MAKE_H

#include "lab/state.h"

/*
 * With the lock of the state held. What an earlier, killed attempt left is cleared first. key: its
 * beginning, which becomes the whole. lab: for whom.
 */
int lab_state_make(const struct lab_place *place, const char *lab, const struct lab_data *data,
                   const struct lab_image *image, const struct lab_qemu *qemu,
                   const struct lab_machine *machine, const struct lab_reporter *reporter,
                   char key[LAB_KEY_MAX], struct xw_error *err);

#endif
