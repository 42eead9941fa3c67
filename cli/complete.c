/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/complete.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/dispatch.h"
#include "cli/parse.h"

/* The candidates that fit what was typed are printed as they come. */
struct cli_candidates {
    const char *typed;  /* what a candidate must begin with */
    const char *before; /* stands before it in the same word: "--release=" */
    size_t before_length;
};

static const char *const releases[] = {"trixie", "bookworm", NULL};

void cli_candidate(struct cli_candidates *out, const char *word, const char *help)
{
    if (strncmp(word, out->typed, strlen(out->typed)) != 0)
        return;
    /* A line feed or a tab in a name would look like another candidate. */
    if (strpbrk(word, "\t\n") || (help && strpbrk(help, "\t\n")))
        return;
    printf("%.*s%s%s%s\n", (int)out->before_length, out->before, word, help ? "\t" : "",
           help ? help : "");
}

static void offer_words(struct cli_candidates *out, const char *const *words)
{
    for (; *words; words++)
        cli_candidate(out, *words, NULL);
}

static void offer_value(const struct cli_call *call, const struct cli_value *value,
                        struct cli_candidates *out)
{
    switch (value->kind) {
    case CLI_VALUE_NONE:
        break;
    case CLI_VALUE_FILE:
        puts(":file");
        break;
    case CLI_VALUE_DIRECTORY:
        puts(":directory");
        break;
    case CLI_VALUE_RELEASE:
        offer_words(out, releases);
        break;
    case CLI_VALUE_WORDS:
        offer_words(out, value->words);
        break;
    case CLI_VALUE_CALLBACK:
        value->list(call, out);
        break;
    }
}

static bool given_already(const struct cli_call *call, const struct cli_option *option)
{
    for (size_t i = 0; i < call->setting_count; i++) {
        if (call->settings[i].option == option)
            return !(option->flags & CLI_REPEAT);
    }
    return false;
}

/* The word begins with a dash: an option, or the value behind its "=". */
static void offer_options(const struct cli_call *call, const char *word)
{
    struct cli_candidates out = {.typed = word};
    const char *equals = strchr(word, '=');
    const struct cli_option *option;
    char name[64];

    for (size_t i = 0; (option = cli_option_at(call->command, i)); i++) {
        snprintf(name, sizeof(name), "--%s", option->name);
        if (!equals) {
            if (!given_already(call, option))
                cli_candidate(&out, name, option->help);
        } else if (option->argument && strlen(name) == (size_t)(equals - word) &&
                   strncmp(name, word, strlen(name)) == 0) {
            out = (struct cli_candidates){equals + 1, word, strlen(name) + 1};
            offer_value(call, &option->value, &out);
            return;
        }
    }
}

static void offer_nouns(const struct cli_group *const *groups, struct cli_candidates *out)
{
    for (; *groups; groups++)
        cli_candidate(out, (*groups)->noun, (*groups)->purpose);
}

static void offer_verbs(const struct cli_group *group, struct cli_candidates *out)
{
    for (const struct cli_command *const *command = group->commands; *command; command++)
        cli_candidate(out, (*command)->verb, (*command)->purpose);
}

/* Goes over the words to the left; what is wrong with them will be said when the line is run. */
static void take_left(struct cli_parser *parser)
{
    int rc;

    do {
        rc = cli_parse_step(parser, NULL);
    } while (rc != 0 && rc != -ENOMEM);
}

/* `xenwright help` takes a noun and a verb. */
static void complete_help(struct cli_parser *parser, const struct cli_group *const *groups,
                          struct cli_candidates *out)
{
    const struct cli_group *group;

    parser->leading = false;
    take_left(parser);
    if (parser->call->argument_count == 0) {
        offer_nouns(groups, out);
        return;
    }
    group = cli_find_group(groups, parser->call->arguments[0]);
    if (group && parser->call->argument_count == 1)
        offer_verbs(group, out);
}

/* Finds noun and verb among the words to the left; false where one of them does not exist. */
static bool find_command(struct cli_parser *parser, const struct cli_group *const *groups)
{
    struct cli_call *call = parser->call;

    take_left(parser);
    if (parser->next == parser->count)
        return true;
    call->group = cli_find_group(groups, parser->words[parser->next++]);
    if (!call->group)
        return false;
    take_left(parser);
    if (parser->next == parser->count)
        return true;
    call->command = cli_find_command(call->group, parser->words[parser->next++]);
    if (!call->command)
        return false;
    parser->leading = false;
    take_left(parser);
    return true;
}

static void complete_word(struct cli_parser *parser, const struct cli_group *const *groups,
                          const char *word)
{
    struct cli_call *call = parser->call;
    struct cli_candidates out = {.typed = word};

    take_left(parser);
    if (parser->next < parser->count && strcmp(parser->words[parser->next], "help") == 0) {
        parser->next++;
        complete_help(parser, groups, &out);
        return;
    }
    if (!find_command(parser, groups))
        return;
    if (parser->pending) {
        offer_value(call, &parser->pending->value, &out);
    } else if (word[0] == '-' && !parser->ended) {
        offer_options(call, word);
    } else if (call->command) {
        offer_value(call, cli_value_at(call->command, call->argument_count), &out);
    } else if (call->group) {
        offer_verbs(call->group, &out);
    } else {
        offer_nouns(groups, &out);
        cli_candidate(&out, "help", "Show the help of the program, a noun or a command");
    }
}

void cli_complete(const struct cli_group *const *groups, char **words, size_t count)
{
    struct cli_call call;
    struct cli_parser parser = {.call = &call, .words = words, .leading = true};

    if (count == 0 || cli_call_init(&call, count, NULL) < 0)
        return;
    parser.count = count - 1;
    complete_word(&parser, groups, words[count - 1]);
    cli_call_clear(&call);
}
