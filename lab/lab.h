/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labs as a whole: up, down, and what a killed xenwright or QEMU left behind.
 *
 * Every change of a lab happens with its lock (labs/.lock-NAME) held and its intent in the journal
 * labs/.journal-NAME. Whoever takes the lock next finds what was not finished and puts it right,
 * with a warning that says so: a lab half up is taken away, a lab half down goes down, a half-made
 * saved state is dropped.
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include "base/journal.h"
#include "base/lock.h"
#include "lab/identity.h"
#include "lab/record.h"
#include "lab/state.h"

/* A lab whose lock is held. */
struct lab_hold {
    const struct lab_place *place;
    char name[LAB_NAME_MAX + 1];
    struct xw_lock lock;
    struct xw_journal *journal;
};

/*
 * Take the lock, waiting for another command that has it, and put right what is unfinished.
 * timeout_ms as for xw_lock_take. Give it back with lab_let_go.
 */
int lab_hold(const struct lab_place *place, const char *name, int timeout_ms, struct lab_hold *ret,
             struct xw_error *err);
void lab_let_go(struct lab_hold *hold);

/* Look after all labs whose lock is free: to be called by commands that list them. */
int lab_put_right_all(const struct lab_place *place, struct xw_error *err);

/* What `lab up` was asked for. */
struct lab_wish {
    const char *name;
    struct lab_recipe *recipe;
    const char *qemu;            /* NULL: the usual one */
    struct lab_machine machine; /* files as the user named them, absolute; "" for the image's own */
    bool fresh;                  /* boot, do not use a state */
    bool bare;                   /* do not put this build of xenwright into it */
    const char *const *packages; /* .deb files to unpack in it; ends in NULL */
    bool gdb;
    json_t *disks;               /* entries without "slot"; borrowed */
    const char *const *networks; /* names; ends in NULL */
    const char *mirror;
};

enum lab_up_outcome {
    LAB_UP_RESTORED,
    LAB_UP_BOOTED,
    LAB_UP_ALREADY, /* it was running; nothing was done */
};

int lab_up(const struct lab_place *place, const struct lab_data *data, struct lab_wish *wish,
           const struct lab_reporter *reporter, struct lab_record *ret,
           enum lab_up_outcome *ret_outcome, struct xw_error *err);

/*
 * End a lab and forget what was not saved. Its saved states stay, and with them its name. -ENOENT:
 * there is no such lab.
 */
int lab_down(const struct lab_place *place, const char *name, struct xw_error *err);

/* The same for a lab whose lock is held. */
int lab_down_held(struct lab_hold *hold, struct xw_error *err);

#endif
