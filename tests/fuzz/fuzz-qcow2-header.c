/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first bytes of an image, which a guest's owner may have made as he likes; and the same bytes
 * as a table of snapshots, of as many as the first one says.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/qcow2-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_table(const uint8_t *data, size_t size)
{
    struct xw_qcow2_table table;
    struct xw_error err = XW_ERROR_INIT;
    uint32_t count = size ? data[0] : 0;
    int rc = xw_qcow2_table_parse(data, size, count, "image", "name", &table, &err);

    if ((rc && (rc != -EBADMSG || !strstr(err.message, "'image'"))) || table.ours > count ||
        (table.found && count == 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qcow2_header header;
    int rc;

    parse_table(data, size);
    memset(&header, 0xff, sizeof(header));
    rc = xw_qcow2_header_parse(data, size, "image", &header, &err);
    if (rc) {
        if (rc != -EBADMSG || !strstr(err.message, "'image'"))
            abort();
        return 0;
    }
    if (header.version < 2 || header.version > 3 || header.cluster_bits < 9 ||
        header.cluster_bits > 21 || strlen(header.backing) >= XW_QCOW2_NAME_SIZE ||
        strlen(header.backing_format) >= sizeof(header.backing_format) ||
        header.l1_entries > 4 << 20 || header.l1_offset > INT64_MAX)
        abort();
    return 0;
}
