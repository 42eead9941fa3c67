/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can stand next on a command line: the hidden command `xenwright __complete WORD...`.
 *
 * The words are those behind "xenwright", the last one being typed (it may be empty). Prints one
 * candidate a line, as the whole word, with a tab and an explanation behind it where there is one.
 * A line ":file" or ":directory" stands for what the shell itself can offer best. Completion never
 * fails: where nothing can be offered, nothing is printed.
 */
#ifndef XENWRIGHT_CLI_COMPLETE_H
#define XENWRIGHT_CLI_COMPLETE_H

#include "cli/command.h"

void cli_complete(const struct cli_group *const *groups, char **words, size_t count);

#endif
