/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/lab-recipe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

int cli_lab_recipe(struct cli_call *call, const struct lab_data *data, struct lab_recipe *recipe,
                   struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    const char *layer;
    int rc;

    if (lab_release_find(cli_string(call, "release"), &recipe->release, &why))
        return cli_misuse(call, err, "--release: %s", why.message);
    for (size_t i = 0; (layer = cli_strings(call, "with", i)); i++) {
        if (i == LAB_LAYERS_MAX)
            return cli_misuse(call, err, "--with can be given %d times at most", LAB_LAYERS_MAX);
        recipe->layers[recipe->layer_count++] = layer;
    }
    rc = lab_recipe_load(recipe, data, &why);
    if (rc == -EINVAL)
        return cli_misuse(call, err, "--with: %s", why.message);
    if (rc && err)
        *err = why;
    return rc;
}

void cli_lab_layers(const struct cli_call *call, struct cli_candidates *out)
{
    char path[PATH_MAX + 16];
    struct lab_data data;
    const struct dirent *entry;

    (void)call;
    if (lab_data_find(&data, NULL))
        return;
    snprintf(path, sizeof(path), "%s/layers", data.share);
    xw_auto_closedir DIR *folder = opendir(path);

    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "base") != 0)
            cli_candidate(out, entry->d_name, NULL);
}
