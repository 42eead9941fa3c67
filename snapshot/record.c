/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* snapshot.json: from and to the struct. */
#include "snapshot/record.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

#define FORMAT 1
#define DESCRIPTION_MAX 4096 /* a list of many snapshots with theirs can still be shown */

static const char *const consistency_names[] = {
    [XW_CONSISTENCY_OFFLINE] = "offline",     [XW_CONSISTENCY_CRASH] = "crash",
    [XW_CONSISTENCY_PAUSED] = "paused",       [XW_CONSISTENCY_SUSPENDED] = "suspended",
    [XW_CONSISTENCY_FROZEN] = "filesystem",   [XW_CONSISTENCY_MEMORY] = "memory",
};

const char *xw_consistency_name(enum xw_consistency consistency)
{
    return consistency_names[consistency];
}

int xw_snapshot_name_check(const char *name, struct xw_error *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(name);

    if (length > 0 && length < XW_SNAPSHOT_NAME_SIZE && name[0] != '-' && name[0] != '.' &&
        strspn(name, allowed) == length)
        return 0;
    return xw_error_set(err, EINVAL,
                        "'%.80s' cannot be the name of a snapshot: use 1 to 64 of the characters "
                        "A-Z a-z 0-9 . _ -, and no '-' or '.' first",
                        name);
}

static void free_disks(struct xw_snapshot_disk *disk)
{
    while (disk) {
        struct xw_snapshot_disk *next = disk->next;

        free(disk->vdev);
        free(disk->path);
        free(disk->format);
        free(disk->store);
        free(disk->data);
        free(disk);
        disk = next;
    }
}

void xw_snapshot_free(struct xw_snapshot *snapshot)
{
    while (snapshot) {
        struct xw_snapshot *next = snapshot->next;

        free(snapshot->description);
        free_disks(snapshot->disks);
        free(snapshot);
        snapshot = next;
    }
}

static int copy_path(const json_t *json, const char *where, const char *key, char **ret,
                     struct xw_error *err)
{
    int rc = xw_json_copy_string(json, where, key, ret, err);

    if (!rc && ((*ret)[0] != '/' || strlen(*ret) >= PATH_MAX))
        return xw_error_set(err, EBADMSG, "%s: '%s': expected an absolute path", where, key);
    return rc;
}

/* An id, or "" where that may be. */
static int copy_id(const json_t *json, const char *where, const char *key, bool may_be_empty,
                   char ret[XW_SNAPSHOT_ID_SIZE], struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(json, where, key, &text, err);

    if (rc)
        return rc;
    if (!xw_snapshot_is_id(text) && !(may_be_empty && !text[0]))
        return xw_error_set(err, EBADMSG, "%s: '%s': expected 16 hexadecimal digits", where, key);
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static int parse_disk(const json_t *json, const char *where, struct xw_snapshot_disk *disk,
                      struct xw_error *err)
{
    int64_t size = 0;
    int rc = xw_json_copy_string(json, where, "vdev", &disk->vdev, err);

    if (!rc)
        rc = copy_path(json, where, "path", &disk->path, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "format", &disk->format, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "store", &disk->store, err);
    if (!rc)
        rc = copy_path(json, where, "data", &disk->data, err);
    if (!rc)
        rc = xw_json_integer(json, where, "size", 0, INT64_MAX, &size, err);
    disk->size = (uint64_t)size;
    return rc;
}

static int parse_disks(const json_t *json, const char *where, struct xw_snapshot *snapshot,
                       struct xw_error *err)
{
    struct xw_snapshot_disk **at = &snapshot->disks;
    json_t *disks, *disk;
    size_t i;
    int rc = xw_json_array(json, where, "disks", &disks, err);

    if (rc)
        return rc;
    json_array_foreach(disks, i, disk)
    {
        *at = calloc(1, sizeof(**at));
        if (!*at)
            return xw_error_set(err, ENOMEM, "%s: out of memory", where);
        rc = parse_disk(disk, where, *at, err);
        if (rc)
            return rc;
        at = &(*at)->next;
    }
    return 0;
}

static int parse_consistency(const json_t *json, const char *where, enum xw_consistency *ret,
                             struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(json, where, "consistency", &text, err);

    for (size_t i = 0; !rc && i < sizeof(consistency_names) / sizeof(consistency_names[0]); i++) {
        if (!strcmp(text, consistency_names[i])) {
            *ret = (enum xw_consistency)i;
            return 0;
        }
    }
    return rc ? rc : xw_error_set(err, EBADMSG, "%s: 'consistency': unknown: '%s'", where, text);
}

static int parse_name(const json_t *json, const char *where, char ret[XW_SNAPSHOT_NAME_SIZE],
                      struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(json, where, "name", &text, err);

    if (!rc && xw_snapshot_name_check(text, NULL))
        rc = xw_error_set(err, EBADMSG, "%s: 'name': not the name of a snapshot", where);
    if (!rc)
        memcpy(ret, text, strlen(text) + 1);
    return rc;
}

static int check_format(const json_t *json, const char *where, struct xw_error *err)
{
    int64_t format;
    int rc = xw_json_integer(json, where, "format", 1, INT64_MAX, &format, err);

    if (!rc && format != FORMAT)
        rc = xw_error_set(err, EPROTONOSUPPORT,
                          "%s: made by a later version of xenwright; use that one", where);
    return rc;
}

static int parse_fields(const json_t *json, const char *where, struct xw_snapshot *snapshot,
                        struct xw_error *err)
{
    int64_t memory = 0;
    int rc = check_format(json, where, err);

    if (!rc)
        rc = copy_id(json, where, "id", false, snapshot->id, err);
    if (!rc)
        rc = copy_id(json, where, "parent", true, snapshot->parent, err);
    if (!rc)
        rc = parse_name(json, where, snapshot->name, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "description", &snapshot->description, err);
    if (!rc)
        rc = xw_json_integer(json, where, "created_ms", 0, INT64_MAX, &snapshot->created_ms, err);
    if (!rc)
        rc = xw_json_integer(json, where, "standstill_us", -1, INT64_MAX, &snapshot->standstill_us,
                             err);
    if (!rc)
        rc = parse_consistency(json, where, &snapshot->consistency, err);
    if (!rc)
        rc = xw_json_integer(json, where, "memory_bytes", 0, INT64_MAX, &memory, err);
    if (!rc)
        rc = xw_json_bool(json, where, "automatic", &snapshot->automatic, err);
    snapshot->memory_bytes = (uint64_t)memory;
    return rc ? rc : parse_disks(json, where, snapshot, err);
}

int xw_snapshot_parse(const json_t *json, const char *where, struct xw_snapshot **ret,
                      struct xw_error *err)
{
    struct xw_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    int rc;

    if (!snapshot)
        return xw_error_set(err, ENOMEM, "%s: out of memory", where);
    rc = parse_fields(json, where, snapshot, err);
    if (rc)
        xw_snapshot_free(snapshot);
    else
        *ret = snapshot;
    return rc;
}

int xw_snapshot_description_check(const char *description, struct xw_error *err)
{
    if (!xw_record_can_hold(description))
        return xw_error_set(err, EINVAL, "the description is not UTF-8");
    if (strlen(description) > DESCRIPTION_MAX)
        return xw_error_set(err, EINVAL, "the description has more than %d bytes: make it shorter",
                            DESCRIPTION_MAX);
    return 0;
}

bool xw_record_can_hold(const char *text)
{
    xw_auto_json json_t *json = json_string(text);

    return json;
}

static json_t *disks_json(const struct xw_snapshot_disk *disk)
{
    json_t *disks = json_array();
    int rc = 0;

    for (; disk && !rc; disk = disk->next)
        rc = json_array_append_new(
            disks, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}",
                             "vdev", disk->vdev,
                             "path", disk->path,
                             "format", disk->format,
                             "store", disk->store,
                             "data", disk->data,
                             "size", (json_int_t)disk->size));
    if (!rc)
        return disks;
    json_decref(disks);
    return NULL;
}

json_t *xw_snapshot_json(const struct xw_snapshot *snapshot)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:b, s:o}",
                     "format", FORMAT,
                     "id", snapshot->id,
                     "parent", snapshot->parent,
                     "name", snapshot->name,
                     "description", snapshot->description ? snapshot->description : "",
                     "created_ms", (json_int_t)snapshot->created_ms,
                     "standstill_us", (json_int_t)snapshot->standstill_us,
                     "consistency", xw_consistency_name(snapshot->consistency),
                     "memory_bytes", (json_int_t)snapshot->memory_bytes,
                     "automatic", snapshot->automatic,
                     "disks", disks_json(snapshot->disks));
}

static int parse_vm_fields(const json_t *json, const char *where, struct xw_snapshot_vm *vm,
                           json_t **disks, struct xw_error *err)
{
    const char *uuid = "";
    int rc = check_format(json, where, err);

    if (!rc)
        rc = copy_id(json, where, "id", false, vm->id, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "name", &vm->name, err);
    if (!rc)
        rc = xw_json_string(json, where, "uuid", &uuid, err);
    if (!rc && strlen(uuid) >= sizeof(vm->uuid))
        rc = xw_error_set(err, EBADMSG, "%s: 'uuid' is too long", where);
    if (!rc)
        rc = xw_json_copy_string(json, where, "config", &vm->config, err);
    if (!rc)
        rc = copy_id(json, where, "current", true, vm->current, err);
    if (!rc)
        rc = xw_json_array(json, where, "disks", disks, err);
    if (!rc) {
        memcpy(vm->uuid, uuid, strlen(uuid) + 1);
        json_incref(*disks);
    }
    return rc;
}

int xw_vm_parse(const json_t *json, const char *where, struct xw_snapshot_vm **ret, json_t **disks,
                struct xw_error *err)
{
    struct xw_snapshot_vm *vm = calloc(1, sizeof(*vm));
    int rc;

    if (!vm)
        return xw_error_set(err, ENOMEM, "%s: out of memory", where);
    rc = parse_vm_fields(json, where, vm, disks, err);
    if (rc)
        xw_snapshot_vm_free(vm);
    else
        *ret = vm;
    return rc;
}

json_t *xw_vm_json(const struct xw_snapshot_vm *vm, json_t *disks)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:O}",
                     "format", FORMAT,
                     "id", vm->id,
                     "name", vm->name,
                     "uuid", vm->uuid,
                     "config", vm->config,
                     "current", vm->current,
                     "disks", disks);
}

void xw_snapshot_vm_free(struct xw_snapshot_vm *vm)
{
    while (vm) {
        struct xw_snapshot_vm *next = vm->next;

        free(vm->name);
        free(vm->config);
        xw_snapshot_free(vm->snapshots);
        free(vm);
        vm = next;
    }
}
