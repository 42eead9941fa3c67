/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of saved states; for lab/save*.c and those who ask what a saved state needs. */
#ifndef LAB_SAVE_FILES_H
#define LAB_SAVE_FILES_H

#include <jansson.h>
#include <stdint.h>

#include "host/qmp.h"
#include "lab/lab.h"

#define LAB_SAVE_PATH_MAX (2 * LAB_NAME_MAX + 32)

/* "NAME/saves/TAG", relative to labs/. */
void lab_save_path(const char *name, const char *tag, char out[LAB_SAVE_PATH_MAX]);

/*
 * What a saved state was of: the caller's to lab_record_free and, where it was asked for (not
 * NULL), to json_decref. -ENOENT says which there are not; any other error, why it cannot be used.
 */
int lab_save_read(const struct lab_place *place, const char *name, const char *tag,
                  struct lab_record *ret, json_t **ret_manifest, struct xw_error *err);

/* Say which there are: -ENOENT. */
int lab_save_unknown(const char *name, const char *tag, struct xw_error *err);

/* Begin a journal entry that names the saved state; tag NULL: all of them. */
int lab_save_begin(struct lab_hold *hold, const char *operation, const char *tag,
                   struct xw_error *err);

/* The overlay that is written to, as QEMU knows it. */
struct lab_save_disk {
    char node[64];
    uint64_t size; /* bytes, as the guest sees it */
    int number;    /* N of disk-N.qcow2 */
};
int lab_save_find_disk(struct xw_qmp *qmp, struct lab_save_disk *ret, struct xw_error *err);

/* After the lab stood still; a warning where it cannot be done. */
void lab_save_set_clock(const struct lab_hold *hold, const struct lab_record *record);

#define LAB_SAVE_FAILED "failed" /* step of the journal: it was not xenwright that was killed */

/* Undo what there is of a save, and say done: the machine goes on, and the record is right. */
int lab_save_undo(struct lab_hold *hold, struct xw_error *err);

/* Finish what lab_save_forget began before it was killed. */
int lab_save_go_on_forgetting(struct lab_hold *hold, const char *tag, struct xw_error *err);

#endif
