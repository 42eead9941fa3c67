/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * manifest.json of an image or a state: what it is, and what its files were like when it was made.
 *
 * Each file is listed with size, time of change and content hash. A check compares size and time,
 * which costs nothing, and hashes the content only where these differ or when asked to.
 */
#ifndef LAB_MANIFEST_H
#define LAB_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>

#include <xenwright/error.h>

#define LAB_MANIFEST_FORMAT 1

/* Add `files` (ends in NULL), as they are now in `folder`, to the manifest. */
int lab_manifest_add_files(json_t *manifest, int folder, const char *const *files,
                           struct xw_error *err);

/* Write manifest.json into the folder. */
int lab_manifest_write(const json_t *manifest, int folder, struct xw_error *err);

/* Read and check format; the caller's to json_decref. -EPROTONOSUPPORT: of a later version. */
int lab_manifest_read(int folder, json_t **ret, struct xw_error *err);

/* Whether all files are as listed. -EBADMSG names the file that is not. */
int lab_manifest_check(const json_t *manifest, int folder, bool content, struct xw_error *err);

/* The same for one file, by size and time. */
int lab_manifest_check_file(const json_t *manifest, int folder, const char *file,
                            struct xw_error *err);

#endif
