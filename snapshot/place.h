/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the records of snapshots are (docs/formats/snapshot.md):
 *
 *     STATE/VM/vm.json             the VM: its names, its disks, what its present state goes back
 * to STATE/VM/journal             what is going on, or was interrupted STATE/VM/SNAPSHOT/ one
 * snapshot: snapshot.json, config, memory STATE/.lock, .lock-VM        who is at work
 *
 * VM and SNAPSHOT are ids of 16 hexadecimal digits.
 */
#ifndef XENWRIGHT_SNAPSHOT_PLACE_H
#define XENWRIGHT_SNAPSHOT_PLACE_H

#include <xenwright/snapshot.h>

#include "base/lock.h"

#define XW_SNAPSHOT_STATE "/var/lib/xenwright/snapshots"

struct xw_snapshots {
    char *state;          /* the path of STATE */
    int dirfd;            /* STATE; -1 while it is not there */
    struct xw_host *host; /* NULL: no Xen here */
};

/* STATE is there and open from here on. */
int xw_snapshots_make_state(struct xw_snapshots *snapshots, struct xw_error *err);

/* Whether `text` is an id, as they stand in paths and records. */
bool xw_snapshot_is_id(const char *text);

/*
 * The lock of one VM, or (vm NULL) the one that is held while VMs are added or removed. Not waited
 * for: -EBUSY names the holder.
 */
int xw_snapshots_lock(const struct xw_snapshots *snapshots, const char *vm, struct xw_lock *lock,
                      struct xw_error *err);

#endif
