/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records of VMs and snapshots on disk: docs/formats/snapshot.md, which is format 1. */
#ifndef XENWRIGHT_SNAPSHOT_RECORD_H
#define XENWRIGHT_SNAPSHOT_RECORD_H

#include <jansson.h>

#include "snapshot/place.h"

/* The limits of one record from outside: bytes, and levels of JSON. */
#define XW_RECORD_MAX_SIZE (1024 * 1024)
#define XW_RECORD_MAX_DEPTH 8

/*
 * snapshot.json. `where` names it in messages. Every string is checked before it is used as a name:
 * an id is an id, a path is absolute. Free with xw_snapshot_free().
 */
int xw_snapshot_parse(const json_t *json, const char *where, struct xw_snapshot **ret,
                      struct xw_error *err);
json_t *xw_snapshot_json(const struct xw_snapshot *snapshot); /* NULL: out of memory */
void xw_snapshot_free(struct xw_snapshot *snapshots);         /* a whole chain */

/* vm.json; `snapshots` and `damaged` are left empty. `disks`: its JSON array, new reference. */
int xw_vm_parse(const json_t *json, const char *where, struct xw_snapshot_vm **ret, json_t **disks,
                struct xw_error *err);
json_t *xw_vm_json(const struct xw_snapshot_vm *vm, json_t *disks); /* disks stays the caller's */

/* Whether records, which are JSON, can hold the text. */
bool xw_record_can_hold(const char *text);

/* -EINVAL where `description` cannot be that of a snapshot. */
int xw_snapshot_description_check(const char *description, struct xw_error *err);

/* One snapshot of a VM. Writing makes its folder. */
int xw_snapshot_read(const struct xw_snapshots *snapshots, const char *vm, const char *id,
                     struct xw_snapshot **ret, struct xw_error *err);
int xw_snapshot_write(const struct xw_snapshots *snapshots, const char *vm,
                      const struct xw_snapshot *snapshot, struct xw_error *err);

/* The folder of a snapshot with all in it. Nothing there is fine. */
int xw_snapshot_forget(const struct xw_snapshots *snapshots, const char *vm, const char *id,
                       struct xw_error *err);

/* A VM without its snapshots; and with them. */
int xw_vm_read(const struct xw_snapshots *snapshots, const char *id, struct xw_snapshot_vm **ret,
               json_t **disks, struct xw_error *err);
int xw_vm_read_snapshots(const struct xw_snapshots *snapshots, struct xw_snapshot_vm *vm,
                         struct xw_error *err);
int xw_vm_write(const struct xw_snapshots *snapshots, const struct xw_snapshot_vm *vm,
                json_t *disks, struct xw_error *err);

/* Whether there is anything of a snapshot in the folder of a VM, and the end of one where nothing
 * is. */
bool xw_vm_is_bare(const struct xw_snapshots *snapshots, const char *id);
int xw_vm_forget(const struct xw_snapshots *snapshots, const char *id, struct xw_error *err);

#endif
