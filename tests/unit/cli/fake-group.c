/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command group that does nothing but show what it was given: the tests of the command line use
 * it in place of the real groups, so that they see every kind of option and outcome.
 */
#include "fake-group.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/progress.h"
#include "base/table.h"
#include "cli/output.h"

/* "key=value" lines of all that a call holds. */
static int run_show(struct cli_call *call, struct xw_error *err)
{
    uint64_t count = 1, size = 0, memory = 0;
    json_t *json, *tags = json_array(), *arguments = json_array();
    const char *tag;
    int rc = cli_number(call, "count", 1, 8, &count, err);

    if (rc == 0)
        rc = cli_size(call, "size", &size, err);
    if (rc == 0)
        rc = cli_memory(call, "memory", &memory, err);
    for (size_t i = 0; (tag = cli_strings(call, "tag", i)); i++)
        json_array_append_new(tags, json_string(tag));
    for (size_t i = 0; i < cli_argument_count(call); i++)
        json_array_append_new(arguments, json_string(cli_argument(call, i)));
    json = json_pack("{s:b, s:I, s:I, s:I, s:s?, s:o, s:o}", "all", cli_flag(call, "all"), "count",
                     (json_int_t)count, "size", (json_int_t)size, "memory", (json_int_t)memory,
                     "kind", cli_string(call, "kind"), "tags", tags, "arguments", arguments);
    if (rc == 0)
        return cli_show_json(call, json, err);
    json_decref(json);
    return rc;
}

static void list_widgets(const struct cli_call *call, struct cli_candidates *out)
{
    const char *first = cli_argument(call, 0);

    cli_candidate(out, "red", "the red one");
    cli_candidate(out, "round", NULL);
    cli_candidate(out, "blue:1", "with a colon");
    cli_candidate(out, "blue:2", NULL);
    cli_candidate(out, "two\tcolumns", "never shown: it would look like a word and its help");
    if (first)
        cli_candidate(out, first, "the argument before");
}

static const char *const kinds[] = {"pv", "pvh", "hvm", NULL};

static const struct cli_command show = {
    .verb = "show",
    .purpose = "Show what was given",
    .description = "Shows every option and every argument as JSON, which is what makes this "
                   "command useful in tests.\n\nA second paragraph.",
    .arguments = {.usage = "WIDGET [FILE]...",
                  .min = 1,
                  .max = CLI_ANY,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = list_widgets},
                             {.kind = CLI_VALUE_FILE}}},
    .options =
        (const struct cli_option[]){
            {.name = "all", .letter = 'a', .help = "a switch"},
            {.name = "brief", .letter = 'b', .help = "another switch"},
            {.name = "count", .letter = 'n', .argument = "N", .help = "a number from 1 to 8"},
            {.name = "size", .argument = "SIZE", .help = "a size in bytes"},
            {.name = "memory", .letter = 'm', .argument = "SIZE", .help = "a size in MiB"},
            {.name = "tag",
             .letter = 't',
             .argument = "TAG",
             .help = "may be given several times",
             .flags = CLI_REPEAT},
            {.name = "kind",
             .argument = "KIND",
             .help = "pv, pvh or hvm",
             .value = {.kind = CLI_VALUE_WORDS, .words = kinds}},
            {.name = "release",
             .letter = 'r',
             .argument = "RELEASE",
             .help = "a release of Debian, with an explanation so long that it has to be wrapped",
             .value = {.kind = CLI_VALUE_RELEASE}},
            {.name = "into",
             .argument = "DIRECTORY",
             .help = "a directory",
             .value = {.kind = CLI_VALUE_DIRECTORY}},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright widget show red --kind pv", "what is known about the red widget"},
            {0},
        },
    .flags = CLI_SHOWS,
    .run = run_show,
};

static int run_list(struct cli_call *call, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {.header = "NAME", .key = "name"},
        {.header = "SIZE", .key = "size", .kind = XW_COLUMN_SIZE},
    };

    return cli_show_rows(call, columns, 2,
                         json_pack("[{s:s, s:i}, {s:s, s:i}]", "name", "red", "size", 1536, "name",
                                   "round", "size", 7),
                         err);
}

static const struct cli_command list = {
    .verb = "list",
    .purpose = "List the widgets",
    .examples = (const struct cli_example[]){{"xenwright widget list", "all widgets"}, {0}},
    .flags = CLI_SHOWS,
    .run = run_list,
};

/* Time flies: progress is due at once. */
static int64_t hasty_clock(void)
{
    static int64_t now;

    return now += 10000;
}

/* What kind of end: `widget fail partly`. */
static int run_fail(struct cli_call *call, struct xw_error *err)
{
    const struct xw_progress_setup setup = {.clock = hasty_clock, .plain = true};
    struct xw_progress *progress = xw_progress_begin(&setup, "widget", 0);
    const char *how = cli_argument(call, 0);

    xw_progress_step(progress, "at it", 50);
    xw_log(XW_LOG_WARNING, "a warning");
    xw_log(XW_LOG_NOTE, "a note");
    xw_log(XW_LOG_DEBUG, "a debug message");
    xw_progress_end(progress);
    if (strcmp(how, "not") == 0)
        return 0;
    if (strcmp(how, "misuse") == 0)
        return cli_misuse(call, err, "'%s' cannot be used here", how);
    if (strcmp(how, "silently") == 0)
        return -ENOTDIR;
    if (strcmp(how, "partly") == 0)
        cli_partly(call);
    return xw_error_set(err, ENOENT, "widget '%s': not there, make one first", how);
}

static const struct cli_command fail = {
    .verb = "fail",
    .purpose = "Fail in one of the known ways",
    .arguments = {.usage = "HOW", .min = 1, .max = 1},
    .examples = (const struct cli_example[]){{"xenwright widget fail partly", "status 3"}, {0}},
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_fail,
};

/* Shows the other program's words; its status is how many there are. */
static int run_exec(struct cli_call *call, struct xw_error *err)
{
    char *const *words = cli_arguments(call, 1);
    int count = 0;

    if (strcmp(cli_argument(call, 0), "broken") == 0)
        return xw_error_set(err, EIO, "widget 'broken': it does not answer");
    for (; words[count]; count++)
        puts(words[count]);
    cli_exit_status(call, count);
    return 0;
}

static const struct cli_command exec = {
    .verb = "exec",
    .purpose = "Run a program in a widget",
    .arguments = {.usage = "WIDGET -- COMMAND [ARG]...",
                  .min = 2,
                  .max = CLI_ANY,
                  .fixed = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = list_widgets}}},
    .options =
        (const struct cli_option[]){{.name = "tty", .letter = 't', .help = "a terminal"}, {0}},
    .examples = (const struct cli_example[]){{"xenwright widget exec red -- ls -l", "list"}, {0}},
    .flags = CLI_PASSTHROUGH,
    .run = run_exec,
};

/* Writes for ever, or until told otherwise. */
static int run_yes(struct cli_call *call, struct xw_error *err)
{
    (void)call;
    (void)err;
    while (!ferror(stdout))
        cli_write("yes\n", 4);
    return 0;
}

static const struct cli_command yes = {
    .verb = "yes",
    .purpose = "Write without end",
    .examples = (const struct cli_example[]){{"xenwright widget yes", "yes, yes, yes"}, {0}},
    .run = run_yes,
};

const struct cli_group cli_group_widget = {
    .noun = "widget",
    .purpose = "Widgets, for tests",
    .description = "Widgets exist in tests only.",
    .commands = (const struct cli_command *const[]){&show, &list, &fail, &exec, &yes, NULL},
};

const struct cli_group *const cli_groups[] = {&cli_group_widget, NULL};
const struct cli_service cli_services[] = {{NULL, NULL}};
