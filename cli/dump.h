/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables as JSON: the hidden command `xenwright __commands --json`, for tests and documents. */
#ifndef XENWRIGHT_CLI_DUMP_H
#define XENWRIGHT_CLI_DUMP_H

#include "cli/command.h"

/*
 * Prints { "version", "options": [OPTION], "nouns": [ { "noun", "purpose", "description", "verbs":
 * [ { "verb", "purpose", "description", "arguments": { "usage", "min", "max", "fixed" }, "flags":
 * ["shows", "changes", "long", "passthrough"], "options": [OPTION], "examples": [ { "line",
 * "what" } ] } ] } ] } with OPTION = { "name", "letter", "argument", "help", "repeat", "scope",
 * "values" }. scope is "own", "flag" or "common"; what is absent in the tables is null.
 */
int cli_dump(const struct cli_group *const *groups, struct xw_error *err);

#endif
