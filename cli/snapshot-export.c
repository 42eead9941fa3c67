/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/domain.h"
#include "cli/operation.h"
#include "cli/snapshot.h"

static const char *const formats[] = {"qcow2", "raw", NULL};

static int export(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    const char *format = cli_string(call, "format");
    const struct xw_snapshot_export how = {
        .domain = cli_argument(call, 0),
        .snapshot = cli_argument(call, 1),
        .vdev = cli_string(call, "disk"),
        .path = cli_argument(call, 2),
        .raw = format && !strcmp(format, "raw"),
    };
    struct xw_operation *operation = NULL;
    int rc = xw_snapshot_export(snapshots, &how, &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "exporting", operation, err);
    if (!rc)
        printf("'%s' is a copy of '%s' of '%s'\n", how.path, how.snapshot, how.domain);
    xw_operation_free(operation);
    return rc;
}

static int run_export(struct cli_call *call, struct xw_error *err)
{
    struct cli_snapshots open;
    int rc;

    if (cli_flag(call, "dry-run")) {
        printf("would copy '%s' of '%s' to '%s'\n", cli_argument(call, 1), cli_argument(call, 0),
               cli_argument(call, 2));
        return 0;
    }
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = export(call, open.snapshots, err);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_snapshot_export = {
    .verb = "export",
    .purpose = "Copy a disk of a snapshot to a file",
    .description =
        "The file stands on its own, for a backup or another host. The guest runs on meanwhile.",
    .arguments = {.usage = "DOMAIN SNAPSHOT FILE",
                  .min = 3,
                  .max = 3,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names},
                             {.kind = CLI_VALUE_CALLBACK, .list = cli_snapshot_names},
                             {.kind = CLI_VALUE_FILE}}},
    .options =
        (const struct cli_option[]){
            {.name = "disk",
             .letter = 'd',
             .argument = "VDEV",
             .help = "which, where there are several"},
            {.name = "format",
             .letter = 'f',
             .argument = "FORMAT",
             .help = "of the file: qcow2 (default) or raw",
             .value = {.kind = CLI_VALUE_WORDS, .words = formats}},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot export web before-upgrade /backup/web.qcow2 --disk xvda",
             "one disk of it"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_export,
};
