/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/suggest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/call.h"

#define WORD_MAX 63

static size_t least(size_t a, size_t b, size_t c)
{
    size_t smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

/* Optimal string alignment, three rows at a time. */
size_t cli_word_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    size_t length_a = strlen(a), length_b = strlen(b);

    if (length_a > WORD_MAX || length_b > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= length_b; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], row[j], before[j - 2] + 1);
        }

        size_t *oldest = before;

        before = above;
        above = row;
        row = oldest;
    }
    return above[length_b];
}

/* The nearest word so far. A beginning of a word is as near as one slip. */
struct nearest {
    const char *given;
    const char *word;
    size_t distance;
};

static void consider(struct nearest *nearest, const char *word)
{
    size_t length = strlen(nearest->given);
    size_t distance = cli_word_distance(nearest->given, word);

    if (length > 0 && strncmp(nearest->given, word, length) == 0)
        distance = 1;
    /* Two slips in a word of three letters are another word. */
    if (distance <= (length < 4 ? 1 : 2) && distance < nearest->distance) {
        nearest->distance = distance;
        nearest->word = word;
    }
}

static const char *write_hint(const struct nearest *nearest, const char *dashes, char *hint,
                              size_t size)
{
    hint[0] = '\0';
    if (nearest->word)
        snprintf(hint, size, " (did you mean '%s%s'?)", dashes, nearest->word);
    return hint;
}

const char *cli_suggest_noun(const struct cli_group *const *groups, const char *word, char *hint,
                             size_t size)
{
    struct nearest nearest = {.given = word, .distance = SIZE_MAX};

    for (; *groups; groups++)
        consider(&nearest, (*groups)->noun);
    consider(&nearest, "help");
    return write_hint(&nearest, "", hint, size);
}

const char *cli_suggest_verb(const struct cli_group *group, const char *word, char *hint,
                             size_t size)
{
    struct nearest nearest = {.given = word, .distance = SIZE_MAX};

    for (const struct cli_command *const *command = group->commands; *command; command++)
        consider(&nearest, (*command)->verb);
    return write_hint(&nearest, "", hint, size);
}

const char *cli_suggest_option(const struct cli_command *command, const char *word, size_t length,
                               char *hint, size_t size)
{
    char name[WORD_MAX + 1];
    struct nearest nearest = {.given = name, .distance = SIZE_MAX};
    const struct cli_option *option;

    hint[0] = '\0';
    if (length < 2 || length - 2 > WORD_MAX)
        return hint;
    memcpy(name, word + 2, length - 2);
    name[length - 2] = '\0';
    for (size_t i = 0; (option = cli_option_at(command, i)); i++)
        consider(&nearest, option->name);
    return write_hint(&nearest, "--", hint, size);
}

const char *cli_join_words(const char *const *words, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; words[i] && used < size; i++) {
        const char *join = i == 0 ? "" : words[i + 1] ? ", " : " or ";
        int length = snprintf(text + used, size - used, "%s%s", join, words[i]);

        used += length > 0 ? (size_t)length : 0;
    }
    return text;
}
