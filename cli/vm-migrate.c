/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm migrate. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <xenwright/mirror.h>

#include "cli/domain.h"
#include "cli/operation.h"
#include "cli/snapshot.h"

static int migrate(struct cli_call *call, struct xw_snapshots *snapshots,
                   const struct xw_migrate *how, struct xw_error *err)
{
    struct xw_operation *operation = NULL;
    struct xw_migrated migrated;
    int rc = xw_migrate_storage(snapshots, how, &migrated, &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "migrating", operation, err);
    if (!rc && how->dry_run)
        printf("'%s' would be migrated to '%s' with %" PRIu32 " disks\n", how->domain, how->host,
               migrated.disks);
    else if (!rc)
        printf("'%s' runs on '%s', with %" PRIu32 " disks; for the end of the mirrors it waited "
               "%.1f ms; the images here are left as they were when it went\n",
               how->domain, how->host, migrated.disks, (double)migrated.switch_us / 1000);
    xw_operation_free(operation);
    return rc;
}

static int run_migrate(struct cli_call *call, struct xw_error *err)
{
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    struct xw_migrate how = {
        .domain = cli_argument(call, 0),
        .host = cli_argument(call, 1),
        .program = program,
        .dry_run = cli_flag(call, "dry-run"),
    };
    struct cli_snapshots open;
    int rc = cli_size(call, "bandwidth", &how.limit, err);

    if (!rc && !cli_flag(call, "storage"))
        rc = cli_misuse(call, err,
                        "say --storage; where both hosts share the disks, 'xl migrate' "
                        "does it");
    if (!rc && how.limit > INT64_MAX)
        rc = cli_misuse(call, err, "--bandwidth is too large");
    if (!rc && length < 0)
        rc = xw_error_set_errno(err, "/proc/self/exe");
    if (rc)
        return rc;
    program[length] = '\0';
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = migrate(call, open.snapshots, &how, err);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_vm_migrate = {
    .verb = "migrate",
    .purpose = "Move a running guest to another host, with its disks",
    .description =
        "The disks are mirrored to the same paths on HOST, through ssh, and then 'xl migrate' "
        "sends "
        "the guest. On any failure it runs on here. The images here stay, as they were when the "
        "guest went: remove them, or start nothing from them.",
    .arguments = {.usage = "DOMAIN HOST",
                  .min = 2,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "storage", .letter = 's', .help = "take the disks along"},
            {.name = "bandwidth",
             .letter = 'b',
             .argument = "SIZE",
             .help = "copy no more of a disk than this in a second"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright vm migrate --storage web other", "to the host that ssh knows as 'other'"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_migrate,
};
