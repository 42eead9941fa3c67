/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program in a lab with this program's streams, signals and terminal. */
#ifndef XENWRIGHT_CLI_LAB_REMOTE_H
#define XENWRIGHT_CLI_LAB_REMOTE_H

#include "cli/lab.h"

/* For a CLI_PASSTHROUGH command with the lab as argument 0 and an option --tty: sets its exit status. */
int cli_lab_remote(struct cli_call *call, const char *const *argv, struct xw_error *err);

#endif
