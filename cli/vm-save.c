/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm save. The JSON is described in docs/formats/vm-json.md. */
#include <inttypes.h>
#include <stdio.h>

#include "base/table.h"
#include "cli/domain.h"
#include "cli/operation.h"
#include "cli/snapshot.h"
#include "cli/vm.h"

static int show_saved(struct cli_call *call, const struct xw_vm_saved *saved, struct xw_error *err)
{
    const struct xw_snapshot *snapshot = saved->snapshot;
    const char *domain = cli_argument(call, 0);
    char size[64];

    if (cli_flag(call, "json"))
        return cli_show_json(call,
                             json_pack("{s:s, s:s, s:s, s:I, s:b, s:o}",
                                       "file", saved->path,
                                       "snapshot", snapshot->name,
                                       "snapshot_id", snapshot->id,
                                       "size", (json_int_t)saved->bytes,
                                       "stays", saved->stays,
                                       "standstill_us",
                                       snapshot->standstill_us < 0
                                           ? json_null()
                                           : json_integer(snapshot->standstill_us)),
                             err);
    if (cli_flag(call, "dry-run")) {
        printf("would save '%s' to '%s', and its disks as snapshot '%s'\n", domain, saved->path,
               snapshot->name);
        return 0;
    }
    printf("'%s' is saved to '%s' (%s); its disks are kept as snapshot '%s'; it ", domain,
           saved->path, xw_size_text(saved->bytes, size), snapshot->name);
    if (!saved->stays)
        puts("runs no more");
    else if (cli_flag(call, "paused"))
        puts("is paused");
    else
        printf("runs on, and stood still for %.1f ms\n", (double)snapshot->standstill_us / 1000);
    return 0;
}

static int save(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    const struct xw_vm_save how = {
        .domain = cli_argument(call, 0),
        .path = cli_argument(call, 1),
        .name = cli_string(call, "name"),
        .checkpoint = cli_flag(call, "checkpoint"),
        .paused = cli_flag(call, "paused"),
        .stop_copy = cli_flag(call, "no-live"),
        .force = cli_flag(call, "force"),
        .dry_run = cli_flag(call, "dry-run"),
    };
    struct xw_operation *operation = NULL;
    struct xw_vm_saved saved;
    int rc = xw_vm_save(snapshots, &how, &saved, &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "saving", operation, err);
    if (!rc)
        rc = show_saved(call, &saved, err);
    xw_operation_free(operation);
    return rc;
}

static int run_save(struct cli_call *call, struct xw_error *err)
{
    const char *name = cli_string(call, "name");
    struct cli_snapshots open;
    int rc;

    if (cli_flag(call, "no-live") && !cli_flag(call, "checkpoint"))
        return cli_misuse(call, err, "--no-live is of use with --checkpoint only");
    if (name && xw_snapshot_name_check(name, err))
        return cli_misuse(call, err, "%s", err->message);
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = save(call, open.snapshots, err);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_vm_save = {
    .verb = "save",
    .purpose = "Save a running VM: its memory to a file, its disks as a snapshot",
    .description =
        "The disks are kept as they are at the instant of the memory, so that 'vm restore' can "
        "tell whether the two still belong together, and can put the disks back. FILE is there "
        "only once it is whole; 'xl restore' takes it too. Where anything fails, the guest goes "
        "on.",
    .arguments = {.usage = "DOMAIN FILE",
                  .min = 2,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names},
                             {.kind = CLI_VALUE_FILE}}},
    .options =
        (const struct cli_option[]){
            {.name = "checkpoint", .letter = 'c', .help = "the guest runs on afterwards"},
            {.name = "paused", .letter = 'p', .help = "the guest stays, paused"},
            {.name = "no-live",
             .help = "with --checkpoint: the guest stands still while its memory is written"},
            {.name = "name", .argument = "NAME", .help = "name of the snapshot of the disks"},
            {.name = "force", .letter = 'f', .help = "replace a FILE that is there already"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright vm save web /var/lib/xen/save/web", "and the guest is gone from the host"},
            {"xenwright vm save --checkpoint web /srv/web.save", "while it runs on"},
            {0},
        },
    .flags = CLI_SHOWS | CLI_CHANGES | CLI_LONG,
    .run = run_save,
};
