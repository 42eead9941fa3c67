/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "cli/domain.h"
#include "cli/operation.h"
#include "cli/snapshot.h"

static const char *const sources[] = {"raw", "qcow", "qed", "vhd", NULL};
static const char *const targets[] = {"qcow2", NULL};

static void print_planned(const struct xw_snapshot_converted *converted)
{
    printf("would convert '%s' from %s to qcow2", converted->path, converted->from);
    if (converted->old[0])
        printf(", and keep the old image as '%s'", converted->old);
    if (converted->backup[0])
        printf("; would change its format in '%s'", converted->config);
    putchar('\n');
}

static void print_converted(const struct xw_snapshot_converted *converted)
{
    printf("'%s' is qcow2 now", converted->path);
    if (converted->old[0])
        printf("; the %s image is kept as '%s'", converted->from, converted->old);
    if (converted->backup[0])
        printf("; '%s' says so, and is kept as it was as '%s'", converted->config,
               converted->backup);
    putchar('\n');
}

static int convert(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    const struct xw_snapshot_convert how = {
        .domain = cli_argument(call, 0),
        .vdev = cli_string(call, "disk"),
        .from = cli_string(call, "from"),
        .edit_config = cli_flag(call, "edit-config"),
        .discard_old = cli_flag(call, "discard-old"),
        .dry_run = cli_flag(call, "dry-run"),
    };
    struct xw_operation *operation = NULL;
    struct xw_snapshot_converted converted;
    int rc = xw_snapshot_convert(snapshots, &how, &converted, &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "converting", operation, err);
    if (!rc)
        (cli_flag(call, "dry-run") ? print_planned : print_converted)(&converted);
    xw_operation_free(operation);
    return rc;
}

static int run_convert(struct cli_call *call, struct xw_error *err)
{
    struct cli_snapshots open;
    int rc;

    if (!cli_string(call, "disk"))
        return cli_misuse(call, err, "say which disk by --disk");
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = convert(call, open.snapshots, err);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_snapshot_convert = {
    .verb = "convert",
    .purpose = "Make a disk an image of a format that has snapshots",
    .description =
        "The VM has to be off. The new image is compared with the old one before it takes its "
        "path. The VM's configuration has to say the new format.",
    .arguments = {.usage = "DOMAIN",
                  .min = 1,
                  .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "disk", .letter = 'd', .argument = "VDEV", .help = "which disk"},
            {.name = "from",
             .argument = "FORMAT",
             .help = "what it is, where the configuration says qcow2 already",
             .value = {.kind = CLI_VALUE_WORDS, .words = sources}},
            {.name = "to",
             .argument = "FORMAT",
             .help = "what it is to be: qcow2 (default)",
             .value = {.kind = CLI_VALUE_WORDS, .words = targets}},
            {.name = "edit-config",
             .help = "change the format in the configuration file, and keep that as it was"},
            {.name = "discard-old", .help = "do not keep the old image"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot convert /etc/xen/web.cfg --disk xvda --edit-config",
             "the disk, and its format in the configuration"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_convert,
};
