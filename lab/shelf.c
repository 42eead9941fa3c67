/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sparse.h"
#include "lab/manifest.h"

#define ASIDE "damaged"

struct lab_shelf lab_shelf_images(const struct lab_place *place)
{
    return (struct lab_shelf){.kind = "image", .folder = place->images};
}

struct lab_shelf lab_shelf_states(const struct lab_place *place)
{
    return (struct lab_shelf){.kind = "state", .folder = place->states};
}

static int open_folder(const struct lab_shelf *shelf, const char *key)
{
    return openat(shelf->folder, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool lab_shelf_is_aside(const struct lab_shelf *shelf, const char *key)
{
    char path[LAB_KEY_MAX + 16];

    snprintf(path, sizeof(path), "%.*s/" ASIDE, LAB_KEY_MAX, key);
    return faccessat(shelf->folder, path, F_OK, 0) == 0;
}

void lab_shelf_damaged(const struct lab_shelf *shelf, const char *key, const char *why, bool clear)
{
    xw_auto_close int folder = clear ? open_folder(shelf, key) : -1;

    xw_log(XW_LOG_WARNING, "%s %s: %s; %s", shelf->kind, key, why,
           clear ? "it will be made again" : "it cannot be used");
    if (folder >= 0)
        xw_file_write(folder, ASIDE, why, strlen(why), 0600, NULL);
}

int lab_shelf_check(const struct lab_shelf *shelf, const char *key, bool content,
                    struct xw_error *err)
{
    xw_auto_close int folder = open_folder(shelf, key);
    xw_auto_json json_t *manifest = NULL;
    int rc = 0;

    if (folder < 0)
        return xw_error_set_errno(err, "%ss/%s", shelf->kind, key);
    rc = lab_manifest_read(folder, &manifest, err);
    return rc ? rc : lab_manifest_check(manifest, folder, content, err);
}

int lab_shelf_check_file(const struct lab_shelf *shelf, const char *key, const char *file,
                         struct xw_error *err)
{
    xw_auto_close int folder = open_folder(shelf, key);
    xw_auto_json json_t *manifest = NULL;
    int rc;

    if (folder < 0)
        return xw_error_set_errno(err, "%ss/%s", shelf->kind, key);
    rc = lab_manifest_read(folder, &manifest, err);
    if (!rc)
        rc = lab_manifest_check_file(manifest, folder, file, err);
    if (rc)
        xw_error_prefix(err, "%ss/%s", shelf->kind, key);
    return rc;
}

/* Whether a key is of the sort: behind it comes the hash of its own. */
static bool is_of(const char *key, const char *sort)
{
    size_t length = strlen(sort);

    return strncmp(key, sort, length) == 0 && key[length] == '-';
}

int lab_shelf_find(const struct lab_shelf *shelf, const char *sort, bool clear,
                   char ret[LAB_KEY_MAX])
{
    int copy = open_folder(shelf, ".");
    xw_auto_closedir DIR *all = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    while (all && (entry = readdir(all))) {
        struct xw_error why = XW_ERROR_INIT;
        int rc;

        if (!is_of(entry->d_name, sort) || strlen(entry->d_name) >= LAB_KEY_MAX ||
            lab_shelf_is_aside(shelf, entry->d_name))
            continue;
        rc = lab_shelf_check(shelf, entry->d_name, false, &why);
        if (rc == 0) {
            memcpy(ret, entry->d_name, strlen(entry->d_name) + 1);
            return 0;
        }
        /* What a later xenwright made is none of our business. */
        lab_shelf_damaged(shelf, entry->d_name, why.message, clear && rc != -EPROTONOSUPPORT);
    }
    return -ENOENT;
}

static int name_by(const json_t *manifest, const char *sort, char ret[LAB_KEY_MAX],
                   struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(64 * 1024);
    char hash[XW_HASH_TEXT_SIZE];
    int rc = xw_json_print(manifest, &text, err);

    if (rc)
        return rc;
    xw_hash_bytes(text.data, text.length, hash);
    if (snprintf(ret, LAB_KEY_MAX, "%s-%.8s", sort, hash) >= LAB_KEY_MAX)
        return xw_error_set(err, ENAMETOOLONG, "'%s' is too long for a name", sort);
    return 0;
}

int lab_shelf_put(const struct lab_place *place, const struct lab_shelf *shelf, const char *path,
                  const char *sort, json_t *manifest, const char *const *files,
                  char ret[LAB_KEY_MAX], struct xw_error *err)
{
    xw_auto_close int folder = openat(place->cache, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char key[LAB_KEY_MAX];
    int rc;

    if (folder < 0)
        return xw_error_set_errno(err, "%s", path);
    rc = lab_manifest_add_files(manifest, folder, files, err);
    if (!rc)
        rc = lab_manifest_write(manifest, folder, err);
    if (!rc)
        rc = name_by(manifest, sort, key, err);
    if (!rc && syncfs(folder) < 0)
        rc = xw_error_set_errno(err, "%s", path);
    if (!rc && renameat(place->cache, path, shelf->folder, key) < 0)
        rc = xw_error_set_errno(err, "%ss/%s", shelf->kind, key);
    if (!rc)
        rc = xw_file_sync_folder_of(shelf->folder, key, err);
    if (!rc)
        memcpy(ret, key, sizeof(key));
    return rc;
}
