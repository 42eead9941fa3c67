/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands of `xenwright snapshot` share. */
#ifndef XENWRIGHT_CLI_SNAPSHOT_H
#define XENWRIGHT_CLI_SNAPSHOT_H

#include <xenwright/host.h>
#include <xenwright/snapshot.h>

#include "cli/command.h"

struct cli_snapshots {
    struct xw_host *host; /* NULL: this is no Xen host, only VMs that do not run can be worked on */
    struct xw_snapshots *snapshots;
};

/* Close also after a failure. The records are at $XENWRIGHT_STATE, where that is set. */
int cli_snapshots_open(struct cli_snapshots *ret, struct xw_error *err);
void cli_snapshots_close(struct cli_snapshots *open);

/* Completion: snapshots of the VM named first. */
void cli_snapshot_names(const struct cli_call *call, struct cli_candidates *out);

extern const struct cli_command cli_snapshot_create, cli_snapshot_list, cli_snapshot_show;
extern const struct cli_command cli_snapshot_revert, cli_snapshot_delete, cli_snapshot_rename;
extern const struct cli_command cli_snapshot_export, cli_snapshot_prune, cli_snapshot_recover;
extern const struct cli_command cli_snapshot_convert;

#endif
