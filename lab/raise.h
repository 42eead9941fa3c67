/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps by which a lab comes to life; shared by lab/up.c and lab/save-restore.c. */
#ifndef LAB_RAISE_H
#define LAB_RAISE_H

#include "lab/lab.h"

/* Start QEMU for the record: fills its pid and start time, and says so in the journal. */
int lab_raise_start(struct lab_hold *hold, struct lab_record *record, enum lab_memory memory,
                    bool wait_state, bool plugged, struct xw_error *err);

/* Load the state from fd into the waiting machine and let it run. */
int lab_raise_wake(const struct lab_place *place, const struct lab_record *record, int fd,
                   bool without_memory, struct xw_error *err);

/* Wait for the agent of a woken lab and tell it who it is. */
int lab_raise_introduce(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err);

/* Set the clock of a running lab, which stood still. */
int lab_raise_set_clock(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err);

#endif
