/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The head of a file that 'xl save' writes and 'xl restore' reads (tools/xl/xl.h, struct
 * save_file_header), as of Xen 4.17 and 4.20, in the byte order of the host:
 *
 *     32 bytes   "Xen saved domain, xl format\n \0 \r"
 *     u32        0x01020304
 *     u32        mandatory flags: one that xl does not know has it refuse the file
 *     u32        optional flags, which xl does not look at
 *     u32        size of the optional data
 *
 *     u32        optional data: size of the configuration,
 *                the configuration: libxl's JSON, with a NUL behind it,
 *                the tail: xl skips what it does not understand
 *
 * Behind it is libxl's stream, to the end of the file (docs/specs/libxl-migration-stream.pandoc).
 */
#ifndef XENWRIGHT_HOST_XL_SAVE_H
#define XENWRIGHT_HOST_XL_SAVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define XW_XL_SAVE_HEADER 48               /* bytes before the optional data */
#define XW_XL_SAVE_MOST_DATA (4U << 20)    /* of optional data; xl itself writes a few KiB */

struct xw_xl_save {
    char *memory;       /* what the others point into; private */
    const char *config; /* libxl's JSON of the domain, with its NUL */
    size_t config_size; /* without that */
    const char *tail;
    size_t tail_size;
    uint64_t stream; /* where libxl's stream begins, in bytes from the start of the file */
};

/*
 * From a file that is open for reading, from its start. `path` is for messages. -EBADMSG: it is no
 * such file, or a damaged one; -EPROTONOSUPPORT: of a kind that this version does not read. Free
 * with xw_xl_save_free(), also after a failure.
 */
int xw_xl_save_read(int fd, const char *path, struct xw_xl_save *ret, struct xw_error *err);
void xw_xl_save_free(struct xw_xl_save *save);

/* The same from the first `size` bytes of a file, of which it takes a copy. */
int xw_xl_save_parse(const void *data, size_t size, const char *path, struct xw_xl_save *ret,
                     struct xw_error *err);

/* Append such a head to `out`. */
int xw_xl_save_head(const char *config, const void *tail, size_t tail_size, struct xw_buffer *out,
                    struct xw_error *err);

#endif
