/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What images and states have in common: each is a folder that is made under another name, gets its
 * own once it is whole, and does not change from then on.
 *
 * That name, the key, is its sort (what it is made of, as far as that is known before) and a hash
 * over its manifest, which has the hashes of its files. So what is made again of the same things is
 * called otherwise, and the name by which an overlay knows the disk below it never comes to mean
 * another.
 *
 * What turns out to be damaged keeps its name, for those who stand on a part of it that is whole; a
 * file `damaged` in it says that nothing new is to be made of it.
 */
#ifndef LAB_SHELF_H
#define LAB_SHELF_H

#include <jansson.h>
#include <stdbool.h>

#include "lab/place.h"

#define LAB_KEY_MAX 160

struct lab_shelf {
    const char *kind; /* "image" or "state"; with an "s", the folder's name in the cache */
    int folder;
};

struct lab_shelf lab_shelf_images(const struct lab_place *place);
struct lab_shelf lab_shelf_states(const struct lab_place *place);

/* One of that sort that is whole. -ENOENT, without a message: there is none. clear: as below. */
int lab_shelf_find(const struct lab_shelf *shelf, const char *sort, bool clear,
                   char ret[LAB_KEY_MAX]);

/* A damaged one was found: says so and, where `clear` is set, sets it aside. */
void lab_shelf_damaged(const struct lab_shelf *shelf, const char *key, const char *why, bool clear);

/* Whether it was set aside. */
bool lab_shelf_is_aside(const struct lab_shelf *shelf, const char *key);

/* Whether all files are what the manifest says: by size and time, or (content) in full. */
int lab_shelf_check(const struct lab_shelf *shelf, const char *key, bool content,
                    struct xw_error *err);

/* The same for one file, by size and time; the message begins with its path in the cache. */
int lab_shelf_check_file(const struct lab_shelf *shelf, const char *key, const char *file,
                         struct xw_error *err);

/*
 * Complete the manifest of a finished folder (at `path` in the cache) by its files, and give the
 * folder its name: ret, the key.
 */
int lab_shelf_put(const struct lab_place *place, const struct lab_shelf *shelf, const char *path,
                  const char *sort, json_t *manifest, const char *const *files,
                  char ret[LAB_KEY_MAX], struct xw_error *err);

#endif
