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

int lab_save_manifest(const struct lab_place *place, const char *name, const char *tag,
                      json_t **ret, struct xw_error *err)
{
    char path[LAB_SAVE_PATH_MAX];
    int rc = lab_name_check("saved state", tag, err);

    if (rc)
        return rc;
    lab_save_path(name, tag, path);
    xw_auto_close int folder = openat(place->labs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0)
        return xw_error_set(err, ENOENT, "lab '%s' has no saved state '%s'; 'xenwright lab states %s' "
                            "shows those it has", name, tag, name);
    return lab_manifest_read(folder, ret, err);
}

/* One row of the list; NULL for what is not a whole saved state. */
static json_t *describe(const struct lab_place *place, const char *name, const char *tag)
{
    char folder[LAB_SAVE_PATH_MAX], path[LAB_SAVE_PATH_MAX + 8];
    xw_auto_json json_t *manifest = NULL;
    struct stat file;
    const char *release, *qemu;
    json_int_t created;

    if (lab_save_manifest(place, name, tag, &manifest, NULL))
        return NULL;
    lab_save_path(name, tag, folder);
    snprintf(path, sizeof(path), "%s/state", folder);
    if (fstatat(place->labs, path, &file, 0) < 0 ||
        json_unpack(manifest, "{s:I, s:{s:s, s:s}}", "created", &created, "lab", "release", &release,
                    "qemu_version", &qemu) != 0)
        return NULL;
    return json_pack("{s:s, s:I, s:I, s:s, s:s}", "tag", tag, "created", created, "bytes",
                     (json_int_t)file.st_blocks * 512, "release", release, "qemu", qemu);
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
    char path[LAB_SAVE_PATH_MAX];
    json_t *rows = json_array();
    const struct dirent *entry;

    if (!rows)
        return xw_error_set(err, ENOMEM, "out of memory");
    lab_save_path(name, ".", path);
    xw_auto_closedir DIR *folder = open_folder(place, path);

    while (folder && (entry = readdir(folder))) {
        json_t *row = lab_name_check("saved state", entry->d_name, NULL)
                          ? NULL
                          : describe(place, name, entry->d_name);

        if (row)
            insert_by_age(rows, row);
    }
    *ret = rows;
    return 0;
}

bool lab_save_any(const struct lab_place *place, const char *name)
{
    xw_auto_json json_t *rows = NULL;

    return lab_save_list(place, name, &rows, NULL) == 0 && json_array_size(rows) > 0;
}

static void mark_chain(const json_t *chain, bool *needed)
{
    size_t i;
    json_t *number;

    json_array_foreach (chain, i, number) {
        json_int_t n = json_integer_value(number);

        if (n >= 0 && n < DISKS_MAX)
            needed[n] = true;
    }
}

/* Everything the running lab and its saved states refer to. */
static int mark_needed(const struct lab_place *place, const char *name, bool *needed,
                       struct xw_error *err)
{
    xw_auto_json json_t *rows = NULL;
    struct lab_record record;
    size_t i;
    json_t *row;
    int rc = lab_record_read(place, name, &record, err);

    if (rc)
        return rc;
    if (record.pid)
        mark_chain(record.chain, needed);
    lab_record_free(&record);
    rc = lab_save_list(place, name, &rows, err);
    json_array_foreach (rows, i, row) {
        xw_auto_json json_t *manifest = NULL;
        const char *tag = json_string_value(json_object_get(row, "tag"));

        if (!rc)
            rc = lab_save_manifest(place, name, tag, &manifest, err);
        if (!rc)
            mark_chain(json_object_get(json_object_get(manifest, "lab"), "chain"), needed);
    }
    return rc;
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

int lab_save_tidy(const struct lab_place *place, const char *name, struct xw_error *err)
{
    xw_auto_free bool *needed = calloc(DISKS_MAX, sizeof(*needed));
    xw_auto_closedir DIR *folder = open_folder(place, name);
    const struct dirent *entry;
    int rc;

    if (!needed || !folder)
        return xw_error_set_errno(err, "lab '%s'", name);
    rc = mark_needed(place, name, needed, err);
    while (!rc && (entry = readdir(folder))) {
        int number = disk_number(entry->d_name);

        if (number >= 0 && !needed[number])
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    return rc;
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
        return xw_error_set(err, ENOSPC, "lab '%s' has been saved too often: 'xenwright lab down' ends "
                            "it", name);
    *ret = highest + 1;
    return 0;
}
