/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command groups of the program, in the order of help. */
#include "cli/command.h"

extern const struct cli_group cli_group_lab;
extern const struct cli_group cli_group_vm;

const struct cli_group *const cli_groups[] = {
    &cli_group_lab,
    &cli_group_vm,
    NULL,
};
