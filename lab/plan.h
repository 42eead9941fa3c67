/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `lab up` would do, found out without doing it. */
#ifndef LAB_PLAN_H
#define LAB_PLAN_H

#include "lab/lab.h"

struct lab_plan {
    bool running;             /* nothing would be done */
    char image[LAB_KEY_MAX];  /* "": one would be made, and a state of it */
    char state[LAB_KEY_MAX]; /* "": the lab would boot afresh; of one to be made: as in lab_state */
    bool restores;            /* the state is there; else it would be made by a boot */
};

int lab_up_plan(const struct lab_place *place, const struct lab_data *data, struct lab_wish *wish,
                struct lab_plan *ret, struct xw_error *err);

/*
 * Set how the machine's processors are run: hardware virtualisation where it works and instructions
 * are not counted. The first time that it is found not to work a note says why.
 */
int lab_choose_accel(const struct lab_place *place, struct lab_machine *machine,
                     struct xw_error *err);

#endif
