/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of `xenwright vm` that have a file of their own. */
#ifndef XENWRIGHT_CLI_VM_H
#define XENWRIGHT_CLI_VM_H

#include "cli/command.h"

extern const struct cli_command cli_vm_restore, cli_vm_save;

#endif
