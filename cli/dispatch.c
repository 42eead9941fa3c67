/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/dispatch.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/complete.h"
#include "cli/dump.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/parse.h"
#include "cli/suggest.h"
#include "config.h"

enum { STATUS_FAILED = 1, STATUS_MISUSE = 2, STATUS_PARTLY = 3, STATUS_PASSTHROUGH_FAILED = 125 };

const struct cli_group *cli_find_group(const struct cli_group *const *groups, const char *noun)
{
    for (; *groups; groups++) {
        if (strcmp((*groups)->noun, noun) == 0)
            return *groups;
    }
    return NULL;
}

const struct cli_command *cli_find_command(const struct cli_group *group, const char *verb)
{
    for (const struct cli_command *const *command = group->commands; *command; command++) {
        if (strcmp((*command)->verb, verb) == 0)
            return *command;
    }
    return NULL;
}

static int take_group(struct cli_call *call, const struct cli_group *const *groups,
                      const char *noun, struct xw_error *err)
{
    char hint[128];

    call->group = cli_find_group(groups, noun);
    if (call->group)
        return 0;
    return cli_misuse(call, err, "unknown noun '%s'%s", noun,
                      cli_suggest_noun(groups, noun, hint, sizeof(hint)));
}

static int take_command(struct cli_call *call, const char *verb, struct xw_error *err)
{
    char hint[128];

    call->command = cli_find_command(call->group, verb);
    if (call->command)
        return 0;
    return cli_misuse(call, err, "unknown verb '%s'%s", verb,
                      cli_suggest_verb(call->group, verb, hint, sizeof(hint)));
}

static int show_version(struct cli_call *call, struct xw_error *err)
{
    if (cli_flag(call, "json"))
        return cli_show_json(call, json_pack("{s:s}", "version", XENWRIGHT_VERSION), err);
    puts("xenwright " XENWRIGHT_VERSION);
    return 0;
}

/* xenwright help [NOUN [VERB]] */
static int run_help(struct cli_parser *parser, const struct cli_group *const *groups,
                    struct xw_error *err)
{
    struct cli_call *call = parser->call;
    int rc = 1;

    parser->leading = false;
    while (rc > 0)
        rc = cli_parse_step(parser, err);
    if (rc == 0 && call->argument_count > 2)
        return cli_misuse(call, err, "help: one argument too many, '%s', expected [NOUN [VERB]]",
                          call->arguments[2]);
    if (rc == 0 && call->argument_count > 0)
        rc = take_group(call, groups, call->arguments[0], err);
    if (rc == 0 && call->argument_count > 1)
        rc = take_command(call, call->arguments[1], err);
    if (rc == 0)
        cli_help(call, groups);
    return rc;
}

static void print_message(void *opaque, enum xw_log_level level, const char *message)
{
    (void)opaque;
    cli_complain("%s: %s", xw_log_level_name(level), message);
}

static void set_verbosity(const struct cli_call *call)
{
    static const enum xw_log_level levels[] = {XW_LOG_WARNING, XW_LOG_NOTE, XW_LOG_DEBUG};
    size_t count = cli_count(call, "verbose");

    xw_log_set_sink(print_message, NULL, levels[count < 2 ? count : 2]);
}

/* The options before the next word, which is returned in *ret_word (NULL: there is none). */
static int take_leading(struct cli_parser *parser, const char **ret_word, struct xw_error *err)
{
    int rc = cli_parse(parser, err);

    *ret_word = NULL;
    if (rc == 0 && parser->next < parser->count)
        *ret_word = parser->words[parser->next];
    return rc;
}

/* Are the words an order to show help or version, up to where they are read? */
static bool answered(struct cli_call *call, const struct cli_group *const *groups, int *rc,
                     struct xw_error *err)
{
    if (cli_flag(call, "help"))
        cli_help(call, groups);
    else if (!call->command && cli_flag(call, "version"))
        *rc = show_version(call, err);
    else
        return false;
    return true;
}

static int run_command(struct cli_parser *parser, const struct cli_group *const *groups,
                       struct xw_error *err)
{
    struct cli_call *call = parser->call;
    int rc;

    parser->leading = false;
    rc = cli_parse(parser, err);
    if (rc < 0 || answered(call, groups, &rc, err))
        return rc;
    set_verbosity(call);
    return call->command->run(call, err);
}

static int run_words(struct cli_parser *parser, const struct cli_group *const *groups,
                     struct xw_error *err)
{
    struct cli_call *call = parser->call;
    const char *word;
    int rc = take_leading(parser, &word, err);

    if (rc < 0 || answered(call, groups, &rc, err))
        return rc;
    if (!word)
        return cli_misuse(call, err, "no command was given");
    if (cli_flag(call, "json"))
        return cli_misuse(call, err, "--json stands behind the verb, except with --version");
    parser->next++;
    if (strcmp(word, "help") == 0)
        return run_help(parser, groups, err);
    rc = take_group(call, groups, word, err);
    if (rc == 0)
        rc = take_leading(parser, &word, err);
    if (rc < 0 || answered(call, groups, &rc, err))
        return rc;
    if (!word)
        return cli_misuse(call, err, "no verb was given");
    parser->next++;
    rc = take_command(call, word, err);
    return rc < 0 ? rc : run_command(parser, groups, err);
}

/* Says what went wrong, in one line. */
static void report(const struct cli_call *call, int rc, const struct xw_error *err)
{
    const char *name = cli_call_name(call);
    const char *message = err->message[0] ? err->message : strerror(-rc);

    if (!call->misuse)
        cli_complain("%s", message);
    else if (call->group)
        cli_complain("%s: %s; see '%s --help'", name + strlen("xenwright "), message, name);
    else
        cli_complain("%s; see '%s --help'", message, name);
}

static int status_of(const struct cli_call *call, int rc)
{
    if (call->command && (call->command->flags & CLI_PASSTHROUGH))
        return rc == 0 ? call->status : STATUS_PASSTHROUGH_FAILED;
    if (rc == 0)
        return 0;
    return call->misuse ? STATUS_MISUSE : call->partly ? STATUS_PARTLY : STATUS_FAILED;
}

static int run(const struct cli_group *const *groups, size_t count, char **words)
{
    struct xw_error err = XW_ERROR_INIT;
    struct cli_call call = {0};
    struct cli_parser parser = {.call = &call, .words = words, .count = count, .leading = true};
    int rc = cli_call_init(&call, count, &err);
    int status;

    if (rc == 0)
        rc = run_words(&parser, groups, &err);
    status = status_of(&call, rc);
    if (rc < 0)
        report(&call, rc, &err);
    rc = cli_streams_finish(&err);
    if (rc < 0) {
        cli_complain("%s", err.message);
        if (status == 0)
            status = status_of(&call, rc);
    }
    cli_call_clear(&call);
    return status;
}

static const struct cli_service *find_service(const char *name)
{
    const struct cli_service *service = cli_services;

    while (service->name && strcmp(service->name, name) != 0)
        service++;
    return service->name ? service : NULL;
}

/* The commands that scripts and this program itself use: no options, no help. */
static bool run_hidden(const struct cli_group *const *groups, size_t count, char **words,
                       int *ret_status)
{
    struct xw_error err = XW_ERROR_INIT;
    const struct cli_service *service = count == 2 ? find_service(words[0]) : NULL;
    int rc = 0;

    if (service)
        rc = service->run(words[1], &err);
    else if (count > 0 && strcmp(words[0], "__complete") == 0)
        cli_complete(groups, words + 1, count - 1);
    else if (count == 2 && strcmp(words[0], "__commands") == 0 && strcmp(words[1], "--json") == 0)
        rc = cli_dump(groups, &err);
    else
        return false;
    if (rc == 0)
        rc = cli_streams_finish(&err);
    if (rc < 0)
        cli_complain("%s", err.message);
    *ret_status = rc < 0 ? STATUS_FAILED : 0;
    return true;
}

int cli_main(const struct cli_group *const *groups, int argc, char **argv)
{
    size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    int status;

    cli_streams_prepare();
    setlocale(LC_CTYPE, "");
    if (!run_hidden(groups, count, argv + 1, &status))
        status = run(groups, count, argv + 1);
    return status;
}
