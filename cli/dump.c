/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/dump.h"

#include <errno.h>
#include <stdio.h>

#include "cli/call.h"
#include "config.h"

static json_t *dump_words(const struct cli_value *value)
{
    json_t *words;

    if (value->kind != CLI_VALUE_WORDS)
        return json_null();
    words = json_array();
    for (size_t i = 0; value->words[i]; i++)
        json_array_append_new(words, json_string(value->words[i]));
    return words;
}

static json_t *dump_option(const struct cli_option *option, const char *scope)
{
    char letter[2] = {option->letter, '\0'};

    return json_pack("{s:s, s:s?, s:s?, s:s, s:b, s:s, s:o}", "name", option->name, "letter",
                     option->letter ? letter : NULL, "argument", option->argument, "help",
                     option->help, "repeat", (int)(option->flags & CLI_REPEAT) != 0, "scope", scope,
                     "values", dump_words(&option->value));
}

static json_t *dump_options(const struct cli_command *command)
{
    json_t *options = json_array();
    const struct cli_option *option;

    for (size_t i = 0; (option = cli_option_at(command, i)); i++)
        json_array_append_new(options, dump_option(option, cli_option_scope(command, i)));
    return options;
}

static json_t *dump_flags(unsigned int flags)
{
    static const struct {
        unsigned int flag;
        const char *name;
    } names[] = {
        {CLI_SHOWS, "shows"},
        {CLI_CHANGES, "changes"},
        {CLI_LONG, "long"},
        {CLI_PASSTHROUGH, "passthrough"},
    };
    json_t *array = json_array();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (flags & names[i].flag)
            json_array_append_new(array, json_string(names[i].name));
    }
    return array;
}

static json_t *dump_examples(const struct cli_example *example)
{
    json_t *examples = json_array();

    for (; example && example->line; example++)
        json_array_append_new(
            examples, json_pack("{s:s, s:s}", "line", example->line, "what", example->what));
    return examples;
}

static json_t *dump_command(const struct cli_command *command)
{
    const struct cli_arguments *arguments = &command->arguments;
    json_t *counts =
        json_pack("{s:s, s:I, s:o, s:I}", "usage", arguments->usage ? arguments->usage : "", "min",
                  (json_int_t)arguments->min, "max",
                  arguments->max == CLI_ANY ? json_null() : json_integer(arguments->max), "fixed",
                  (json_int_t)arguments->fixed);

    return json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o, s:o}", "verb", command->verb, "purpose",
                     command->purpose, "description", command->description, "arguments", counts,
                     "flags", dump_flags(command->flags), "options", dump_options(command),
                     "examples", dump_examples(command->examples));
}

static json_t *dump_group(const struct cli_group *group)
{
    json_t *verbs = json_array();

    for (size_t i = 0; group->commands[i]; i++)
        json_array_append_new(verbs, dump_command(group->commands[i]));
    return json_pack("{s:s, s:s, s:s?, s:o}", "noun", group->noun, "purpose", group->purpose,
                     "description", group->description, "verbs", verbs);
}

int cli_dump(const struct cli_group *const *groups, struct xw_error *err)
{
    json_t *nouns = json_array();

    for (; *groups; groups++)
        json_array_append_new(nouns, dump_group(*groups));
    return cli_show_json(NULL,
                         json_pack("{s:s, s:o, s:o}", "version", XENWRIGHT_VERSION, "options",
                                   dump_options(NULL), "nouns", nouns),
                         err);
}
