/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking a word up in the tables, and the way from words to a command that runs. */
#ifndef XENWRIGHT_CLI_DISPATCH_H
#define XENWRIGHT_CLI_DISPATCH_H

#include "cli/command.h"

/* NULL where there is none. */
const struct cli_group *cli_find_group(const struct cli_group *const *groups, const char *noun);
const struct cli_command *cli_find_command(const struct cli_group *group, const char *verb);

/*
 * The whole program: runs the command that the words behind argv[0] name, prints what went wrong,
 * and returns the exit status of the process.
 */
int cli_main(const struct cli_group *const *groups, int argc, char **argv);

#endif
