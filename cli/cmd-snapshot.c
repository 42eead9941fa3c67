/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `xenwright snapshot`. The JSON is described in docs/formats/snapshot-json.md. */
#include <errno.h>
#include <stdlib.h>

#include "cli/snapshot.h"

int cli_snapshots_open(struct cli_snapshots *ret, struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    int rc;

    *ret = (struct cli_snapshots){0};
    rc = xw_host_open(&ret->host, &why);
    /* Without Xen no VM runs, and the disks of those that do not can be worked on all the same. */
    if (rc && rc != -ENODEV)
        return xw_error_set(err, -rc, "%s", why.message);
    return xw_snapshots_open(getenv("XENWRIGHT_STATE"), ret->host, &ret->snapshots, err);
}

void cli_snapshots_close(struct cli_snapshots *open)
{
    xw_snapshots_close(open->snapshots);
    xw_host_close(open->host);
}

void cli_snapshot_names(const struct cli_call *call, struct cli_candidates *out)
{
    const char *domain = cli_argument(call, 0);
    struct xw_snapshot_vm *vm = NULL;
    struct cli_snapshots open;

    if (domain && !cli_snapshots_open(&open, NULL) &&
        !xw_snapshot_list(open.snapshots, domain, &vm, NULL)) {
        for (const struct xw_snapshot *at = vm->snapshots; at; at = at->next)
            cli_candidate(out, at->name, at->description[0] ? at->description : NULL);
    }
    xw_snapshot_vm_free(vm);
    cli_snapshots_close(&open);
}

const struct cli_group cli_group_snapshot = {
    .noun = "snapshot",
    .purpose = "Snapshots of the disks of VMs",
    .description = "A snapshot keeps all disks of a VM as they are at one point in time, while it "
                   "runs or not. "
                   "The path and the format of a disk never change, so xl goes on with the same "
                   "configuration. "
                   "What was interrupted is finished or undone by the next command.",
    .commands =
        (const struct cli_command *const[]){
            &cli_snapshot_create,
            &cli_snapshot_list,
            &cli_snapshot_show,
            &cli_snapshot_revert,
            &cli_snapshot_delete,
            &cli_snapshot_export,
            &cli_snapshot_prune,
            &cli_snapshot_rename,
            &cli_snapshot_convert,
            &cli_snapshot_recover,
            NULL,
        },
};
