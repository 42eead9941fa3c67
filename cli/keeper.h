/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that looks after the link of a mirror to another host. */
#ifndef XENWRIGHT_CLI_KEEPER_H
#define XENWRIGHT_CLI_KEEPER_H

#include <xenwright/error.h>

/* Start it for the mirror with this id, to outlive us. It ends by itself where there is one. */
int cli_keeper_start(const char *id, struct xw_error *err);

/* What it does: "xenwright __mirror ID". */
int cli_keeper_run(const char *id, struct xw_error *err);

#endif
