/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of a mirror: from and to the struct, and to and from the disk. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "snapshot/mirror.h"
#include "snapshot/record.h"

#define FORMAT 1
#define FOLDER "mirrors"
#define NAME_SIZE (sizeof(FOLDER) + XW_SNAPSHOT_ID_SIZE + 8)

/* Starting and ending takes seconds, of which most is the other host's. */
#define LOCK_MS 120000

void xw_mirror_free(struct xw_mirror *mirror)
{
    while (mirror) {
        struct xw_mirror *next = mirror->next;

        free(mirror->domain);
        free(mirror->vdev);
        free(mirror->path);
        free(mirror->target);
        free(mirror->format);
        free(mirror);
        mirror = next;
    }
}

/* What stands in names of jobs and nodes, and in messages. */
static bool is_vdev(const char *text)
{
    return text[0] && strlen(text) <= 16 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(text);
}

static int check(const struct xw_mirror *mirror, const char *where, struct xw_error *err)
{
    struct xw_mirror_place place;
    int rc = xw_mirror_place(mirror->target, &place, err);

    if (rc)
        xw_error_prefix(err, "%s: 'target'", where);
    else if (strcmp(place.text, mirror->target) != 0)
        rc = xw_error_set(err, EBADMSG, "%s: 'target': expected an absolute path", where);
    else if (!xw_snapshot_is_id(mirror->id))
        rc = xw_error_set(err, EBADMSG, "%s: 'id': expected 16 hexadecimal digits", where);
    else if (!is_vdev(mirror->vdev))
        rc = xw_error_set(err, EBADMSG, "%s: 'vdev': not the name of a disk", where);
    else if (mirror->path[0] != '/' || strlen(mirror->path) >= PATH_MAX)
        rc = xw_error_set(err, EBADMSG, "%s: 'path': expected an absolute path", where);
    else if (strcmp(mirror->format, "raw") != 0 && strcmp(mirror->format, "qcow2") != 0)
        rc = xw_error_set(err, EBADMSG, "%s: 'image': unknown: '%.20s'", where, mirror->format);
    xw_mirror_place_free(&place);
    return rc;
}

static int parse_numbers(const json_t *json, const char *where, struct xw_mirror *mirror,
                         struct xw_error *err)
{
    int64_t format, domid = 0;
    int rc = xw_json_integer(json, where, "format", 1, INT64_MAX, &format, err);

    if (!rc && format != FORMAT)
        rc = xw_error_set(err, EPROTONOSUPPORT,
                          "%s: made by a later version of xenwright; use that one", where);
    if (!rc)
        rc = xw_json_integer(json, where, "domid", 0, UINT32_MAX, &domid, err);
    if (!rc)
        rc = xw_json_integer(json, where, "created_ms", 0, INT64_MAX, &mirror->created_ms, err);
    mirror->domid = (uint32_t)domid;
    return rc;
}

/* A text of limited length into an array. */
static int copy_short(const json_t *json, const char *where, const char *key, char *ret,
                      size_t size, struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(json, where, key, &text, err);

    if (!rc && strlen(text) >= size)
        rc = xw_error_set(err, EBADMSG, "%s: '%s' is too long", where, key);
    if (!rc)
        memcpy(ret, text, strlen(text) + 1);
    return rc;
}

static int parse(const json_t *json, const char *where, struct xw_mirror *mirror,
                 struct xw_error *err)
{
    int rc = parse_numbers(json, where, mirror, err);

    if (!rc)
        rc = copy_short(json, where, "id", mirror->id, sizeof(mirror->id), err);
    if (!rc)
        rc = copy_short(json, where, "uuid", mirror->uuid, sizeof(mirror->uuid), err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "domain", &mirror->domain, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "vdev", &mirror->vdev, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "path", &mirror->path, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "target", &mirror->target, err);
    if (!rc)
        rc = xw_json_copy_string(json, where, "image", &mirror->format, err);
    return rc ? rc : check(mirror, where, err);
}

int xw_mirror_parse(const json_t *json, const char *where, struct xw_mirror **ret,
                    struct xw_error *err)
{
    struct xw_mirror *mirror = calloc(1, sizeof(*mirror));
    int rc;

    if (!mirror)
        return xw_error_set(err, ENOMEM, "%s: out of memory", where);
    rc = parse(json, where, mirror, err);
    if (rc)
        xw_mirror_free(mirror);
    else
        *ret = mirror;
    return rc;
}

json_t *xw_mirror_json(const struct xw_mirror *mirror)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:I}",
                     "format", FORMAT,
                     "id", mirror->id,
                     "domain", mirror->domain,
                     "uuid", mirror->uuid,
                     "domid", (json_int_t)mirror->domid,
                     "vdev", mirror->vdev,
                     "path", mirror->path,
                     "target", mirror->target,
                     "image", mirror->format,
                     "created_ms", (json_int_t)mirror->created_ms);
}

static void name_of(const char *id, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, FOLDER "/%s.json", id);
}

int xw_mirror_read(const struct xw_snapshots *snapshots, const char *id, struct xw_mirror **ret,
                   struct xw_error *err)
{
    static const struct xw_json_limits limits = {.size = XW_RECORD_MAX_SIZE,
                                                 .depth = XW_RECORD_MAX_DEPTH};
    xw_auto_json json_t *json = NULL;
    char name[NAME_SIZE];
    int rc;

    if (snapshots->dirfd < 0 || !xw_snapshot_is_id(id))
        return xw_error_set(err, ENOENT, "there is no mirror '%.20s'", id);
    name_of(id, name);
    rc = xw_json_read_file(snapshots->dirfd, name, &limits, &json, err);
    return rc ? rc : xw_mirror_parse(json, name, ret, err);
}

int xw_mirror_write(struct xw_snapshots *snapshots, const struct xw_mirror *mirror,
                    struct xw_error *err)
{
    xw_auto_json json_t *json = xw_mirror_json(mirror);
    char name[NAME_SIZE];

    if (!json)
        return xw_error_set(err, ENOMEM, "the record of a mirror: out of memory");
    name_of(mirror->id, name);
    return xw_json_write_file(snapshots->dirfd, name, json, 0600, err);
}

int xw_mirror_forget(const struct xw_snapshots *snapshots, const char *id, struct xw_error *err)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof(name), FOLDER "/%s.lock", id);
    unlinkat(snapshots->dirfd, name, 0);
    name_of(id, name);
    if (unlinkat(snapshots->dirfd, name, 0) < 0 && errno != ENOENT)
        return xw_error_set_errno(err, "%s/%s", snapshots->state, name);
    return xw_file_sync_folder_of(snapshots->dirfd, name, err);
}

/* ID.json? Then its id. */
static bool is_record(const char *name, char id[XW_SNAPSHOT_ID_SIZE])
{
    if (strlen(name) != XW_SNAPSHOT_ID_SIZE - 1 + strlen(".json"))
        return false;
    memcpy(id, name, XW_SNAPSHOT_ID_SIZE - 1);
    id[XW_SNAPSHOT_ID_SIZE - 1] = '\0';
    return xw_snapshot_is_id(id) && !strcmp(name + XW_SNAPSHOT_ID_SIZE - 1, ".json");
}

int xw_mirror_read_all(const struct xw_snapshots *snapshots, struct xw_mirror **ret,
                       struct xw_error *err)
{
    int fd = snapshots->dirfd >= 0
                 ? openat(snapshots->dirfd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                 : -1;
    xw_auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    char id[XW_SNAPSHOT_ID_SIZE];
    struct dirent *entry;

    *ret = NULL;
    if (snapshots->dirfd >= 0 && !dir && errno != ENOENT)
        return xw_error_set_errno(err, "the records of mirrors: %s/" FOLDER, snapshots->state);
    while (dir && (entry = readdir(dir))) {
        struct xw_mirror *mirror;

        /* One that goes meanwhile, or is damaged, does not hide the others. */
        if (!is_record(entry->d_name, id) || xw_mirror_read(snapshots, id, &mirror, NULL))
            continue;
        mirror->next = *ret;
        *ret = mirror;
    }
    return 0;
}

int xw_mirror_lock(struct xw_snapshots *snapshots, struct xw_lock *lock, struct xw_error *err)
{
    int rc = xw_snapshots_make_state(snapshots, err);

    if (!rc)
        rc = xw_file_make_folders(snapshots->dirfd, FOLDER, 0700, err);
    if (!rc)
        rc = xw_lock_take(lock, snapshots->dirfd, FOLDER "/.lock", XW_LOCK_EXCLUSIVE, LOCK_MS, err);
    if (rc == -EBUSY)
        xw_error_prefix(err, "another command starts or ends a mirror");
    return rc;
}
