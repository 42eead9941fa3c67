/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an image is made of: the layers' packages and the scripts that finish it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lab/image.h"

#define LAYER_SIZE_MAX (64 * 1024)

static int no_such_layer(int layers, const char *name, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer known = XW_BUFFER_INIT(512);
    int copy = dup(layers);
    xw_auto_closedir DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "base") != 0)
            xw_buffer_printf(&known, NULL, "%s%s", known.length ? ", " : "", entry->d_name);
    return xw_error_set(err, EINVAL, "there is no layer '%s'; there are: %s", name,
                        xw_buffer_text(&known));
}

/* Append the package names of a layer, each with a ',' before it, and its text to what is hashed.
 */
static int add_layer(int layers, const char *name, struct xw_buffer *packages,
                     struct xw_buffer *hashed, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(LAYER_SIZE_MAX);
    struct xw_error reason = XW_ERROR_INIT;
    xw_auto_free char *whole = NULL;
    char *rest, *line;
    int rc =
        strchr(name, '/') ? -ENOENT : xw_file_read(layers, name, LAYER_SIZE_MAX, &text, &reason);

    if (rc == -ENOENT)
        return no_such_layer(layers, name, err);
    if (rc)
        return xw_error_set(err, -rc, "layer '%s': %s", name, reason.message);
    rc = xw_buffer_append(hashed, text.data, text.length, err);
    if (rc)
        return rc;
    whole = xw_buffer_steal(&text);
    for (line = strtok_r(whole, "\n", &rest); line && !rc; line = strtok_r(NULL, "\n", &rest))
        if (line[0] != '#')
            rc = xw_buffer_printf(packages, err, "%s%s", packages->length ? "," : "", line);
    return rc;
}

static int add_script(int share, const char *name, struct xw_buffer *hashed, struct xw_error *err)
{
    return xw_file_read(share, name, LAYER_SIZE_MAX, hashed, err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_layers(struct lab_recipe *recipe)
{
    size_t kept = 0;

    qsort(recipe->layers, recipe->layer_count, sizeof(recipe->layers[0]), compare_names);
    for (size_t i = 0; i < recipe->layer_count; i++)
        if (kept == 0 || strcmp(recipe->layers[i], recipe->layers[kept - 1]) != 0)
            recipe->layers[kept++] = recipe->layers[i];
    recipe->layer_count = kept;
}

int lab_recipe_load(struct lab_recipe *recipe, const struct lab_data *data, struct xw_error *err)
{
    static const char *const scripts[] = {"image/initrd-setup", "image/customise",
                                          "image/make-disk", "guest/make-base"};
    xw_auto_buffer struct xw_buffer packages = XW_BUFFER_INIT(LAYER_SIZE_MAX);
    xw_auto_buffer struct xw_buffer hashed = XW_BUFFER_INIT(1024 * 1024);
    xw_auto_close int share = open(data->share, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_close int layers = share < 0 ? -1 : openat(share, "layers", O_RDONLY | O_DIRECTORY |
                                                                          O_CLOEXEC);
    int rc;

    if (layers < 0)
        return xw_error_set_errno(err, "%s/layers (part of xenwright; install it again)",
                                  data->share);
    sort_layers(recipe);
    rc = xw_buffer_printf(&hashed, err, "image %d %s\n", 1, recipe->release->codename);
    if (!rc)
        rc = add_layer(layers, "base", &packages, &hashed, err);
    for (size_t i = 0; i < recipe->layer_count && !rc; i++)
        rc = add_layer(layers, recipe->layers[i], &packages, &hashed, err);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]) && !rc; i++)
        rc = add_script(share, scripts[i], &hashed, err);
    if (rc)
        return rc;
    xw_hash_bytes(hashed.data, hashed.length, recipe->hash);
    recipe->packages = xw_buffer_steal(&packages);
    return 0;
}

void lab_recipe_free(struct lab_recipe *recipe)
{
    free(recipe->packages);
    recipe->packages = NULL;
}

void lab_report(const struct lab_reporter *reporter, const char *step, int percent)
{
    if (reporter && reporter->step)
        reporter->step(reporter->opaque, step, percent);
}
