/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm restore. The JSON is described in docs/formats/vm-json.md. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/operation.h"
#include "cli/snapshot.h"
#include "cli/vm.h"

static json_t *restored_json(const struct xw_vm_restored *restored)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:b, s:o}",
                     "name", restored->name,
                     "domid", restored->domid < 0 ? json_null() : json_integer(restored->domid),
                     "snapshot", restored->snapshot->name,
                     "snapshot_id", restored->snapshot->id,
                     "disks_reverted", restored->reverted,
                     "kept", restored->kept[0] ? json_string(restored->kept) : json_null());
}

static int show_restored(struct cli_call *call, const struct xw_vm_restored *restored,
                         struct xw_error *err)
{
    if (cli_flag(call, "json"))
        return cli_show_json(call, restored_json(restored), err);
    if (cli_flag(call, "dry-run")) {
        printf("would restore '%s'%s%s%s\n", restored->name,
               restored->reverted ? ", once its disks are put back to '" : "",
               restored->reverted ? restored->snapshot->name : "", restored->reverted ? "'" : "");
        return 0;
    }
    if (restored->reverted)
        printf("the disks of '%s' are put back to '%s'; ", restored->name,
               restored->snapshot->name);
    if (restored->kept[0])
        printf("the state before is kept as '%s'; ", restored->kept);
    printf("'%s' is restored as domain %" PRId64 "%s\n", restored->name, restored->domid,
           cli_flag(call, "paused") ? ", paused" : "");
    return 0;
}

static int restore(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    const struct xw_vm_restore how = {
        .path = cli_argument(call, 0),
        .revert_disks = cli_flag(call, "revert-disks"),
        .discard_current = cli_flag(call, "discard-current"),
        .paused = cli_flag(call, "paused"),
        .dry_run = cli_flag(call, "dry-run"),
    };
    struct xw_operation *operation = NULL;
    struct xw_vm_restored restored;
    int rc = xw_vm_restore(snapshots, &how, &restored, &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "restoring", operation, err);
    if (!rc)
        rc = show_restored(call, &restored, err);
    xw_operation_free(operation);
    return rc;
}

static int run_restore(struct cli_call *call, struct xw_error *err)
{
    struct cli_snapshots open;
    int rc;

    if (cli_flag(call, "discard-current") && !cli_flag(call, "revert-disks"))
        return cli_misuse(call, err, "--discard-current is of use with --revert-disks only");
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = restore(call, open.snapshots, err);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_vm_restore = {
    .verb = "restore",
    .purpose = "Have a VM go on from a file of 'vm save'",
    .description =
        "Refuses where the disks have been written to since: memory of another time than the disks "
        "would destroy the guest's file systems. They can be put back first: their present state "
        "is kept as a snapshot of its own then, unless it is to be discarded.",
    .arguments = {.usage = "FILE", .min = 1, .max = 1, .values = {{.kind = CLI_VALUE_FILE}}},
    .options =
        (const struct cli_option[]){
            {.name = "revert-disks", .help = "put disks back that were written to since"},
            {.name = "discard-current",
             .help = "with --revert-disks: do not keep their present state"},
            {.name = "paused", .letter = 'p', .help = "do not let the guest run yet"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright vm restore /var/lib/xen/save/web", "go on where it was saved"},
            {"xenwright vm restore --revert-disks /srv/web.save",
             "also where its disks were used since"},
            {0},
        },
    .flags = CLI_SHOWS | CLI_CHANGES | CLI_LONG,
    .run = run_restore,
};
