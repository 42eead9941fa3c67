/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef XENWRIGHT_CLI_LAB_RECIPE_H
#define XENWRIGHT_CLI_LAB_RECIPE_H

#include "cli/lab.h"

/* The recipe that --release and --with ask for; lab_recipe_free() in any case. */
int cli_lab_recipe(struct cli_call *call, const struct lab_data *data, struct lab_recipe *recipe,
                   struct xw_error *err);

/* Completion of --with. */
void cli_lab_layers(const struct cli_call *call, struct cli_candidates *out);

#endif
