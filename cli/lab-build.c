/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab build: the image of a release. */
#include <errno.h>
#include <stdio.h>

#include "base/progress.h"
#include "cli/lab.h"
#include "cli/lab-recipe.h"

static int build(struct cli_call *call, const struct lab_place *place, const struct lab_data *data,
                 const struct lab_recipe *recipe, struct xw_error *err)
{
    struct xw_progress *progress = cli_progress(call, "building the image", 0);
    const struct lab_reporter reporter = cli_lab_reporter(progress);
    struct lab_image image;
    bool made = false;
    int rc = lab_image_build(place, data, recipe, cli_string(call, "mirror"), &reporter, &image,
                             &made, err);

    xw_progress_end(progress);
    if (!rc)
        printf("image %s %s\n", image.key, made ? "is made" : "is there already, up to date");
    return rc;
}

static int run_build(struct cli_call *call, struct xw_error *err)
{
    struct lab_place place = LAB_PLACE_INIT;
    struct lab_recipe recipe = {0};
    struct lab_data data;
    int rc = lab_data_find(&data, err);

    if (!rc)
        rc = cli_lab_recipe(call, &data, &recipe, err);
    if (!rc)
        rc = lab_place_open(&place, err);
    if (!rc && cli_flag(call, "dry-run"))
        printf("would make an image of %s from: %s\n", recipe.release->codename, recipe.packages);
    else if (!rc)
        rc = build(call, &place, &data, &recipe, err);
    lab_place_close(&place);
    lab_recipe_free(&recipe);
    return rc;
}

const struct cli_command cli_lab_build = {
    .verb = "build",
    .purpose = "Make the disk of a release, with today's packages",
    .description = "Makes dom0's disk from Debian packages, without root where user namespaces "
                   "serve. Nothing is done "
                   "when there is one of the same packages in the same versions. 'lab up' does "
                   "this by itself where "
                   "there is no image at all.",
    .arguments = {.usage = "", .min = 0, .max = 0},
    .options =
        (const struct cli_option[]){
            {.name = "release",
             .letter = 'r',
             .argument = "RELEASE",
             .help = "trixie (Debian 13; default) or bookworm",
             .value = {.kind = CLI_VALUE_RELEASE}},
            {.name = "with",
             .letter = 'w',
             .argument = "LAYER",
             .flags = CLI_REPEAT,
             .help = "add a set of packages",
             .value = {.kind = CLI_VALUE_CALLBACK, .list = cli_lab_layers}},
            {.name = "mirror",
             .argument = "URI",
             .help = "where packages come from (default: as for apt here)"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab build --release bookworm", "an image of Debian 12"},
            {"xenwright lab build --with lvm --with ovs", "one with LVM and Open vSwitch"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_build,
};
