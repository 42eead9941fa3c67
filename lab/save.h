/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saved states of one lab: labs/NAME/saves/TAG with `state` (memory and devices) and manifest.json
 * (what the lab was like, as in lab.json). The disk overlay of that moment, disk-N.qcow2, is
 * written to no more; the lab goes on in a new one on top. Overlays that neither a saved state nor
 * the running lab needs are removed.
 */
#ifndef LAB_SAVE_H
#define LAB_SAVE_H

#include <stdbool.h>

#include "lab/lab.h"

/*
 * Save a running lab. *ret_still_ms: how long it stood still for that. -EEXIST: the tag is taken.
 * -EBUSY: the lab does not run, or has disks of the user's own, whose content could not be kept.
 */
int lab_save_make(struct lab_hold *hold, const char *tag, const struct lab_reporter *reporter,
                  int64_t *ret_still_ms, struct xw_error *err);

/*
 * Whether it can be: the tag is free, and the lab one that can be saved. *ret: as it is now, the
 * caller's to lab_record_free.
 */
int lab_save_check_make(const struct lab_place *place, const char *name, const char *tag,
                        struct lab_record *ret, struct xw_error *err);

/* End the lab if it runs, and wake it as it was. *ret: the caller's to lab_record_free. */
int lab_save_restore(struct lab_hold *hold, const char *tag, struct lab_record *ret,
                     struct xw_error *err);

/*
 * Whether it can be: the saved state is whole, and its QEMU there. *ret: the lab as it was, the
 * caller's to lab_record_free.
 */
int lab_save_check_restore(const struct lab_place *place, const char *name, const char *tag,
                           struct lab_record *ret, struct xw_error *err);

/* Remove one saved state (tag) or all (NULL); of a lab that is down, the last one takes it along.
 */
int lab_save_forget(struct lab_hold *hold, const char *tag, struct xw_error *err);

/* Whether there is what would be forgotten; it need not be usable. -ENOENT, -EINVAL. */
int lab_save_check_forget(const struct lab_place *place, const char *name, const char *tag,
                          struct xw_error *err);

/*
 * Array of {"tag", "status", "created", "bytes", "release", "qemu"}, oldest first. One that cannot
 * be used has "tag" and "status" ("damaged", else "whole") only, and comes before the others.
 */
int lab_save_list(const struct lab_place *place, const char *name, json_t **ret,
                  struct xw_error *err);

/* Their tags, sorted, whether they can be used or not. Free with lab_names_free. */
int lab_save_tags(const struct lab_place *place, const char *name, char ***ret,
                  struct xw_error *err);

/* Whether a lab has any. */
int lab_save_any(const struct lab_place *place, const char *name, bool *ret, struct xw_error *err);

/* Remove overlays that nothing needs; where that cannot be known, none, with a warning. */
void lab_save_tidy(const struct lab_place *place, const char *name);

/* The number of an overlay that is not there yet. */
int lab_save_next_disk(const struct lab_place *place, const char *name, int *ret,
                       struct xw_error *err);

/* Undo a save, restore or forget that was interrupted; for lab_hold. */
int lab_save_put_right(struct lab_hold *hold, struct xw_error *err);

#endif
