/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/qcow2-header.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAGIC 0x514649fbU /* "QFI\xfb" */
#define FIRST_BYTES 4096  /* header and backing file name: both are in the first cluster */
#define MOST_L1 (32U * 1024 * 1024 / 8) /* QEMU refuses larger tables */
#define V2_LENGTH 72
#define V3_LENGTH 104 /* or more: its last four bytes say */
#define EXTENSION_BACKING_FORMAT 0xe2792acaU
#define INCOMPATIBLE_EXTERNAL_DATA (UINT64_C(1) << 2)

/* The fields of version 2, and the one of version 3 that is of interest; all big-endian. */
struct fields {
    uint32_t magic, version;
    uint64_t backing_offset;
    uint32_t backing_size, cluster_bits;
    uint64_t size;
    uint32_t crypt_method, l1_size;
    uint64_t l1_offset, refcount_offset;
    uint32_t refcount_clusters, snapshots;
    uint64_t snapshots_offset;
    uint64_t incompatible;
} __attribute__((packed));

static int damaged(const char *path, const char *what, struct xw_error *err)
{
    return xw_error_set(err, EBADMSG, "'%s' is a damaged qcow2 image: %s", path, what);
}

static int copy_backing(const unsigned char *data, size_t size, const struct fields *fields,
                        const char *path, struct xw_qcow2_header *ret, struct xw_error *err)
{
    uint64_t offset = be64toh(fields->backing_offset);
    uint32_t length = be32toh(fields->backing_size);

    ret->backing[0] = '\0';
    if (offset == 0)
        return 0;
    if (length >= sizeof(ret->backing) || offset > size || length > size - offset)
        return damaged(path, "the name of its backing file is not where it may be", err);
    if (memchr(data + offset, '\0', length))
        return damaged(path, "the name of its backing file holds a NUL", err);
    memcpy(ret->backing, data + offset, length);
    ret->backing[length] = '\0';
    return 0;
}

static uint32_t number_at(const unsigned char *data, size_t at)
{
    uint32_t number;

    memcpy(&number, data + at, sizeof(number));
    return be32toh(number);
}

/* Of the header extensions the one that is of interest: type, length, data padded to 8 bytes; 0
 * ends. */
static void copy_format(const unsigned char *data, size_t size, struct xw_qcow2_header *ret)
{
    size_t at = V2_LENGTH;

    ret->backing_format[0] = '\0';
    if (ret->version > 2 && size >= V3_LENGTH)
        at = number_at(data, V3_LENGTH - 4);
    while (at < size && size - at >= 8) {
        uint32_t type = number_at(data, at), length = number_at(data, at + 4);

        at += 8;
        if (type == 0 || length > size - at)
            return;
        if (type == EXTENSION_BACKING_FORMAT && length < sizeof(ret->backing_format)) {
            memcpy(ret->backing_format, data + at, length);
            ret->backing_format[length] = '\0';
        }
        at += ((size_t)length + 7) / 8 * 8;
    }
}

int xw_qcow2_header_parse(const void *data, size_t size, const char *path,
                          struct xw_qcow2_header *ret, struct xw_error *err)
{
    struct fields fields = {0};

    if (size < offsetof(struct fields, incompatible))
        return xw_error_set(err, EBADMSG, "'%s' is not a qcow2 image: it is too short", path);
    memcpy(&fields, data, size < sizeof(fields) ? size : sizeof(fields));
    ret->version = be32toh(fields.version);
    if (be32toh(fields.magic) != MAGIC || ret->version < 2 || ret->version > 3)
        return xw_error_set(err, EBADMSG, "'%s' is not a qcow2 image of version 2 or 3", path);
    ret->cluster_bits = be32toh(fields.cluster_bits);
    if (ret->cluster_bits < 9 || ret->cluster_bits > 21)
        return damaged(path, "its clusters have a size that cannot be", err);
    ret->size = be64toh(fields.size);
    ret->encrypted = fields.crypt_method != 0;
    ret->external_data =
        ret->version == 3 && (be64toh(fields.incompatible) & INCOMPATIBLE_EXTERNAL_DATA);
    ret->snapshots = be32toh(fields.snapshots);
    ret->snapshots_offset = be64toh(fields.snapshots_offset);
    ret->l1_entries = be32toh(fields.l1_size);
    ret->l1_offset = be64toh(fields.l1_offset);
    if (ret->snapshots_offset > INT64_MAX)
        return damaged(path, "its table of snapshots cannot be", err);
    if (ret->l1_entries > MOST_L1 || ret->l1_offset > INT64_MAX)
        return damaged(path, "its L1 table cannot be", err);
    copy_format(data, size, ret);
    return copy_backing(data, size, &fields, path, ret, err);
}

static int open_image(const char *path, struct xw_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return fd >= 0 ? fd : xw_error_set_errno(err, "'%s'", path);
}

int xw_qcow2_header_read(const char *path, struct xw_qcow2_header *ret, struct xw_error *err)
{
    xw_auto_close int fd = open_image(path, err);
    unsigned char data[FIRST_BYTES];
    ssize_t got;

    if (fd < 0)
        return fd;
    got = pread(fd, data, sizeof(data), 0);
    if (got < 0)
        return xw_error_set_errno(err, "'%s'", path);
    return xw_qcow2_header_parse(data, (size_t)got, path, ret, err);
}

int xw_qcow2_is_empty(const char *path, bool *ret, struct xw_error *err)
{
    struct xw_qcow2_header header;
    xw_auto_free uint64_t *table = NULL;
    xw_auto_close int fd = -1;
    size_t size;
    int rc = xw_qcow2_header_read(path, &header, err);

    if (rc)
        return rc;
    size = header.l1_entries * sizeof(*table);
    fd = open_image(path, err);
    table = malloc(size + 1);
    if (fd < 0 || !table)
        return fd < 0 ? fd : xw_error_set(err, ENOMEM, "'%s': out of memory", path);
    if (pread(fd, table, size, (off_t)header.l1_offset) != (ssize_t)size)
        return damaged(path, "its L1 table is cut off", err);
    *ret = true;
    for (uint32_t i = 0; i < header.l1_entries && *ret; i++)
        *ret = table[i] == 0;
    return 0;
}
