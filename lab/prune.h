/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving disk space back: images and states that no lab needs.
 *
 * A lab, or one of its saved states, needs the state it woke from and the image below that. Of the
 * others those go that are of no more use (damaged; states of an image that is gone; images and
 * states not used for LAB_PRUNE_DAYS), or, with `all`, every one. What failed and killed commands
 * left goes as well.
 */
#ifndef LAB_PRUNE_H
#define LAB_PRUNE_H

#include <jansson.h>
#include <stdbool.h>

#include "lab/place.h"

#define LAB_PRUNE_DAYS 30

/*
 * *ret: array of {"kind": "image"|"state"|"remains", "key", "bytes", "why"}, what was (with
 * dry_run: would be) removed; the caller's to json_decref. -EBUSY while a lab is being brought up.
 */
int lab_prune(const struct lab_place *place, bool all, bool dry_run, json_t **ret,
              struct xw_error *err);

/* Held (shared) while a lab is brought up, from choosing an image to the record that names it. */
#define LAB_USE_LOCK "tmp/use.lock"

/* Note that an image or state was used now: the time of its folder. */
void lab_prune_touch(int folder, const char *key);

#endif
