/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A word with the agent of a running lab, watched: what requests to it begin and end with. */
#ifndef LAB_SESSION_H
#define LAB_SESSION_H

#include "lab/control.h"
#include "lab/record.h"
#include "lab/watch.h"

struct lab_session {
    struct lab_watch *watch;
    struct lab_channel channel; /* its client has been answered */
};

/* Errors as of lab_watch_open, lab_channel_take and lab_watch_drive. End with lab_session_close. */
int lab_session_open(const struct lab_place *place, const struct lab_record *record,
                     struct lab_session *ret, struct xw_error *err);
void lab_session_close(struct lab_session *session);

#endif
