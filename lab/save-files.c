/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which saved states and overlays a lab has, and which of them are needed. */
#include "lab/save-files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "lab/manifest.h"
#include "lab/save.h"

#define DISKS_MAX 4096 /* overlays one lab can have had at a time */

void lab_save_path(const char *name, const char *tag, char out[LAB_SAVE_PATH_MAX])
{
    snprintf(out, LAB_SAVE_PATH_MAX, "%.*s/saves/%.*s", LAB_NAME_MAX, name, LAB_NAME_MAX, tag);
}

int lab_save_begin(struct lab_hold *hold, const char *operation, const char *tag,
                   struct xw_error *err)
{
    xw_auto_json json_t *args = json_object();

    if (!args || (tag && json_object_set_new(args, "tag", json_string(tag)) < 0))
        return xw_error_set(err, ENOMEM, "out of memory");
    return xw_journal_begin(hold->journal, operation, args, err);
}

static DIR *open_folder(const struct lab_place *place, const char *path)
{
    int fd = openat(place->labs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;

    if (fd >= 0 && !folder)
        close(fd);
    return folder;
}

int lab_save_unknown(const char *name, const char *tag, struct xw_error *err)
{
    return xw_error_set(err, ENOENT, "lab '%s' has no saved state '%s'; 'xenwright lab states %s' "
                        "shows those it has", name, tag, name);
}

static int read_manifest(const struct lab_place *place, const char *name, const char *tag,
                         json_t **ret, struct xw_error *err)
{
    char path[LAB_SAVE_PATH_MAX];
    int rc = lab_name_check("saved state", tag, err);

    if (rc)
        return rc;
    lab_save_path(name, tag, path);
    xw_auto_close int folder = openat(place->labs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0 && errno == ENOENT)
        return lab_save_unknown(name, tag, err);
    if (folder < 0)
        return xw_error_set_errno(err, "lab '%s': saved state '%s'", name, tag);
    rc = lab_manifest_read(folder, ret, err);
    if (rc)
        xw_error_prefix(err, "lab '%s': saved state '%s'", name, tag);
    /* That it is there is what -ENOENT is about. */
    return rc == -ENOENT ? -EBADMSG : rc;
}

int lab_save_read(const struct lab_place *place, const char *name, const char *tag,
                  struct lab_record *ret, json_t **ret_manifest, struct xw_error *err)
{
    xw_auto_json json_t *manifest = NULL;
    json_t *lab;
    int rc = read_manifest(place, name, tag, &manifest, err);

    if (rc)
        return rc;
    lab_record_init(ret, name);
    rc = xw_json_object(manifest, "manifest.json", "lab", &lab, err);
    if (!rc)
        rc = lab_record_parse(lab, "manifest.json", ret, err);
    if (rc)
        xw_error_prefix(err, "lab '%s': saved state '%s'", name, tag);
    else if (ret_manifest)
        *ret_manifest = json_incref(manifest);
    return rc;
}

int lab_save_tags(const struct lab_place *place, const char *name, char ***ret,
                  struct xw_error *err)
{
    char path[LAB_SAVE_PATH_MAX], **names, **kept;
    struct xw_error why = XW_ERROR_INIT;
    int rc;

    lab_save_path(name, ".", path);
    rc = lab_names_in(place, path, "", &names, &why);
    if (rc && rc != -ENOENT)
        return xw_error_set(err, -rc, "%s", why.message);
    if (rc)
        names = calloc(1, sizeof(*names));
    if (!names)
        return xw_error_set(err, ENOMEM, "out of memory");
    kept = names;
    for (char **at = names; *at; at++) {
        if (lab_name_check("saved state", *at, NULL))
            free(*at);
        else
            *kept++ = *at;
    }
    *kept = NULL;
    *ret = names;
    return 0;
}

/* One row of the list. */
static json_t *describe(const struct lab_place *place, const char *name, const char *tag)
{
    char folder[LAB_SAVE_PATH_MAX], path[LAB_SAVE_PATH_MAX + 8];
    xw_auto_json json_t *manifest = NULL;
    struct lab_record record;
    struct stat file;
    json_int_t created;
    json_t *row = NULL;

    if (lab_save_read(place, name, tag, &record, &manifest, NULL))
        return json_pack("{s:s, s:s}", "tag", tag, "status", "damaged");
    lab_save_path(name, tag, folder);
    snprintf(path, sizeof(path), "%s/state", folder);
    if (fstatat(place->labs, path, &file, 0) < 0 ||
        json_unpack(manifest, "{s:I}", "created", &created) != 0)
        row = json_pack("{s:s, s:s}", "tag", tag, "status", "damaged");
    else
        row = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "tag", tag, "status", "whole", "created",
                        created, "bytes", (json_int_t)file.st_blocks * 512, "release",
                        record.release, "qemu", record.qemu.version);
    lab_record_free(&record);
    return row;
}

static json_int_t created_of(const json_t *row)
{
    return json_integer_value(json_object_get(row, "created"));
}

static void insert_by_age(json_t *rows, json_t *row)
{
    size_t at = json_array_size(rows);

    while (at > 0 && created_of(json_array_get(rows, at - 1)) > created_of(row))
        at--;
    json_array_insert_new(rows, at, row);
}

int lab_save_list(const struct lab_place *place, const char *name, json_t **ret,
                  struct xw_error *err)
{
    json_t *rows = json_array();
    char **tags = NULL;
    int rc = rows ? 0 : xw_error_set(err, ENOMEM, "out of memory");

    if (!rc)
        rc = lab_save_tags(place, name, &tags, err);
    for (char **tag = tags; !rc && *tag; tag++) {
        json_t *row = describe(place, name, *tag);

        if (row)
            insert_by_age(rows, row);
        else
            rc = xw_error_set(err, ENOMEM, "out of memory");
    }
    lab_names_free(tags);
    if (rc)
        json_decref(rows);
    else
        *ret = rows;
    return rc;
}

int lab_save_any(const struct lab_place *place, const char *name, bool *ret, struct xw_error *err)
{
    char **tags;
    int rc = lab_save_tags(place, name, &tags, err);

    if (rc)
        return rc;
    *ret = tags[0] != NULL;
    lab_names_free(tags);
    return 0;
}

static int mark_chain(const struct lab_record *record, bool *needed, struct xw_error *err)
{
    size_t i;
    json_t *number;

    json_array_foreach (record->chain, i, number) {
        json_int_t n = json_is_integer(number) ? json_integer_value(number) : -1;

        if (n < 0 || n >= DISKS_MAX)
            return xw_error_set(err, EBADMSG, "a 'chain' of lab '%s' is damaged", record->name);
        needed[n] = true;
    }
    return 0;
}

/* What the saved states refer to. */
static int mark_saved(const struct lab_place *place, const char *name, bool *needed,
                      struct xw_error *err)
{
    struct lab_record record;
    char **tags;
    int rc = lab_save_tags(place, name, &tags, err);

    if (rc)
        return rc;
    for (char **tag = tags; !rc && *tag; tag++) {
        rc = lab_save_read(place, name, *tag, &record, NULL, err);
        if (rc)
            break;
        rc = mark_chain(&record, needed, err);
        lab_record_free(&record);
    }
    lab_names_free(tags);
    return rc;
}

/* Everything the running lab and its saved states refer to. */
static int mark_needed(const struct lab_place *place, const char *name, bool *needed,
                       struct xw_error *err)
{
    struct lab_record record;
    int rc = lab_record_read(place, name, &record, err);

    if (rc)
        return rc;
    if (record.pid)
        rc = mark_chain(&record, needed, err);
    lab_record_free(&record);
    return rc ? rc : mark_saved(place, name, needed, err);
}

/* The number of "disk-N.qcow2", or -1. */
static int disk_number(const char *file)
{
    char same[32];
    int number;

    if (sscanf(file, "disk-%d.qcow2", &number) != 1 || number < 0 || number >= DISKS_MAX)
        return -1;
    snprintf(same, sizeof(same), "disk-%d.qcow2", number);
    return strcmp(same, file) == 0 ? number : -1;
}

void lab_save_tidy(const struct lab_place *place, const char *name)
{
    xw_auto_free bool *needed = calloc(DISKS_MAX, sizeof(*needed));
    xw_auto_closedir DIR *folder = open_folder(place, name);
    struct xw_error why = XW_ERROR_INIT;
    const struct dirent *entry;
    int rc = needed && folder ? mark_needed(place, name, needed, &why)
                              : xw_error_set_errno(&why, "labs/%s", name);

    if (rc)
        xw_log(XW_LOG_WARNING, "lab '%s': what its saved states stand on cannot be known (%s): "
               "disks that nothing needs stay", name, why.message);
    while (!rc && (entry = readdir(folder))) {
        int number = disk_number(entry->d_name);

        if (number >= 0 && !needed[number])
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
}

int lab_save_next_disk(const struct lab_place *place, const char *name, int *ret,
                       struct xw_error *err)
{
    xw_auto_closedir DIR *folder = open_folder(place, name);
    const struct dirent *entry;
    int highest = -1;

    if (!folder)
        return xw_error_set_errno(err, "lab '%s'", name);
    while ((entry = readdir(folder)))
        if (disk_number(entry->d_name) > highest)
            highest = disk_number(entry->d_name);
    if (highest + 1 >= DISKS_MAX)
        return xw_error_set(err, ENOSPC,
                            "lab '%s' has been saved too often: 'xenwright lab down' ends "
                            "it",
                            name);
    *ret = highest + 1;
    return 0;
}
