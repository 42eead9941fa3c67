/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Named points at which tests kill the program, to prove that a kill there loses nothing.
 *
 * XENWRIGHT_KILL_AT=POINT[:N] has the process send itself SIGKILL at the N-th passing of the point
 * (the first where N is not given). XENWRIGHT_STOP_AT=POINT[:N] has it send itself SIGSTOP, for a
 * test to do something else at that moment, and then SIGCONT. XENWRIGHT_KILL_LIST=FILE has the name
 * of every point that is passed appended to FILE, one a line, so that a test can walk them all.
 * None of them set: no effect.
 */
#ifndef XW_BASE_KILLPOINT_H
#define XW_BASE_KILLPOINT_H

#include <stdbool.h>

void xw_kill_point(const char *name);

/* Whether a test wants any of this: to save the making of a name. */
bool xw_kill_points_wanted(void);

#endif
