/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program in a lab with this program's streams, signals and terminal. */
#ifndef XENWRIGHT_CLI_LAB_REMOTE_H
#define XENWRIGHT_CLI_LAB_REMOTE_H

#include "cli/lab.h"

/* Runs argv in the lab of argument 0, on a terminal of its own if `tty`; sets the exit status. */
int cli_lab_remote(struct cli_call *call, const char *const *argv, bool tty, struct xw_error *err);

#endif
