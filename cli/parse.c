/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/suggest.h"

/* Records one option, after a look at its value. */
static int add_setting(struct cli_call *call, const struct cli_option *option, const char *value,
                       struct xw_error *err)
{
    const char *const *words = option->value.words;

    if (value && option->value.kind == CLI_VALUE_WORDS) {
        while (*words && strcmp(*words, value) != 0)
            words++;
        if (!*words) {
            char list[256];

            return cli_misuse(call, err, "--%s: '%s' is not one of %s", option->name, value,
                              cli_join_words(option->value.words, list, sizeof(list)));
        }
    }
    call->settings[call->setting_count++] = (struct cli_setting){.option = option, .value = value};
    return 0;
}

/* The value of an option that stands in a word of its own. */
static const char *next_value(struct cli_parser *parser, const struct cli_option *option)
{
    if (parser->next < parser->count)
        return parser->words[parser->next++];
    parser->pending = option;
    return NULL;
}

static int missing_value(struct cli_call *call, const struct cli_option *option, const char *given,
                         struct xw_error *err)
{
    return cli_misuse(call, err, "%s needs a value, %s", given, option->argument);
}

/* "--name", "--name=value" or "--name value". */
static int parse_long(struct cli_parser *parser, const char *word, struct xw_error *err)
{
    struct cli_call *call = parser->call;
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    char name[64];
    const struct cli_option *option = NULL;

    if (length - 2 < sizeof(name)) {
        memcpy(name, word + 2, length - 2);
        name[length - 2] = '\0';
        option = cli_option_named(call->command, name);
    }
    if (!option) {
        char hint[128];

        return cli_misuse(call, err, "unknown option '%.*s'%s", (int)length, word,
                          cli_suggest_option(call->command, word, length, hint, sizeof(hint)));
    }
    if (!option->argument) {
        if (equals)
            return cli_misuse(call, err, "--%s takes no value", option->name);
        return add_setting(call, option, NULL, err);
    }

    const char *value = equals ? equals + 1 : next_value(parser, option);

    if (!value) {
        char given[72];

        snprintf(given, sizeof(given), "--%s", option->name);
        return missing_value(call, option, given, err);
    }
    return add_setting(call, option, value, err);
}

/* Room for the letters of a cluster, beyond the one setting per word. */
static int reserve_letters(struct cli_parser *parser, size_t letters, struct xw_error *err)
{
    struct cli_call *call = parser->call;
    size_t room = call->setting_count + letters + (parser->count - parser->next) + 1;
    struct cli_setting *settings = reallocarray(call->settings, room, sizeof(*settings));

    if (!settings)
        return xw_error_set(err, ENOMEM, "command line: not enough memory");
    call->settings = settings;
    return 0;
}

/* "-a", "-abc" (three switches), "-nvalue" or "-n value". */
static int parse_short(struct cli_parser *parser, const char *word, struct xw_error *err)
{
    struct cli_call *call = parser->call;
    int rc = reserve_letters(parser, strlen(word), err);

    for (const char *letter = word + 1; rc == 0 && *letter; letter++) {
        const struct cli_option *option = cli_option_lettered(call->command, *letter);
        char given[3] = {'-', *letter, '\0'};

        if (!option)
            return cli_misuse(call, err, "unknown option '-%c' in '%s'", *letter, word);
        if (!option->argument) {
            rc = add_setting(call, option, NULL, err);
            continue;
        }

        const char *value = letter[1] ? letter + 1 : next_value(parser, option);

        if (!value)
            return missing_value(call, option, given, err);
        return add_setting(call, option, value, err);
    }
    return rc;
}

static void add_argument(struct cli_parser *parser, char *word)
{
    struct cli_call *call = parser->call;
    const struct cli_command *command = call->command;

    call->arguments[call->argument_count++] = word;
    if (command && (command->flags & CLI_PASSTHROUGH) &&
        call->argument_count > command->arguments.fixed)
        parser->ended = true;
}

int cli_parse_step(struct cli_parser *parser, struct xw_error *err)
{
    if (parser->next >= parser->count)
        return 0;

    char *word = parser->words[parser->next];
    bool option = !parser->ended && word[0] == '-' && word[1] != '\0';
    int rc = 0;

    if (parser->leading && !option)
        return 0;
    parser->next++;
    if (!option)
        add_argument(parser, word);
    else if (strcmp(word, "--") == 0)
        parser->ended = true;
    else if (word[1] == '-')
        rc = parse_long(parser, word, err);
    else
        rc = parse_short(parser, word, err);
    return rc < 0 ? rc : 1;
}

/* The usage line follows in the message, since it names the arguments. */
static int check_count(struct cli_call *call, struct xw_error *err)
{
    const struct cli_arguments *arguments = &call->command->arguments;

    if (call->argument_count < arguments->min)
        return cli_misuse(call, err, "%s, expected %s",
                          call->argument_count ? "too few arguments" : "arguments are missing",
                          arguments->usage);
    if (call->argument_count <= arguments->max)
        return 0;
    if (arguments->max == 0)
        return cli_misuse(call, err, "takes no argument, got '%s'", call->arguments[0]);
    return cli_misuse(call, err, "one argument too many, '%s', expected %s",
                      call->arguments[arguments->max], arguments->usage);
}

int cli_parse(struct cli_parser *parser, struct xw_error *err)
{
    int rc;

    do {
        rc = cli_parse_step(parser, err);
    } while (rc > 0);
    if (rc < 0 || parser->leading || cli_flag(parser->call, "help"))
        return rc;
    return check_count(parser->call, err);
}
