/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Help, made from the tables alone. */
#ifndef XENWRIGHT_CLI_HELP_H
#define XENWRIGHT_CLI_HELP_H

#include "cli/command.h"

/* Prints to stdout the help of what the call has: the command, or the group, or the program. */
void cli_help(const struct cli_call *call, const struct cli_group *const *groups);

#endif
