/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/lock.h"

#define FORMAT 1

static const struct xw_json_limits limits = {.size = 256 * 1024, .depth = 8};

void lab_record_init(struct lab_record *record, const char *name)
{
    memset(record, 0, sizeof(*record));
    snprintf(record->name, sizeof(record->name), "%s", name);
}

void lab_record_free(struct lab_record *record)
{
    json_decref(record->chain);
    json_decref(record->disks);
    json_decref(record->links);
    record->chain = record->disks = record->links = NULL;
}

static void record_path(const char *name, char out[LAB_NAME_MAX + 32])
{
    snprintf(out, LAB_NAME_MAX + 32, "%s/lab.json", name);
}

struct text_field {
    const char *key;
    char *out;
    size_t size;
};

#define TEXT_FIELDS(r)                                                                            \
    {                                                                                             \
        {"release", (r)->release, sizeof((r)->release)},                                          \
            {"image", (r)->image, sizeof((r)->image)}, {"state", (r)->state, sizeof((r)->state)}, \
            {"tag", (r)->tag, sizeof((r)->tag)},                                                  \
            {"qemu", (r)->qemu.program, sizeof((r)->qemu.program)},                               \
            {"qemu_version", (r)->qemu.version, sizeof((r)->qemu.version)},                       \
            {"mac", (r)->mac, sizeof((r)->mac)},                                                  \
    }

static int read_texts(const json_t *json, const char *path, const struct text_field *fields,
                      size_t count, struct xw_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *text;
        int rc = xw_json_string(json, path, fields[i].key, &text, err);

        if (rc)
            return rc;
        if (strlen(text) >= fields[i].size)
            return xw_error_set(err, EBADMSG, "%s: '%s' is too long", path, fields[i].key);
        memcpy(fields[i].out, text, strlen(text) + 1);
    }
    return 0;
}

int lab_record_parse(const json_t *json, const char *path, struct lab_record *ret,
                     struct xw_error *err)
{
    const struct text_field fields[] = TEXT_FIELDS(ret);
    int64_t format, number, pid, disk;
    json_t *machine, *chain, *disks, *links;
    int rc = xw_json_integer(json, path, "format", 1, INT64_MAX, &format, err);

    if (!rc && format != FORMAT)
        return xw_error_set(err, EPROTONOSUPPORT, "%s: made by a later version of xenwright", path);
    if (!rc)
        rc = xw_json_integer(json, path, "number", 1, LAB_NUMBER_MAX, &number, err);
    if (!rc)
        rc = xw_json_integer(json, path, "pid", 0, INT32_MAX, &pid, err);
    if (!rc)
        rc = xw_json_integer(json, path, "started", 0, INT64_MAX, &ret->started, err);
    if (!rc)
        rc = xw_json_integer(json, path, "disk", 0, INT32_MAX, &disk, err);
    if (!rc)
        rc = xw_json_bool(json, path, "gdb", &ret->gdb, err);
    if (!rc)
        rc = read_texts(json, path, fields, sizeof(fields) / sizeof(fields[0]), err);
    if (!rc)
        rc = xw_json_object(json, path, "machine", &machine, err);
    if (!rc)
        rc = lab_machine_parse(machine, &ret->machine, err);
    if (!rc)
        rc = xw_json_array(json, path, "chain", &chain, err);
    if (!rc)
        rc = xw_json_array(json, path, "disks", &disks, err);
    if (!rc)
        rc = xw_json_array(json, path, "links", &links, err);
    if (rc)
        return rc;
    ret->number = (int)number;
    ret->pid = (pid_t)pid;
    ret->disk = (int)disk;
    ret->chain = json_incref(chain);
    ret->disks = json_incref(disks);
    ret->links = json_incref(links);
    return 0;
}

int lab_record_read(const struct lab_place *place, const char *name, struct lab_record *ret,
                    struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    struct xw_error why = XW_ERROR_INIT;
    char path[LAB_NAME_MAX + 32];
    int rc = lab_name_check("lab", name, err);

    if (rc)
        return rc;
    lab_record_init(ret, name);
    record_path(name, path);
    rc = xw_json_read_file(place->labs, path, &limits, &json, &why);
    if (!rc)
        rc = lab_record_parse(json, path, ret, &why);
    if (rc == -ENOENT)
        return xw_error_set(err, ENOENT, "lab '%s': there is no such lab; 'xenwright lab list' "
                            "shows those there are", name);
    /* What is no damage may pass by itself, or with the right version. */
    if (rc == -EBADMSG)
        return xw_error_set(err, EBADMSG, "lab '%s': its record cannot be used (%s); 'xenwright "
                            "lab down %s' clears it", name, why.message, name);
    if (rc)
        return xw_error_set(err, -rc, "lab '%s': its record cannot be used (%s)", name,
                            why.message);
    return 0;
}

json_t *lab_record_json(const struct lab_record *record)
{
    const struct text_field fields[] = TEXT_FIELDS((struct lab_record *)(uintptr_t)record);
    json_t *json =
        json_pack("{s:i, s:s, s:i, s:I, s:I, s:i, s:b, s:o, s:O, s:O, s:O}", "format", FORMAT,
                  "name", record->name, "number", record->number, "pid", (json_int_t)record->pid,
                  "started", (json_int_t)record->started, "disk", record->disk, "gdb", record->gdb,
                  "machine", lab_machine_json(&record->machine), "chain", record->chain, "disks",
                  record->disks, "links", record->links);

    for (size_t i = 0; json && i < sizeof(fields) / sizeof(fields[0]); i++)
        json_object_set_new(json, fields[i].key, json_string(fields[i].out));
    return json;
}

int lab_record_write(const struct lab_place *place, const struct lab_record *record,
                     struct xw_error *err)
{
    char path[LAB_NAME_MAX + 32];
    xw_auto_json json_t *json = lab_record_json(record);

    if (!json)
        return xw_error_set(err, ENOMEM, "lab '%s': out of memory", record->name);
    record_path(record->name, path);
    return xw_json_write_file(place->labs, path, json, 0600, err);
}

bool lab_is_alive(const struct lab_place *place, const char *name)
{
    char path[LAB_NAME_MAX + 32];

    snprintf(path, sizeof(path), "%s/alive", name);
    return xw_lock_is_held(place->labs, path, NULL);
}

const char *lab_status_name(enum lab_status status)
{
    static const char *const names[] = {
        [LAB_STATUS_DOWN] = "down",       [LAB_STATUS_STARTING] = "starting",
        [LAB_STATUS_RUNNING] = "running", [LAB_STATUS_CRASHED] = "crashed",
        [LAB_STATUS_DEAD] = "dead",
    };

    return names[status];
}

bool lab_is_held(const struct lab_place *place, const char *name)
{
    char path[LAB_NAME_MAX + 32];

    snprintf(path, sizeof(path), ".lock-%.*s", LAB_NAME_MAX, name);
    return xw_lock_is_held(place->labs, path, NULL);
}

enum lab_status lab_record_status(const struct lab_place *place, const struct lab_record *record)
{
    char path[LAB_NAME_MAX + 32];

    if (record->pid == 0)
        return lab_is_held(place, record->name) ? LAB_STATUS_STARTING : LAB_STATUS_DOWN;
    if (!lab_is_alive(place, record->name))
        return LAB_STATUS_DEAD;
    snprintf(path, sizeof(path), "%s/crash.json", record->name);
    return faccessat(place->labs, path, F_OK, 0) == 0 ? LAB_STATUS_CRASHED : LAB_STATUS_RUNNING;
}
