/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* snapshot list and show. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/table.h"
#include "cli/domain.h"
#include "cli/snapshot.h"
#include "snapshot/place.h"

#define TREE_DEPTH 64 /* deeper ones are not indented further */

static json_t *time_json(int64_t ms)
{
    char text[32], whole[40];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(whole, sizeof(whole), "%s.%03dZ", text, (int)(ms % 1000));
    return json_string(whole);
}

static const struct xw_snapshot *with_id(const struct xw_snapshot_vm *vm, const char *id)
{
    const struct xw_snapshot *snapshot = id[0] ? vm->snapshots : NULL;

    while (snapshot && memcmp(snapshot->id, id, XW_SNAPSHOT_ID_SIZE) != 0)
        snapshot = snapshot->next;
    return snapshot;
}

/* The name of the snapshot with this id; null for "". */
static json_t *name_of(const struct xw_snapshot_vm *vm, const char *id)
{
    const struct xw_snapshot *found = with_id(vm, id);

    return found ? json_string(found->name) : json_null();
}

static json_t *row_of(const struct xw_snapshot_vm *vm, const struct xw_snapshot *snapshot)
{
    json_t *vdevs = json_array();

    for (const struct xw_snapshot_disk *disk = snapshot->disks; disk; disk = disk->next)
        json_array_append_new(vdevs, json_string(disk->vdev));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:s, s:o, s:b, s:b, s:s, s:o}",
                     "vm", vm->name,
                     "name", snapshot->name,
                     "id", snapshot->id,
                     "parent", name_of(vm, snapshot->parent),
                     "created", time_json(snapshot->created_ms),
                     "age", (json_int_t)(time(NULL) - snapshot->created_ms / 1000),
                     "consistency", xw_consistency_name(snapshot->consistency),
                     "standstill_us", snapshot->standstill_us < 0
                                          ? json_null()
                                          : json_integer((json_int_t)snapshot->standstill_us),
                     "current", !strcmp(snapshot->id, vm->current),
                     "automatic", snapshot->automatic,
                     "description", snapshot->description,
                     "disks", vdevs);
}

static int list_rows(struct cli_call *call, const struct xw_snapshot_vm *vms, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {.header = "VM", .key = "vm"},
        {.header = "SNAPSHOT", .key = "name"},
        {.header = "PARENT", .key = "parent"},
        {.header = "AGE", .key = "age", .kind = XW_COLUMN_SECONDS},
        {.header = "KIND", .key = "consistency"},
        {.header = "DISKS", .key = "disks"},
        {.header = "CURRENT", .key = "current"},
        {.header = "DESCRIPTION", .key = "description", .cut = true},
    };
    json_t *rows = json_array();

    for (const struct xw_snapshot_vm *vm = vms; vm; vm = vm->next) {
        for (const struct xw_snapshot *snapshot = vm->snapshots; snapshot;
             snapshot = snapshot->next)
            json_array_append_new(rows, row_of(vm, snapshot));
    }
    return cli_show_rows(call, columns, sizeof(columns) / sizeof(columns[0]), rows, err);
}

/* What has a parent that is not there, or whose record cannot be read, stands beside the first. */
static bool is_below(const struct xw_snapshot_vm *vm, const struct xw_snapshot *snapshot,
                     const char *parent)
{
    if (!strcmp(snapshot->parent, parent))
        return true;
    return !parent[0] && !with_id(vm, snapshot->parent);
}

/* "├─ name", its children beneath it. `lead` is what stands in front of each of them. */
static int print_branch(const struct xw_snapshot_vm *vm, const char *parent, const char *lead,
                        int depth, struct xw_error *err)
{
    const struct xw_snapshot *snapshot, *last = NULL;
    int rc = 0;

    for (snapshot = vm->snapshots; snapshot; snapshot = snapshot->next) {
        if (is_below(vm, snapshot, parent))
            last = snapshot;
    }
    for (snapshot = vm->snapshots; snapshot && !rc; snapshot = snapshot->next) {
        xw_auto_buffer struct xw_buffer deeper = XW_BUFFER_INIT(TREE_DEPTH * 8);

        if (!is_below(vm, snapshot, parent))
            continue;
        printf("%s%s %s%s\n", lead, snapshot == last ? "└─" : "├─", snapshot->name,
               !strcmp(snapshot->id, vm->current) ? "  ← present state" : "");
        if (depth < TREE_DEPTH)
            rc = xw_buffer_printf(&deeper, err, "%s%s", lead, snapshot == last ? "   " : "│  ");
        if (!rc)
            rc = print_branch(vm, snapshot->id, depth < TREE_DEPTH ? deeper.data : lead, depth + 1,
                              err);
    }
    return rc;
}

static int list_tree(const struct xw_snapshot_vm *vms, struct xw_error *err)
{
    int rc = 0;

    for (const struct xw_snapshot_vm *vm = vms; vm && !rc; vm = vm->next) {
        printf("%s%s\n", vm->name, vm->current[0] || !vm->snapshots ? "" : "  ← present state");
        rc = print_branch(vm, "", "", 0, err);
    }
    return rc;
}

static void tell_damage(const struct xw_snapshot_vm *vms)
{
    const char *state = getenv("XENWRIGHT_STATE");

    for (const struct xw_snapshot_vm *vm = vms; vm; vm = vm->next) {
        if (vm->damaged)
            fprintf(stderr,
                    "xenwright: %" PRIu32 " of the records of '%s' cannot be read: see %s/%s\n",
                    vm->damaged, vm->name, state ? state : XW_SNAPSHOT_STATE, vm->id);
    }
}

static int run_list(struct cli_call *call, struct xw_error *err)
{
    struct xw_snapshot_vm *vms = NULL;
    struct cli_snapshots open;
    int rc = cli_snapshots_open(&open, err);

    if (cli_flag(call, "tree") && cli_flag(call, "json"))
        rc = cli_misuse(call, err, "--tree is for people: 'parent' of --json says the same");
    if (!rc)
        rc = xw_snapshot_list(open.snapshots, cli_argument(call, 0), &vms, err);
    if (!rc)
        rc = cli_flag(call, "tree") ? list_tree(vms, err) : list_rows(call, vms, err);
    if (!rc)
        tell_damage(vms);
    xw_snapshot_vm_free(vms);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_snapshot_list = {
    .verb = "list",
    .purpose = "List snapshots",
    .arguments = {.usage = "[DOMAIN]",
                  .min = 0,
                  .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "tree", .letter = 't', .help = "show which came from which"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot list", "those of all VMs"},
            {"xenwright snapshot list web --tree", "those of one, as a tree"},
            {0},
        },
    .flags = CLI_SHOWS,
    .run = run_list,
};

static json_t *disk_json(struct xw_snapshots *snapshots, const struct xw_snapshot_disk *disk)
{
    struct xw_snapshot_space space = {.bytes = UINT64_MAX};
    int rc = xw_snapshot_disk_space(snapshots, disk, &space, NULL);

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o}",
                     "vdev", disk->vdev,
                     "store", disk->store,
                     "format", disk->format,
                     "path", disk->path,
                     "data", disk->data,
                     "size", (json_int_t)disk->size,
                     "bytes", rc || space.bytes == UINT64_MAX
                                  ? json_null()
                                  : json_integer((json_int_t)space.bytes),
                     "missing", rc ? json_null() : json_boolean(space.missing));
}

static json_t *show_json(struct xw_snapshots *snapshots, const struct xw_snapshot_vm *vm,
                         const struct xw_snapshot *snapshot)
{
    json_t *json = row_of(vm, snapshot);
    json_t *disks = json_array();

    for (const struct xw_snapshot_disk *disk = snapshot->disks; disk; disk = disk->next)
        json_array_append_new(disks, disk_json(snapshots, disk));
    json_object_set_new(json, "disks", disks);
    return json;
}

static void show_field(const char *label, const json_t *value)
{
    if (json_is_string(value) && json_string_value(value)[0])
        printf("%-12s %s\n", label, json_string_value(value));
}

static int show_text(struct cli_call *call, json_t *json, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {.header = "DISK", .key = "vdev"},
        {.header = "STORE", .key = "store"},
        {.header = "FORMAT", .key = "format"},
        {.header = "SIZE", .key = "size", .kind = XW_COLUMN_SIZE},
        {.header = "USED", .key = "bytes", .kind = XW_COLUMN_SIZE},
        {.header = "MISSING", .key = "missing"},
        {.header = "DATA", .key = "data"},
    };
    json_t *standstill = json_object_get(json, "standstill_us");

    show_field("Snapshot", json_object_get(json, "name"));
    show_field("VM", json_object_get(json, "vm"));
    show_field("Id", json_object_get(json, "id"));
    show_field("Parent", json_object_get(json, "parent"));
    show_field("Created", json_object_get(json, "created"));
    show_field("Kind", json_object_get(json, "consistency"));
    if (json_is_integer(standstill))
        printf("%-12s %.1f ms\n", "Stood still", (double)json_integer_value(standstill) / 1000);
    show_field("Description", json_object_get(json, "description"));
    putchar('\n');
    return cli_show_rows(call, columns, sizeof(columns) / sizeof(columns[0]),
                         json_incref(json_object_get(json, "disks")), err);
}

/* As text that can be redirected to a file: xl.cfg, or (--json) what libxl made of it. */
static int show_config(struct cli_call *call, struct xw_snapshots *snapshots,
                       const struct xw_snapshot_vm *vm, const struct xw_snapshot *snapshot,
                       struct xw_error *err)
{
    bool libxl = cli_flag(call, "json");
    xw_auto_free char *text = NULL;
    int rc = xw_snapshot_config(snapshots, vm, snapshot,
                                libxl ? XW_SNAPSHOT_CONFIG_LIBXL : XW_SNAPSHOT_CONFIG_FILE, &text,
                                err);

    if (!rc)
        fputs(text, stdout);
    return rc;
}

static int show(struct cli_call *call, struct xw_snapshots *snapshots,
                const struct xw_snapshot_vm *vm, struct xw_error *err)
{
    const struct xw_snapshot *snapshot = xw_snapshot_find(vm, cli_argument(call, 1));
    xw_auto_json json_t *json = NULL;

    if (!snapshot)
        return xw_error_set(err, ENOENT,
                            "'%s' has no snapshot '%s'; 'xenwright snapshot list %s' shows those "
                            "there are",
                            vm->name, cli_argument(call, 1), vm->name);
    if (cli_flag(call, "config"))
        return show_config(call, snapshots, vm, snapshot, err);
    json = show_json(snapshots, vm, snapshot);
    return cli_flag(call, "json") ? cli_show_json(call, json_incref(json), err)
                                  : show_text(call, json, err);
}

static int run_show(struct cli_call *call, struct xw_error *err)
{
    struct xw_snapshot_vm *vm = NULL;
    struct cli_snapshots open;
    int rc = cli_snapshots_open(&open, err);

    if (!rc)
        rc = xw_snapshot_list(open.snapshots, cli_argument(call, 0), &vm, err);
    if (!rc)
        rc = show(call, open.snapshots, vm, err);
    xw_snapshot_vm_free(vm);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_snapshot_show = {
    .verb = "show",
    .purpose = "Show everything about one snapshot",
    .arguments = {.usage = "DOMAIN SNAPSHOT",
                  .min = 2,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names},
                             {.kind = CLI_VALUE_CALLBACK, .list = cli_snapshot_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "config",
             .letter = 'c',
             .help = "print the VM's configuration as it was then; with --json what libxl made "
                     "of it"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot show web before-upgrade", "with the space that each disk takes"},
            {"xenwright snapshot show web before-upgrade --config > web.cfg",
             "its configuration file of that time"},
            {0},
        },
    .flags = CLI_SHOWS,
    .run = run_show,
};
