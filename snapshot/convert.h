/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conversion of an image: the part that changes what `xl create` opens, and what becomes of it
 * where that was cut off.
 *
 * An image and the format that the configuration has for it cannot be changed in one step. A qcow2
 * image that is opened as raw is destroyed by the first write; a raw image that is opened as qcow2
 * is refused by QEMU. So the configuration comes first, and the image takes its place after.
 */
#ifndef XENWRIGHT_SNAPSHOT_CONVERT_H
#define XENWRIGHT_SNAPSHOT_CONVERT_H

#include "snapshot/session.h"

struct xw_convert {
    struct xw_store_disk *disk; /* its path; IMAGE.xw-ID.new is the new image */
    char *from, *to;            /* formats as libxl names them */
    char *config;               /* the configuration file */
    char *backup;               /* what it is kept as, as it was; NULL: it is not ours to change */
    char *old;                  /* what the old image is kept as; NULL: it is removed */
    int64_t size, mtime_ns; /* of the image when this began */
};

void xw_convert_free(struct xw_convert *convert);

/* The arguments of the journal's "convert". NULL: out of memory. */
json_t *xw_convert_json(const struct xw_convert *convert);

/* Whether the configuration file can be made to say the new format; it is not changed. */
int xw_convert_check_config(const struct xw_convert *convert, struct xw_error *err);

/* Whether the image is still what it was, unwritten. -EBUSY. */
int xw_convert_check_unchanged(const struct xw_convert *convert, struct xw_error *err);

/* The file that is to take the image's place. */
void xw_convert_fresh(const struct xw_convert *convert, char out[PATH_MAX]);

/*
 * After the journal's "swapping": the configuration, then the image. Where that fails all is as it
 * was before, or (said in front of the message) is left to the next command.
 */
int xw_convert_swap(struct xw_session *session, struct xw_convert *convert, struct xw_error *err);

/* Nothing was swapped: remove what was made; the journal is done. */
int xw_convert_undo(struct xw_session *session, struct xw_convert *convert, struct xw_error *err);

#endif
