/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of internal snapshots of a qcow2 image (QEMU's docs/interop/qcow2.txt, "Snapshots"). */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/place.h"
#include "snapshot/qcow2-header.h"

/* QEMU allows more of both; an image has a few dozen snapshots at most. */
#define MOST_SNAPSHOTS 1024
#define MOST_BYTES (1024 * 1024)

#define OURS "xw-"

/* All big-endian. Then come extra data, the id and the name; the next begins at 8 bytes. */
struct entry {
    uint64_t l1_offset;
    uint32_t l1_size;
    uint16_t id_size, name_size;
    uint32_t seconds, nanoseconds;
    uint64_t clock;
    uint32_t state_size, extra_size;
} __attribute__((packed));

static void look_at(const char *found, size_t length, const char *name, struct xw_qcow2_table *ret)
{
    char id[XW_SNAPSHOT_ID_SIZE];

    if (length == strlen(name) && !memcmp(found, name, length))
        ret->found = true;
    if (length != strlen(OURS) + sizeof(id) - 1 || memcmp(found, OURS, strlen(OURS)) != 0)
        return;
    memcpy(id, found + strlen(OURS), sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    ret->ours += xw_snapshot_is_id(id);
}

int xw_qcow2_table_parse(const void *data, size_t size, uint32_t count, const char *path,
                         const char *name, struct xw_qcow2_table *ret, struct xw_error *err)
{
    size_t at = 0;

    *ret = (struct xw_qcow2_table){0};
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry;
        size_t extra, id, length;

        at = (at + 7) / 8 * 8;
        if (at > size || size - at < sizeof(entry) || i == MOST_SNAPSHOTS)
            break;
        memcpy(&entry, (const char *)data + at, sizeof(entry));
        at += sizeof(entry);
        extra = be32toh(entry.extra_size);
        id = be16toh(entry.id_size);
        length = be16toh(entry.name_size);
        if (extra > size - at || id + length > size - at - extra)
            break;
        look_at((const char *)data + at + extra + id, length, name, ret);
        at += extra + id + length;
        if (i + 1 == count)
            return 0;
    }
    if (count == 0)
        return 0;
    return xw_error_set(err, EBADMSG,
                        "'%s': its table of internal snapshots is damaged, or too large", path);
}

int xw_qcow2_table_read(const char *path, const char *name, struct xw_qcow2_table *ret,
                        struct xw_error *err)
{
    struct xw_qcow2_header header;
    xw_auto_free char *table = NULL;
    xw_auto_close int fd = -1;
    ssize_t got;
    int rc = xw_qcow2_header_read(path, &header, err);

    *ret = (struct xw_qcow2_table){0};
    if (rc || header.snapshots == 0)
        return rc;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    table = malloc(MOST_BYTES);
    if (fd < 0 || !table)
        return xw_error_set_errno(err, "'%s'", path);
    got = pread(fd, table, MOST_BYTES, (off_t)header.snapshots_offset);
    if (got < 0)
        return xw_error_set_errno(err, "'%s'", path);
    return xw_qcow2_table_parse(table, (size_t)got, header.snapshots, path, name, ret, err);
}
