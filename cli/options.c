/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which options a command takes: its own, those its flags bring, and those every command has. */
#include <string.h>

#include "cli/call.h"

static const char *const when_words[] = {"auto", "always", "never", NULL};
static const char *const progress_words[] = {"auto", "json", "none", NULL};

/* Brought by a flag of the command. */
static const struct {
    unsigned int flag;
    struct cli_option option;
} brought[] = {
    {CLI_SHOWS, {.name = "json", .help = "print JSON for programs"}},
    {CLI_CHANGES, {.name = "dry-run", .help = "say what would be done, and do nothing"}},
    {CLI_LONG,
     {.name = "progress",
      .argument = "WHEN",
      .help = "how to show progress on stderr: auto (a bar, on a terminal), json, or none",
      .value = {.kind = CLI_VALUE_WORDS, .words = progress_words}}},
};

/* Every command has these. */
static const struct cli_option common[] = {
    {.name = "color",
     .argument = "WHEN",
     .help = "use colour: auto (on a terminal), always or never",
     .value = {.kind = CLI_VALUE_WORDS, .words = when_words}},
    {.name = "verbose",
     .letter = 'v',
     .help = "say on stderr what is being done; twice: more, for finding faults",
     .flags = CLI_REPEAT},
    {.name = "help", .letter = 'h', .help = "show this help"},
    {0},
};

/* Only the program itself, before the noun. */
static const struct cli_option top[] = {
    {.name = "version", .letter = 'V', .help = "show the version"},
    {.name = "json", .help = "with --version: print JSON for programs"},
    {0},
};

/* Takes the index-th entry of an array, or lowers *index by the array's length. */
static const struct cli_option *take(const struct cli_option *options, size_t *index)
{
    for (; options && options->name; options++) {
        if ((*index)-- == 0)
            return options;
    }
    return NULL;
}

static const struct cli_option *take_brought(unsigned int flags, size_t *index)
{
    for (size_t i = 0; i < sizeof(brought) / sizeof(brought[0]); i++) {
        if ((flags & brought[i].flag) && (*index)-- == 0)
            return &brought[i].option;
    }
    return NULL;
}

const struct cli_option *cli_option_at(const struct cli_command *command, size_t index)
{
    const struct cli_option *option = take(command ? command->options : top, &index);

    if (!option && command)
        option = take_brought(command->flags, &index);
    return option ? option : take(common, &index);
}

const char *cli_option_scope(const struct cli_command *command, size_t index)
{
    size_t rest = index;

    if (take(command ? command->options : top, &rest))
        return "own";
    return take_brought(command ? command->flags : 0, &rest) ? "flag" : "common";
}

const struct cli_option *cli_option_named(const struct cli_command *command, const char *name)
{
    const struct cli_option *option;

    for (size_t i = 0; (option = cli_option_at(command, i)); i++) {
        if (strcmp(option->name, name) == 0)
            return option;
    }
    return NULL;
}

const struct cli_option *cli_option_lettered(const struct cli_command *command, char letter)
{
    const struct cli_option *option;

    for (size_t i = 0; (option = cli_option_at(command, i)); i++) {
        if (option->letter && option->letter == letter)
            return option;
    }
    return NULL;
}

const struct cli_value *cli_value_at(const struct cli_command *command, size_t index)
{
    static const struct cli_value none = {.kind = CLI_VALUE_NONE};
    const struct cli_arguments *arguments = &command->arguments;
    size_t last = 0;

    if (index >= arguments->max)
        return &none;
    if ((command->flags & CLI_PASSTHROUGH) && index >= arguments->fixed)
        return &none;
    for (size_t i = 0; i < CLI_POSITIONS; i++) {
        if (arguments->values[i].kind != CLI_VALUE_NONE)
            last = i;
    }
    return &arguments->values[index < last ? index : last];
}
