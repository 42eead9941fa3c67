/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/lock.h"
#include "lab/failed.h"
#include "lab/image.h"
#include "lab/manifest.h"
#include "lab/record.h"
#include "lab/save-files.h"
#include "lab/save.h"

void lab_prune_touch(int folder, const char *key)
{
    if (key[0])
        utimensat(folder, key, NULL, 0);
}

/* Keys that are needed, as members of two JSON objects. */
struct needed {
    json_t *images, *states;
};

static void need(json_t *set, const char *key)
{
    if (key && key[0])
        json_object_set_new(set, key, json_true());
}

static int need_saved(const struct lab_place *place, const char *name, struct needed *needed,
                      struct xw_error *err)
{
    char **tags;
    int rc = lab_save_tags(place, name, &tags, err);

    if (rc)
        return rc;
    for (char **tag = tags; *tag; tag++) {
        struct lab_record record;

        rc = lab_save_read(place, name, *tag, &record, NULL, err);
        if (rc)
            break;
        need(needed->images, record.image);
        need(needed->states, record.state);
        lab_record_free(&record);
    }
    lab_names_free(tags);
    return rc;
}

static int find_needed(const struct lab_place *place, struct needed *needed, struct xw_error *err)
{
    char **names = NULL;
    int rc = lab_names(place, &names, err);

    for (char **name = rc ? NULL : names; !rc && *name; name++) {
        struct lab_record record;

        /* What a lab without a readable record needs cannot be known. */
        rc = lab_record_read(place, *name, &record, err);
        if (rc)
            break;
        need(needed->images, record.image);
        need(needed->states, record.state);
        lab_record_free(&record);
        rc = need_saved(place, *name, needed, err);
    }
    lab_names_free(names);
    return rc;
}

/* Bytes that a folder of the cache takes on the disk. */
static json_int_t disk_bytes(const struct lab_place *place, const char *folder)
{
    char path[2 * PATH_MAX];
    char *const roots[] = {path, NULL};
    json_int_t bytes = 0;
    FTSENT *entry;
    FTS *tree;

    snprintf(path, sizeof(path), "%s/%s", place->path, folder);
    tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    while (tree && (entry = fts_read(tree)))
        if (entry->fts_info == FTS_F)
            bytes += (json_int_t)entry->fts_statp->st_blocks * 512;
    if (tree)
        fts_close(tree);
    return bytes;
}

/* The image below a state; "" where that cannot be read. */
static void image_of(const struct lab_place *place, const char *state, char out[LAB_KEY_MAX])
{
    xw_auto_close int folder = openat(place->states, state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_json json_t *manifest = NULL;
    const char *image = NULL;

    if (folder >= 0 && lab_manifest_read(folder, &manifest, NULL) == 0)
        image = json_string_value(json_object_get(manifest, "image"));
    snprintf(out, LAB_KEY_MAX, "%s", image ? image : "");
}

/* Whether nothing is woken from a state any more, since nothing is made of its image. */
static bool is_outlived(const struct lab_place *place, const char *state)
{
    const struct lab_shelf images = lab_shelf_images(place);
    char image[LAB_KEY_MAX];

    image_of(place, state, image);
    return !image[0] || faccessat(place->images, image, F_OK, 0) < 0 ||
           lab_shelf_is_aside(&images, image);
}

/* Why a folder may go; NULL when it is to stay. */
static const char *reason(const struct lab_place *place, const struct lab_shelf *shelf,
                          const char *key, const json_t *needed, bool all)
{
    struct stat info;

    if (key[0] == '.' || json_object_get(needed, key))
        return NULL;
    if (lab_shelf_is_aside(shelf, key))
        return "damaged";
    if (strcmp(shelf->kind, "state") == 0 && is_outlived(place, key))
        return "its image is gone";
    if (all)
        return "no lab needs it";
    if (fstatat(shelf->folder, key, &info, 0) == 0 &&
        time(NULL) - info.st_mtime > LAB_PRUNE_DAYS * 86400)
        return "not used for long";
    return NULL;
}

/* A row of what goes; `folder` is its path in the cache. */
static int take_away(const struct lab_place *place, const char *kind, const char *key,
                     const char *folder, const char *why, bool dry_run, json_t *removed,
                     struct xw_error *err)
{
    json_array_append_new(removed, json_pack("{s:s, s:s, s:I, s:s}", "kind", kind, "key", key,
                                             "bytes", disk_bytes(place, folder), "why", why));
    return dry_run ? 0 : xw_file_remove_tree(place->cache, folder, err);
}

static int prune_shelf(const struct lab_place *place, const struct lab_shelf *shelf,
                       const json_t *needed, bool all, bool dry_run, json_t *removed,
                       struct xw_error *err)
{
    int copy = openat(shelf->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    int rc = 0;

    while (folder && !rc && (entry = readdir(folder))) {
        const char *why = reason(place, shelf, entry->d_name, needed, all);
        char path[NAME_MAX + 32];

        if (!why)
            continue;
        snprintf(path, sizeof(path), "%ss/%s", shelf->kind, entry->d_name);
        rc = take_away(place, shelf->kind, entry->d_name, path, why, dry_run, removed, err);
    }
    return rc;
}

/* What commands left that failed or were killed. */
struct remains {
    const char *folder, *prefix;
    /* Held by who is at work: a path in the cache, or what is put behind that of the folder. NULL:
     * nobody is while the use lock is ours. */
    const char *lock;
    const char *why;
};

static int prune_remains(const struct lab_place *place, const struct remains *remains, bool dry_run,
                         json_t *removed, struct xw_error *err)
{
    int copy = openat(place->cache, remains->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    int rc = 0;

    while (folder && !rc && (entry = readdir(folder))) {
        char path[NAME_MAX + 32], lock_path[NAME_MAX + 64];
        struct xw_lock lock = XW_LOCK_INIT;
        struct stat info;

        snprintf(path, sizeof(path), "%s/%s", remains->folder, entry->d_name);
        if (remains->lock)
            snprintf(lock_path, sizeof(lock_path), "%s%s",
                     strchr("./", remains->lock[0]) ? path : "", remains->lock);
        if (strncmp(entry->d_name, remains->prefix, strlen(remains->prefix)) != 0 ||
            fstatat(place->cache, path, &info, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(info.st_mode) ||
            (remains->lock &&
             xw_lock_take(&lock, place->cache, lock_path, XW_LOCK_EXCLUSIVE, 0, NULL) != 0))
            continue;
        rc = take_away(place, "remains", path, path, remains->why, dry_run, removed, err);
        xw_lock_release(&lock);
    }
    return rc;
}

static int prune_all_remains(const struct lab_place *place, bool dry_run, json_t *removed,
                             struct xw_error *err)
{
    static const struct remains all[] = {
        {"states", ".new-", NULL, "half made"},
        {"labs", ".state-", "/alive", "half made"},
        {"labs", LAB_FAILED_PREFIX, NULL, "of a lab that did not come up"},
        {"tmp", "image-", ".lock", "half made"},
        {"tmp", LAB_IMAGE_TEMP, LAB_IMAGE_TEMP_LOCK, "half made"},
    };
    int rc = 0;

    for (size_t i = 0; !rc && i < sizeof(all) / sizeof(all[0]); i++)
        rc = prune_remains(place, &all[i], dry_run, removed, err);
    return rc;
}

/* Images below states that stay are needed too. States go first, so that their images can follow.
 */
static void need_images(const struct lab_place *place, struct needed *needed, bool all)
{
    const struct lab_shelf states = lab_shelf_states(place);
    int copy = openat(place->states, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    char image[LAB_KEY_MAX];

    while (folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.' ||
            reason(place, &states, entry->d_name, needed->states, all))
            continue;
        image_of(place, entry->d_name, image);
        need(needed->images, image);
    }
}

int lab_prune(const struct lab_place *place, bool all, bool dry_run, json_t **ret,
              struct xw_error *err)
{
    xw_auto_json json_t *images = json_object(), *states = json_object(), *removed = json_array();
    const struct lab_shelf on_images = lab_shelf_images(place), on_states = lab_shelf_states(place);
    struct needed needed = {images, states};
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = xw_lock_take(&lock, place->cache, LAB_USE_LOCK, XW_LOCK_EXCLUSIVE, 0, NULL);

    if (rc == -EBUSY)
        return xw_error_set(err, EBUSY, "a lab is being brought up: prune when that is done");
    if (rc)
        return xw_error_set(err, -rc, "%s/" LAB_USE_LOCK " cannot be locked", place->path);
    rc = find_needed(place, &needed, err);
    if (!rc) {
        need_images(place, &needed, all);
        rc = prune_shelf(place, &on_states, states, all, dry_run, removed, err);
    }
    if (!rc)
        rc = prune_shelf(place, &on_images, images, all, dry_run, removed, err);
    if (!rc)
        rc = prune_all_remains(place, dry_run, removed, err);
    xw_lock_release(&lock);
    if (!rc)
        *ret = json_incref(removed);
    return rc;
}
