/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab up: from what the user asked for to what lab_up() takes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/lab-recipe.h"
#include "cli/lab.h"
#include "lab/plan.h"

#define DEFAULT_NAME "lab"
#define DEFAULT_CPUS 2
#define DEFAULT_MEMORY_MIB 4096
#define LIST_MAX 32

/* A file the user names, as an absolute path: QEMU runs in another folder. */
static int absolute_file(struct cli_call *call, const char *option, char *out, size_t size,
                         struct xw_error *err)
{
    const char *given = cli_string(call, option);
    char path[PATH_MAX];

    if (!given)
        return 0;
    if (!realpath(given, path))
        return xw_error_set_errno(err, "--%s %s", option, given);
    if (strlen(path) >= size)
        return xw_error_set(err, ENAMETOOLONG, "--%s %s: the path is too long", option, given);
    memcpy(out, path, strlen(path) + 1);
    return 0;
}

static int text_option(struct cli_call *call, const char *option, char *out, size_t size,
                       struct xw_error *err)
{
    const char *given = cli_string(call, option);

    if (given && strlen(given) >= size)
        return cli_misuse(call, err, "--%s is longer than %zu bytes", option, size - 1);
    if (given)
        memcpy(out, given, strlen(given) + 1);
    return 0;
}

static int machine_from(struct cli_call *call, struct lab_machine *machine, struct xw_error *err)
{
    uint64_t cpus = DEFAULT_CPUS, memory = (uint64_t)DEFAULT_MEMORY_MIB << 20;
    int rc = cli_number(call, "cpus", 1, 64, &cpus, err);

    if (!rc)
        rc = cli_memory(call, "memory", &memory, err);
    if (!rc && (memory < (uint64_t)1024 << 20 || memory > (uint64_t)1 << 40))
        rc = cli_misuse(call, err, "--memory: a lab needs 1024 MiB or more");
    if (!rc)
        rc = absolute_file(call, "xen", machine->xen, sizeof(machine->xen), err);
    if (!rc)
        rc = absolute_file(call, "kernel", machine->kernel, sizeof(machine->kernel), err);
    if (!rc)
        rc = text_option(call, "xen-args", machine->xen_args, sizeof(machine->xen_args), err);
    if (!rc)
        rc = text_option(call, "dom0-args", machine->dom0_args, sizeof(machine->dom0_args), err);
    machine->cpus = (unsigned)cpus;
    machine->memory = (unsigned)(memory >> 20);
    machine->icount = cli_flag(call, "icount");
    return rc;
}

/* "FILE" or "FILE,format=qcow2": an entry of lab.json (lab/plug.c). */
static int add_disk(json_t *disks, const char *given, struct cli_call *call, struct xw_error *err)
{
    char file[PATH_MAX], path[PATH_MAX];
    json_t *disk;
    const char *comma = strrchr(given, ','), *format = "raw";

    if (comma && strncmp(comma, ",format=", 8) == 0)
        format = comma + 8;
    else
        comma = given + strlen(given);
    if (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0)
        return cli_misuse(call, err, "--disk %s: format is raw or qcow2", given);
    snprintf(file, sizeof(file), "%.*s", (int)(comma - given), given);
    if (!realpath(file, path))
        return xw_error_set_errno(err, "--disk %s", file);
    disk = json_pack("{s:s, s:s}", "file", path, "format", format);
    if (!disk)
        return xw_error_set(err, EILSEQ, "--disk %s: the path is not UTF-8, which QEMU's monitor "
                            "needs", file);
    json_array_append_new(disks, disk);
    return 0;
}

static int disks_from(struct cli_call *call, json_t *disks, struct xw_error *err)
{
    const char *given;
    int rc = 0;

    for (size_t i = 0; !rc && (given = cli_strings(call, "disk", i)); i++)
        rc = add_disk(disks, given, call, err);
    return rc;
}

/* All that was given with an option; the list ends in NULL. */
static int list_from(struct cli_call *call, const char *option, const char *ret[LIST_MAX + 1],
                     struct xw_error *err)
{
    for (size_t i = 0; (ret[i] = cli_strings(call, option, i)); i++)
        if (i == LIST_MAX)
            return cli_misuse(call, err, "--%s can be given %d times at most", option, LIST_MAX);
    return 0;
}

static int packages_from(struct cli_call *call, const char *ret[LIST_MAX + 1], struct xw_error *err)
{
    int rc = list_from(call, "package", ret, err);

    for (size_t i = 0; !rc && ret[i]; i++)
        if (access(ret[i], R_OK) < 0)
            rc = xw_error_set_errno(err, "--package %s", ret[i]);
    return rc;
}

static void tell(const struct cli_call *call, const struct lab_record *record,
                 enum lab_up_outcome outcome, int64_t took_ms)
{
    (void)call;
    if (outcome == LAB_UP_ALREADY)
        printf("lab '%s' is running already\n", record->name);
    else
        printf("lab '%s' is up (Debian %s, %u CPUs, %u MiB; %s in %.1f s)\n", record->name,
               record->release, record->machine.cpus, record->machine.memory,
               outcome == LAB_UP_BOOTED ? "booted" : "restored", (double)took_ms / 1000);
}

static int raise_wished(struct cli_call *call, const struct lab_place *place,
                        const struct lab_data *data, struct lab_wish *wish, struct xw_error *err)
{
    struct xw_progress *progress = cli_progress(call, wish->name, 0);
    const struct lab_reporter reporter = cli_lab_reporter(progress);
    int64_t begun = xw_clock_ms();
    enum lab_up_outcome outcome;
    struct lab_record record;
    int rc = lab_up(place, data, wish, &reporter, &record, &outcome, err);

    xw_progress_end(progress);
    if (!rc) {
        tell(call, &record, outcome, xw_clock_ms() - begun);
        lab_record_free(&record);
    }
    return rc;
}

static void print_plan(const char *name, const struct lab_recipe *recipe,
                       const struct lab_plan *plan)
{
    const char *release = recipe->release->codename;

    if (plan->running)
        printf("lab '%s' is running already\n", name);
    else if (!plan->image[0])
        printf("would make an image of %s from packages, boot it, keep that state, and start lab "
               "'%s'\n", release, name);
    else if (!plan->state[0])
        printf("would boot lab '%s' from image %s\n", name, plan->image);
    else if (!plan->restores)
        printf("would boot image %s, keep that as state %s, and start lab '%s' from it\n",
               plan->image, plan->state, name);
    else
        printf("would start lab '%s' from state %s\n", name, plan->state);
}

static int plan(const struct lab_place *place, const struct lab_data *data, struct lab_wish *wish,
                struct xw_error *err)
{
    struct lab_plan planned;
    int rc = lab_up_plan(place, data, wish, &planned, err);

    if (!rc)
        print_plan(wish->name, wish->recipe, &planned);
    return rc;
}

static int run_up(struct cli_call *call, struct xw_error *err)
{
    struct lab_place place = LAB_PLACE_INIT;
    struct lab_data data;
    struct lab_recipe recipe = {0};
    const char *networks[LIST_MAX + 1], *packages[LIST_MAX + 1];
    xw_auto_json json_t *disks = json_array();
    const char *name = cli_argument(call, 0);
    struct lab_wish wish = {.name = name ? name : DEFAULT_NAME, .recipe = &recipe,
                            .qemu = cli_string(call, "qemu"), .fresh = cli_flag(call, "fresh"),
                            .bare = cli_flag(call, "bare"), .gdb = cli_flag(call, "gdb"),
                            .disks = disks, .networks = networks, .packages = packages,
                            .mirror = cli_string(call, "mirror")};
    int rc = lab_name_check("lab", wish.name, err);

    if (rc)
        return cli_misuse(call, err, "%s", err ? err->message : "");
    rc = list_from(call, "link", networks, err);
    if (!rc)
        rc = packages_from(call, packages, err);
    if (!rc)
        rc = lab_data_find(&data, err);
    if (!rc)
        rc = cli_lab_recipe(call, &data, &recipe, err);
    if (!rc)
        rc = machine_from(call, &wish.machine, err);
    if (!rc)
        rc = disks_from(call, disks, err);
    if (!rc)
        rc = lab_place_open(&place, err);
    if (!rc && cli_flag(call, "dry-run"))
        rc = plan(&place, &data, &wish, err);
    else if (!rc)
        rc = raise_wished(call, &place, &data, &wish, err);
    lab_place_close(&place);
    lab_recipe_free(&recipe);
    return rc;
}

const struct cli_command cli_lab_up = {
    .verb = "up",
    .purpose = "Bring up a Xen host",
    .description =
        "Wakes a lab from a saved state in about a second. Where there is no state that fits (the "
        "first time, with other processors, memory or files to boot, after an upgrade of QEMU) the "
        "host is booted once and its state kept. The image of the release is made first if there "
        "is none.\n\n"
        "A lab that runs already is left as it is.",
    .arguments = {.usage = "[NAME]",
                  .min = 0,
                  .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "release",
             .letter = 'r',
             .argument = "RELEASE",
             .help = "trixie (Debian 13; default) or bookworm",
             .value = {.kind = CLI_VALUE_RELEASE}},
            {.name = "with",
             .letter = 'w',
             .argument = "LAYER",
             .flags = CLI_REPEAT,
             .help = "add a set of packages, such as lvm, ceph or ovs",
             .value = {.kind = CLI_VALUE_CALLBACK, .list = cli_lab_layers}},
            {.name = "cpus", .letter = 'c', .argument = "N", .help = "processors (default 2)"},
            {.name = "memory",
             .letter = 'm',
             .argument = "SIZE",
             .help = "memory of the host, MiB unless given a unit (default 4096)"},
            {.name = "disk",
             .letter = 'd',
             .argument = "FILE",
             .flags = CLI_REPEAT,
             .help = "plug in a raw disk of yours (or FILE,format=qcow2); it is written to",
             .value = {.kind = CLI_VALUE_FILE}},
            {.name = "link",
             .letter = 'l',
             .argument = "NET",
             .flags = CLI_REPEAT,
             .help = "join the network NET, which all labs that join it share"},
            {.name = "fresh", .help = "boot instead of restoring a saved state"},
            {.name = "bare", .help = "do not put this build of xenwright into dom0"},
            {.name = "package",
             .letter = 'p',
             .argument = "FILE",
             .flags = CLI_REPEAT,
             .help = "unpack this .deb in dom0, such as xenwright-guest",
             .value = {.kind = CLI_VALUE_FILE}},
            {.name = "xen",
             .argument = "FILE",
             .help = "boot this Xen (plain or gzip)",
             .value = {.kind = CLI_VALUE_FILE}},
            {.name = "xen-args", .argument = "ARGS", .help = "more arguments for Xen"},
            {.name = "kernel",
             .argument = "FILE",
             .help = "boot this kernel as dom0's",
             .value = {.kind = CLI_VALUE_FILE}},
            {.name = "dom0-args", .argument = "ARGS", .help = "more arguments for dom0's kernel"},
            {.name = "gdb",
             .help = "let a debugger attach to the socket 'gdb' in the lab's folder"},
            {.name = "icount", .help = "count instructions for time: deterministic, slower"},
            {.name = "qemu",
             .argument = "PROGRAM",
             .help = "use this qemu-system-x86_64",
             .value = {.kind = CLI_VALUE_FILE}},
            {.name = "mirror",
             .argument = "URI",
             .help = "where packages come from, if an image is made"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab up", "a lab named 'lab'"},
            {"xenwright lab up a --link blue", "one that shares the network 'blue' with others"},
            {"xenwright lab up dev --xen xen/xen.gz --xen-args 'sched=credit'",
             "a Xen of your own"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_up,
};
