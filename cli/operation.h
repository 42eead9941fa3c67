/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Long operations of the library, with progress. */
#ifndef XENWRIGHT_CLI_OPERATION_H
#define XENWRIGHT_CLI_OPERATION_H

#include <xenwright/operation.h>

#include "cli/command.h"

/*
 * Step the operation to its end, with its progress shown as that of `task`. It stays the caller's
 * to free. A first Ctrl-C asks it to end, and what it did is undone where that is possible.
 */
int cli_operation_run(struct cli_call *call, const char *task, struct xw_operation *operation,
                      struct xw_error *err);

#endif
