/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab guest, lab guest-exec: small Linux guests, made and used through xenwright-guest in dom0. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/progress.h"
#include "cli/call.h"
#include "cli/lab-remote.h"
#include "lab/run.h"

#define PROGRAM "/usr/libexec/xenwright/xenwright-guest"
#define ARGS_MAX 64
#define CREATE_TIMEOUT_MS (15 * 60 * 1000)
#define CHECK_TIMEOUT_MS 60000

struct arguments {
    const char *argv[ARGS_MAX + 1];
    size_t count;
};

static int push(struct arguments *arguments, const char *word, struct cli_call *call,
                struct xw_error *err)
{
    if (!word || arguments->count == ARGS_MAX)
        return cli_misuse(call, err, "too many options for a guest");
    arguments->argv[arguments->count++] = word;
    return 0;
}

/* "--NAME VALUE" for each time the option was given. */
static int push_option(struct arguments *arguments, const char *name, const char *flag,
                       struct cli_call *call, struct xw_error *err)
{
    const char *value;
    int rc = 0;

    for (size_t i = 0; !rc && (value = cli_strings(call, name, i)); i++) {
        rc = push(arguments, flag, call, err);
        if (!rc)
            rc = push(arguments, value, call, err);
    }
    return rc;
}

static int collect(struct cli_call *call, struct arguments *arguments, char memory[24],
                   struct xw_error *err)
{
    static const struct {
        const char *name, *flag;
    } lists[] = {{"disk", "--disk"}, {"vif", "--vif"}};
    static const struct {
        const char *name, *flag;
    } values[] = {{"type", "--type"}, {"vcpus", "--vcpus"}, {"ip", "--ip"}, {"extra", "--extra"}};
    uint64_t bytes = 0;
    int rc = push(arguments, PROGRAM, call, err);

    if (!rc)
        rc = push(arguments, "create", call, err);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) && !rc; i++) {
        const char *value = cli_string(call, values[i].name);

        if (value && !(rc = push(arguments, values[i].flag, call, err)))
            rc = push(arguments, value, call, err);
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !rc; i++)
        rc = push_option(arguments, lists[i].name, lists[i].flag, call, err);
    if (!rc)
        rc = cli_memory(call, "memory", &bytes, err);
    if (!rc && bytes) {
        snprintf(memory, 24, "%llu", (unsigned long long)(bytes >> 20));
        rc = push(arguments, "--memory", call, err);
        if (!rc)
            rc = push(arguments, memory, call, err);
    }
    if (!rc && cli_flag(call, "qga"))
        rc = push(arguments, "--qga", call, err);
    if (!rc && cli_flag(call, "paused"))
        rc = push(arguments, "--paused", call, err);
    return rc ? rc : push(arguments, cli_argument(call, 1), call, err);
}

static int no_package(const struct lab_record *record, struct xw_error *err)
{
    return xw_error_set(err, ENOENT,
                        "lab '%s': the package xenwright-guest is not in it: bring it up "
                        "with --package FILE.deb",
                        record->name);
}

static int create(struct cli_call *call, const struct lab_place *place,
                  const struct lab_record *record, const struct arguments *arguments,
                  struct xw_error *err)
{
    struct xw_progress *progress = cli_progress(call, cli_argument(call, 1), 0);
    /* What xl and libxl say is the reason when it fails: all of it goes through. */
    const struct lab_exec exec = {
        .argv = arguments->argv, .in = -1, .out = -1, .err = STDERR_FILENO};
    struct lab_exec_end end;
    int64_t begun = xw_clock_ms();
    int rc;

    xw_progress_step(progress, "creating the guest and waiting for it", -1);
    rc = lab_run(place, record, &exec, CREATE_TIMEOUT_MS, &end, err);
    xw_progress_end(progress);
    if (!rc && end.kind == LAB_EXIT_STATUS && end.value == 127)
        rc = no_package(record, err);
    else if (!rc && (end.kind != LAB_EXIT_STATUS || end.value != 0))
        rc = xw_error_set(err, EREMOTEIO, "lab '%s': guest '%s' could not be started (see above)",
                          record->name, cli_argument(call, 1));
    if (!rc)
        printf("guest '%s' runs in lab '%s' (after %.1f s)\n", cli_argument(call, 1), record->name,
               (double)(xw_clock_ms() - begun) / 1000);
    return rc;
}

static int run_guest(struct cli_call *call, struct xw_error *err)
{
    struct arguments arguments = {.count = 0};
    char memory[24];
    struct lab_place place;
    struct lab_record record;
    int rc = collect(call, &arguments, memory, err);

    if (!rc)
        rc = cli_lab_open_running(call, 0, &place, &record, err);
    if (rc)
        return rc;
    if (cli_flag(call, "dry-run")) {
        printf("would run in lab '%s':", record.name);
        for (size_t i = 0; i < arguments.count; i++)
            printf(" %s", arguments.argv[i]);
        putchar('\n');
    } else {
        rc = create(call, &place, &record, &arguments, err);
    }
    lab_record_free(&record);
    lab_place_close(&place);
    return rc;
}

static const char *const types[] = {"pv", "pvh", "hvm", NULL};

const struct cli_command cli_lab_guest = {
    .verb = "guest",
    .purpose = "Start a small Linux guest in a lab",
    .description = "The guest is Debian's kernel with busybox in memory, and programs to test "
                   "disks and networks with "
                   "(xw-test). It is an ordinary domain: 'xl' in the lab shows it and ends it. The "
                   "command returns when "
                   "'lab guest-exec' works in it.",
    .arguments = {.usage = "NAME GUEST",
                  .min = 2,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names},
                             {.kind = CLI_VALUE_NONE}}},
    .options =
        (const struct cli_option[]){
            {.name = "type",
             .letter = 't',
             .argument = "TYPE",
             .help = "pv (default), pvh or hvm",
             .value = {.kind = CLI_VALUE_WORDS, .words = types}},
            {.name = "memory",
             .letter = 'm',
             .argument = "SIZE",
             .help = "its memory, MiB unless given a unit"},
            {.name = "vcpus", .letter = 'c', .argument = "N", .help = "its processors (default 1)"},
            {.name = "disk",
             .letter = 'd',
             .argument = "SPEC",
             .flags = CLI_REPEAT,
             .help = "a disk, as in xl.cfg"},
            {.name = "vif",
             .letter = 'n',
             .argument = "SPEC",
             .flags = CLI_REPEAT,
             .help = "a network card, as in xl.cfg; 'bridge=xenbr0' is there for it"},
            {.name = "ip",
             .argument = "ADDRESS",
             .help = "address of its first network card, with its prefix: 10.88.0.5/24"},
            {.name = "extra",
             .argument = "WORDS",
             .help = "more words for its kernel's command line"},
            {.name = "qga", .help = "run qemu-guest-agent in it, on a channel"},
            {.name = "paused", .help = "leave it paused, and do not wait for it"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab guest lab web --type pv --vif bridge=xenbr0 --ip 10.88.0.5/24",
             "one with a network"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_guest,
};

/* 127: there is no such command in the guest, or else nothing in dom0 to ask the guest with. */
static int check_package(struct cli_call *call, struct xw_error *err)
{
    const char *const argv[] = {"test", "-e", PROGRAM, NULL};
    const struct lab_exec exec = {.argv = argv, .in = -1, .out = -1, .err = -1};
    struct lab_exec_end end;
    struct lab_place place;
    struct lab_record record;
    int rc = cli_lab_open_running(call, 0, &place, &record, err);

    if (rc)
        return rc;
    rc = lab_run(&place, &record, &exec, CHECK_TIMEOUT_MS, &end, err);
    if (!rc && end.value != 0)
        rc = no_package(&record, err);
    lab_record_free(&record);
    lab_place_close(&place);
    return rc;
}

static int run_guest_exec(struct cli_call *call, struct xw_error *err)
{
    char *const *command = cli_arguments(call, 2);
    bool tty = cli_flag(call, "tty");
    size_t given = cli_argument_count(call) - 2, count = 0;
    const char **argv = calloc(given + 8, sizeof(*argv));
    int rc;

    if (!argv)
        return xw_error_set(err, ENOMEM, "out of memory");
    argv[count++] = PROGRAM;
    argv[count++] = "exec";
    if (tty)
        argv[count++] = "-t";
    argv[count++] = cli_argument(call, 1);
    argv[count++] = "--";
    for (size_t i = 0; i < given; i++)
        argv[count++] = command[i];
    rc = cli_lab_remote(call, argv, tty, err);
    free(argv);
    return rc || call->status != 127 ? rc : check_package(call, err);
}

const struct cli_command cli_lab_guest_exec = {
    .verb = "guest-exec",
    .purpose = "Run a command in a guest made by 'lab guest'",
    .description = "As 'lab exec', one storey up: streams, signals and exit status pass through.",
    .arguments = {.usage = "NAME GUEST -- COMMAND [ARG]...",
                  .min = 3,
                  .max = CLI_ANY,
                  .fixed = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names},
                             {.kind = CLI_VALUE_NONE}}},
    .options =
        (const struct cli_option[]){
            {.name = "tty", .letter = 't', .help = "on a terminal of its own"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab guest-exec lab web -- uname -a", "a command in the guest"},
            {"xenwright lab guest-exec lab web -- xw-test pattern verify /dev/xvda",
             "check a disk from inside"},
            {0},
        },
    .flags = CLI_PASSTHROUGH,
    .run = run_guest_exec,
};
