/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The header of a qcow2 image (QEMU's docs/interop/qcow2.txt, "Header"), read without QEMU: also of
 * images that a guest has open, on which qemu-img must not be run. What is read here does not
 * change while a guest writes.
 */
#ifndef XENWRIGHT_SNAPSHOT_QCOW2_HEADER_H
#define XENWRIGHT_SNAPSHOT_QCOW2_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenwright/error.h>

#define XW_QCOW2_NAME_SIZE 1024 /* a backing file name has at most 1023 bytes */

struct xw_qcow2_header {
    uint32_t version; /* 2 or 3 */
    uint32_t cluster_bits;
    uint64_t size; /* bytes the guest sees */
    bool encrypted;
    bool external_data;                /* its data is in another file */
    char backing[XW_QCOW2_NAME_SIZE]; /* as it is written there; "": none */
    char backing_format[16];           /* as QEMU calls it; "": not written there */
    uint32_t snapshots;                /* internal ones: 'qemu-img snapshot' */
    uint64_t snapshots_offset;         /* where their table is */
    uint32_t l1_entries;
    uint64_t l1_offset;
};

/* -EBADMSG: not a qcow2 image, or a damaged one; names `path`. */
int xw_qcow2_header_read(const char *path, struct xw_qcow2_header *ret, struct xw_error *err);

/* The same from `size` bytes, the first of an image. */
int xw_qcow2_header_parse(const void *data, size_t size, const char *path,
                          struct xw_qcow2_header *ret, struct xw_error *err);

/* What the table of internal snapshots holds. */
struct xw_qcow2_table {
    bool found;    /* one of the name that was looked for */
    uint32_t ours; /* how many are called as ours are: "xw-" and an id */
};

/* Also of an image that a guest has open. -EBADMSG: damaged, or more than this is made for. */
int xw_qcow2_table_read(const char *path, const char *name, struct xw_qcow2_table *ret,
                        struct xw_error *err);

/* The same from the bytes of the table, which are perhaps more than it has. */
int xw_qcow2_table_parse(const void *data, size_t size, uint32_t count, const char *path,
                         const char *name, struct xw_qcow2_table *ret, struct xw_error *err);

/*
 * Whether nothing has been written to the image: its L1 table is empty, so all comes from the
 * backing file. Only of an image that nobody has open.
 */
int xw_qcow2_is_empty(const char *path, bool *ret, struct xw_error *err);

#endif
