/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands that take a DOMAIN share. */
#ifndef XENWRIGHT_CLI_DOMAIN_H
#define XENWRIGHT_CLI_DOMAIN_H

#include "cli/command.h"

/* Completion: domains that run here; on other machines there is nothing to offer. */
void cli_domain_names(const struct cli_call *call, struct cli_candidates *out);

#endif
