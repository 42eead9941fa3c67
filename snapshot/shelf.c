/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records on disk: read, written, removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/killpoint.h"
#include "snapshot/record.h"

#define PATH_SIZE (2 * XW_SNAPSHOT_ID_SIZE + 32)

static const struct xw_json_limits limits = {.size = XW_RECORD_MAX_SIZE,
                                             .depth = XW_RECORD_MAX_DEPTH};

int xw_snapshot_read(const struct xw_snapshots *snapshots, const char *vm, const char *id,
                     struct xw_snapshot **ret, struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    char path[PATH_SIZE];
    int rc;

    snprintf(path, sizeof(path), "%s/%s/snapshot.json", vm, id);
    rc = xw_json_read_file(snapshots->dirfd, path, &limits, &json, err);
    if (!rc)
        rc = xw_snapshot_parse(json, path, ret, err);
    if (!rc && strcmp((*ret)->id, id)) {
        xw_snapshot_free(*ret);
        rc = xw_error_set(err, EBADMSG, "%s: 'id': this is the record of another snapshot", path);
    }
    return rc;
}

int xw_snapshot_write(const struct xw_snapshots *snapshots, const char *vm,
                      const struct xw_snapshot *snapshot, struct xw_error *err)
{
    xw_auto_json json_t *json = xw_snapshot_json(snapshot);
    char path[PATH_SIZE];
    int rc;

    if (!json)
        return xw_error_set(err, ENOMEM, "snapshot '%s': out of memory", snapshot->name);
    snprintf(path, sizeof(path), "%s/%s", vm, snapshot->id);
    rc = xw_file_make_folders(snapshots->dirfd, path, 0700, err);
    xw_kill_point("record/folder");
    snprintf(path, sizeof(path), "%s/%s/snapshot.json", vm, snapshot->id);
    if (!rc)
        rc = xw_json_write_file(snapshots->dirfd, path, json, 0600, err);
    xw_kill_point("record/written");
    return rc;
}

int xw_snapshot_forget(const struct xw_snapshots *snapshots, const char *vm, const char *id,
                       struct xw_error *err)
{
    char path[PATH_SIZE];
    int rc;

    snprintf(path, sizeof(path), "%s/%s", vm, id);
    rc = xw_file_remove_tree(snapshots->dirfd, path, err);
    xw_kill_point("record/removed");
    return rc ? rc : xw_file_sync_folder_of(snapshots->dirfd, path, err);
}

int xw_vm_read(const struct xw_snapshots *snapshots, const char *id, struct xw_snapshot_vm **ret,
               json_t **disks, struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    char path[PATH_SIZE];
    int rc;

    snprintf(path, sizeof(path), "%s/vm.json", id);
    rc = xw_json_read_file(snapshots->dirfd, path, &limits, &json, err);
    if (!rc)
        rc = xw_vm_parse(json, path, ret, disks, err);
    if (!rc && strcmp((*ret)->id, id) != 0) {
        xw_snapshot_vm_free(*ret);
        json_decref(*disks);
        *ret = NULL;
        *disks = NULL;
        rc = xw_error_set(err, EBADMSG, "%s: 'id': this is the record of another VM", path);
    }
    return rc;
}

int xw_vm_write(const struct xw_snapshots *snapshots, const struct xw_snapshot_vm *vm,
                json_t *disks, struct xw_error *err)
{
    xw_auto_json json_t *json = xw_vm_json(vm, disks);
    char path[PATH_SIZE];
    int rc;

    if (!json)
        return xw_error_set(err, ENOMEM, "the record of '%s': out of memory", vm->name);
    rc = xw_file_make_folders(snapshots->dirfd, vm->id, 0700, err);
    xw_kill_point("vm/folder");
    snprintf(path, sizeof(path), "%s/vm.json", vm->id);
    if (!rc)
        rc = xw_json_write_file(snapshots->dirfd, path, json, 0600, err);
    xw_kill_point("vm/written");
    return rc;
}

/* Ordered by age; equal times by id, so that the order is always the same. */
static void insert(struct xw_snapshot **at, struct xw_snapshot *snapshot)
{
    while (*at && ((*at)->created_ms < snapshot->created_ms ||
                   ((*at)->created_ms == snapshot->created_ms &&
                    strcmp((*at)->id, snapshot->id) < 0)))
        at = &(*at)->next;
    snapshot->next = *at;
    *at = snapshot;
}

int xw_vm_read_snapshots(const struct xw_snapshots *snapshots, struct xw_snapshot_vm *vm,
                         struct xw_error *err)
{
    int fd = openat(snapshots->dirfd, vm->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir)
        return xw_error_set_errno(err, "the records of '%s': %s/%s", vm->name, snapshots->state,
                                  vm->id);
    while ((entry = readdir(dir))) {
        struct xw_snapshot *snapshot;
        int rc;

        if (!xw_snapshot_is_id(entry->d_name))
            continue;
        rc = xw_snapshot_read(snapshots, vm->id, entry->d_name, &snapshot, NULL);
        if (!rc)
            insert(&vm->snapshots, snapshot);
        else if (rc != -ENOENT) /* without a record: one that is being made, the journal knows it */
            vm->damaged++;
    }
    return 0;
}

bool xw_vm_is_bare(const struct xw_snapshots *snapshots, const char *id)
{
    int fd = openat(snapshots->dirfd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (xw_snapshot_is_id(entry->d_name))
            return false;
    }
    return dir;
}

/* vm.json goes last: without it nobody would look at the rest again. */
int xw_vm_forget(const struct xw_snapshots *snapshots, const char *id, struct xw_error *err)
{
    char path[PATH_SIZE];
    int rc;

    snprintf(path, sizeof(path), "%s/journal", id);
    rc = xw_file_remove_tree(snapshots->dirfd, path, err);
    if (!rc)
        rc = xw_file_remove_tree(snapshots->dirfd, id, err);
    xw_kill_point("vm/removed");
    snprintf(path, sizeof(path), ".lock-%s", id);
    return rc ? rc : xw_file_remove_tree(snapshots->dirfd, path, err);
}
