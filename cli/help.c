/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/output.h"

#define WIDTH_MAX 100    /* longer lines are hard to read */
#define LABEL_COLUMNS 28 /* where the explanations of options begin */

/* Columns that a word takes: bytes that continue a UTF-8 character take none. */
static size_t columns_of(const char *text, size_t bytes)
{
    size_t columns = 0;

    for (size_t i = 0; i < bytes; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

/*
 * Prints words from column `at` on, wrapped, with further lines indented; ends the line. An empty
 * line in the text begins a paragraph.
 */
static void print_wrapped(const char *text, size_t at, size_t indent)
{
    size_t width = cli_width(WIDTH_MAX);
    bool fresh = true; /* nothing on the line yet but the indent */

    for (;;) {
        size_t newlines = 0;

        for (; *text == ' ' || *text == '\n'; text++)
            newlines += *text == '\n';
        if (!*text)
            break;

        size_t bytes = strcspn(text, " \n");
        size_t columns = columns_of(text, bytes);

        if (!fresh && (newlines > 1 || at + 1 + columns > width)) {
            printf("\n%s%*s", newlines > 1 ? "\n" : "", (int)indent, "");
            at = indent;
            fresh = true;
        }
        printf("%s%.*s", fresh ? "" : " ", (int)bytes, text);
        at += columns + !fresh;
        fresh = false;
        text += bytes;
    }
    putchar('\n');
}

/* A label, then its explanation in its own columns. */
static void print_entry(const char *label, size_t column, const char *explanation)
{
    size_t at = 2 + columns_of(label, strlen(label));

    printf("  %s", label);
    if (at + 2 > column) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", (int)(column - at), "");
    print_wrapped(explanation, column, column);
}

static void print_heading(const struct cli_call *call, const char *heading)
{
    bool color = cli_color(call);

    printf("\n%s%s:%s\n", color ? "\033[1m" : "", heading, color ? "\033[0m" : "");
}

static void print_usage(const struct cli_call *call, const char *rest)
{
    const char *name = cli_call_name(call);

    printf("usage: %s ", name);
    print_wrapped(rest, strlen("usage:  ") + strlen(name), 4);
}

static void print_option(const struct cli_option *option)
{
    char label[128];
    char letter[5] = "    ";

    if (option->letter)
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    snprintf(label, sizeof(label), "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    print_entry(label, LABEL_COLUMNS, option->help);
}

static void print_options(const struct cli_call *call)
{
    const struct cli_option *option;

    print_heading(call, "options");
    for (size_t i = 0; (option = cli_option_at(call->command, i)); i++)
        print_option(option);
}

/* The width that the longest name of a list takes, with the space around it. */
static size_t wider(size_t column, const char *name)
{
    size_t needed = strlen(name) + 4;

    return needed > column ? needed : column;
}

static void help_program(const struct cli_call *call, const struct cli_group *const *groups)
{
    size_t column = wider(0, "help");

    for (size_t i = 0; groups[i]; i++)
        column = wider(column, groups[i]->noun);
    print_usage(call, "NOUN VERB [options] [arguments]");
    print_heading(call, "nouns");
    for (size_t i = 0; groups[i]; i++)
        print_entry(groups[i]->noun, column, groups[i]->purpose);
    print_entry("help", column, "Show the help of the program, a noun or a command");
    print_options(call);
    putchar('\n');
    print_wrapped("The verbs of a noun: xenwright NOUN --help. The manual: man xenwright.", 0, 0);
}

static void help_group(const struct cli_call *call)
{
    const struct cli_group *group = call->group;
    size_t column = 0;
    char more[256];

    for (size_t i = 0; group->commands[i]; i++)
        column = wider(column, group->commands[i]->verb);
    print_usage(call, "VERB [options] [arguments]");
    putchar('\n');
    print_wrapped(group->purpose, 0, 0);
    if (group->description) {
        putchar('\n');
        print_wrapped(group->description, 0, 0);
    }
    print_heading(call, "verbs");
    for (size_t i = 0; group->commands[i]; i++)
        print_entry(group->commands[i]->verb, column, group->commands[i]->purpose);
    snprintf(more, sizeof(more),
             "Options and examples of a verb: %s VERB --help. "
             "The manual: man xenwright-%s.",
             cli_call_name(call), group->noun);
    putchar('\n');
    print_wrapped(more, 0, 0);
}

static void help_command(const struct cli_call *call)
{
    const struct cli_command *command = call->command;
    const struct cli_example *example = command->examples;
    const char *arguments = command->arguments.usage;
    char rest[256];

    snprintf(rest, sizeof(rest), "[options] %s", arguments ? arguments : "");
    print_usage(call, rest);
    putchar('\n');
    print_wrapped(command->purpose, 0, 0);
    if (command->description) {
        putchar('\n');
        print_wrapped(command->description, 0, 0);
    }
    print_options(call);
    if (!example || !example->line)
        return;
    print_heading(call, "examples");
    for (; example->line; example++) {
        printf("  %s\n      ", example->line);
        print_wrapped(example->what, 6, 6);
    }
}

void cli_help(const struct cli_call *call, const struct cli_group *const *groups)
{
    if (call->command)
        help_command(call);
    else if (call->group)
        help_group(call);
    else
        help_program(call, groups);
}
