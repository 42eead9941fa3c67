/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running a program in a lab, to its end or that of the lab. */
#ifndef LAB_RUN_H
#define LAB_RUN_H

#include "lab/client.h"
#include "lab/place.h"
#include "lab/record.h"
#include "lab/watch.h"

/* On a channel at hand whose HELLO is done. */
int lab_run_on(struct lab_watch *watch, struct lab_client *client, const struct lab_exec *exec,
               int timeout_ms, struct lab_exec_end *ret, struct xw_error *err);

/*
 * The whole way: find a channel, run, let go. Output as `exec` says. timeout_ms below 0: none.
 * -ECONNRESET, -EIO: the lab ended meanwhile (lab/watch.h).
 */
int lab_run(const struct lab_place *place, const struct lab_record *record,
            const struct lab_exec *exec, int timeout_ms, struct lab_exec_end *ret,
            struct xw_error *err);

/*
 * Run with `in` as its input (-1: none), throw away what it prints, and take any end but exit
 * status 0 as a failure whose message ends in the first line of its stderr.
 */
int lab_run_check(const struct lab_place *place, const struct lab_record *record,
                  const char *const *argv, int in, int timeout_ms, struct xw_error *err);

#endif
