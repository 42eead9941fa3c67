/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images: the disk and the kernels of a dom0, made from Debian packages.
 *
 * An image is a folder images/KEY with dom0.qcow2, xen, vmlinuz, initrd.img, packages and
 * manifest.json (format 1). It is never written to once it is there: labs use overlays of its disk.
 * KEY is release, layers, a hash over the recipe (packages asked for, scripts) and over the
 * versions of all packages in it, and one that no other image has (lab/shelf.h).
 */
#ifndef LAB_IMAGE_H
#define LAB_IMAGE_H

#include <stdbool.h>

#include "base/sparse.h"
#include "lab/data.h"
#include "lab/place.h"
#include "lab/release.h"
#include "lab/shelf.h"

#define LAB_LAYERS_MAX 16

/* What an image is to be made of. */
struct lab_recipe {
    const struct lab_release *release;
    const char *layers[LAB_LAYERS_MAX]; /* beside "base"; sorted, each once; not owned */
    size_t layer_count;
    char hash[XW_HASH_TEXT_SIZE]; /* of packages and scripts; set by lab_recipe_load */
    char *packages;               /* names, joined by ','; owned */
};

/*
 * Read the layers named in recipe->layers and fill hash and packages. -EINVAL for a layer that is
 * not there (the message lists those there are). Free with lab_recipe_free.
 */
int lab_recipe_load(struct lab_recipe *recipe, const struct lab_data *data, struct xw_error *err);
void lab_recipe_free(struct lab_recipe *recipe);

/* Told what a long operation is at; percent below 0: not known. May be NULL where it is a
 * parameter. */
struct lab_reporter {
    void (*step)(void *opaque, const char *step, int percent);
    void *opaque;
};
void lab_report(const struct lab_reporter *reporter, const char *step, int percent);

struct lab_image {
    char key[LAB_KEY_MAX];
};

/*
 * The newest whole image of a recipe. -ENOENT: there is none. A damaged one (a file's size or time
 * of change, and then its content, is not what the manifest says) is passed over with a warning,
 * and where `clear` is set, set aside.
 */
int lab_image_find(const struct lab_place *place, const struct lab_recipe *recipe, bool clear,
                   struct lab_image *ret, struct xw_error *err);

/* Folders in tmp/ that begin so are mmdebstrap's. It holds this lock, shared, while it runs. */
#define LAB_IMAGE_TEMP "mmdebstrap."
#define LAB_IMAGE_TEMP_LOCK "tmp/mmdebstrap.lock"

/*
 * Make the image unless one with today's package versions is there (*ret_made: whether it was
 * made). mirror: of Debian's archive; NULL: the one apt on this machine uses.
 */
int lab_image_build(const struct lab_place *place, const struct lab_data *data,
                    const struct lab_recipe *recipe, const char *mirror,
                    const struct lab_reporter *reporter, struct lab_image *ret, bool *ret_made,
                    struct xw_error *err);

#endif
