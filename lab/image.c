/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding images in the cache. */
#include "lab/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "lab/manifest.h"

static int open_image(const struct lab_place *place, const char *key)
{
    return openat(place->images, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whether the folder is an image of the recipe; *ret_created is when it was made. */
static bool is_of_recipe(int folder, const struct lab_recipe *recipe, json_t **ret_manifest,
                         int64_t *ret_created)
{
    struct xw_error ignored = XW_ERROR_INIT;
    xw_auto_json json_t *manifest = NULL;
    const char *hash;

    if (lab_manifest_read(folder, &manifest, &ignored) ||
        xw_json_string(manifest, "manifest", "recipe", &hash, &ignored) ||
        xw_json_integer(manifest, "manifest", "created", 0, INT64_MAX, ret_created, &ignored))
        return false;
    if (strcmp(hash, recipe->hash) != 0)
        return false;
    *ret_manifest = json_incref(manifest);
    return true;
}

int lab_image_find(const struct lab_place *place, const struct lab_recipe *recipe, bool clear,
                   struct lab_image *ret, struct xw_error *err)
{
    const struct lab_shelf images = lab_shelf_images(place);
    int copy = openat(place->images, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *all = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    int64_t newest = -1;

    if (!all)
        return xw_error_set_errno(err, "%s/images", place->path);
    while ((entry = readdir(all))) {
        struct xw_error why = XW_ERROR_INIT;
        xw_auto_json json_t *manifest = NULL;
        xw_auto_close int folder = -1;
        int64_t created;

        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(ret->key))
            continue;
        folder = open_image(place, entry->d_name);
        if (folder < 0 || !is_of_recipe(folder, recipe, &manifest, &created) || created <= newest ||
            lab_shelf_is_aside(&images, entry->d_name))
            continue;
        if (lab_manifest_check(manifest, folder, false, &why)) {
            lab_shelf_damaged(&images, entry->d_name, why.message, clear);
            continue;
        }
        newest = created;
        snprintf(ret->key, sizeof(ret->key), "%s", entry->d_name);
    }
    if (newest < 0)
        return xw_error_set(err, ENOENT, "no image of %s is there: run 'xenwright lab build'",
                            recipe->release->codename);
    return 0;
}
