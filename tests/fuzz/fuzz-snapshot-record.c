/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* snapshot.json and vm.json of any content: what is taken can be written, and is the same then. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "snapshot/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What else relies on without a look of its own. */
static void check_snapshot(const struct xw_snapshot *snapshot)
{
    if (xw_snapshot_name_check(snapshot->name, NULL) || !xw_snapshot_is_id(snapshot->id) ||
        (snapshot->parent[0] && !xw_snapshot_is_id(snapshot->parent)) || !snapshot->description ||
        snapshot->created_ms < 0 || snapshot->standstill_us < -1 ||
        !xw_consistency_name(snapshot->consistency))
        abort();
    for (const struct xw_snapshot_disk *disk = snapshot->disks; disk; disk = disk->next) {
        if (!disk->vdev || !disk->format || !disk->store || disk->path[0] != '/' ||
            disk->data[0] != '/')
            abort();
    }
}

static void try_snapshot(const json_t *json)
{
    struct xw_snapshot *snapshot = NULL, *again = NULL;
    xw_auto_json json_t *written = NULL, *twice = NULL;
    struct xw_error err = XW_ERROR_INIT;

    if (xw_snapshot_parse(json, "record", &snapshot, &err)) {
        if (!err.code || !err.message[0])
            abort();
        return;
    }
    check_snapshot(snapshot);
    written = xw_snapshot_json(snapshot);
    if (!written || xw_snapshot_parse(written, "again", &again, NULL))
        abort();
    twice = xw_snapshot_json(again);
    if (!json_equal(written, twice))
        abort();
    xw_snapshot_free(snapshot);
    xw_snapshot_free(again);
}

static void try_vm(const json_t *json)
{
    struct xw_snapshot_vm *vm = NULL, *again = NULL;
    xw_auto_json json_t *disks = NULL, *written = NULL, *same = NULL;
    struct xw_error err = XW_ERROR_INIT;

    if (xw_vm_parse(json, "record", &vm, &disks, &err)) {
        if (!err.code || !err.message[0])
            abort();
        return;
    }
    if (!xw_snapshot_is_id(vm->id) || (vm->current[0] && !xw_snapshot_is_id(vm->current)) ||
        !vm->name || !vm->config || strlen(vm->uuid) > 36 || !json_is_array(disks))
        abort();
    written = xw_vm_json(vm, disks);
    if (!written || xw_vm_parse(written, "again", &again, &same, NULL) || !json_equal(disks, same))
        abort();
    xw_snapshot_vm_free(vm);
    xw_snapshot_vm_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct xw_json_limits limits = {.size = XW_RECORD_MAX_SIZE, .depth = XW_RECORD_MAX_DEPTH};
    xw_auto_json json_t *json = NULL;

    if (xw_json_parse((const char *)data, size, "record", &limits, &json, NULL))
        return 0;
    try_snapshot(json);
    try_vm(json);
    return 0;
}
