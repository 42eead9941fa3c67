/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Did you mean …? */
#ifndef XENWRIGHT_CLI_SUGGEST_H
#define XENWRIGHT_CLI_SUGGEST_H

#include <stddef.h>

#include "cli/command.h"

/*
 * How far apart two words are: insertions, removals, replacements, and swaps of neighbours. Words
 * longer than 63 bytes are infinitely far from everything (SIZE_MAX).
 */
size_t cli_word_distance(const char *a, const char *b);

/*
 * Each writes " (did you mean '…'?)" into `hint`, or "" where nothing is near, and returns `hint`.
 * `word` of an option is as given, with its dashes; `length` leaves a "=value" out.
 */
const char *cli_suggest_noun(const struct cli_group *const *groups, const char *word, char *hint,
                             size_t size);
const char *cli_suggest_verb(const struct cli_group *group, const char *word, char *hint,
                             size_t size);
const char *cli_suggest_option(const struct cli_command *command, const char *word, size_t length,
                               char *hint, size_t size);

/* "auto, always or never" from the words; returns `text`, cut where it is too small. */
const char *cli_join_words(const char *const *words, char *text, size_t size);

#endif
