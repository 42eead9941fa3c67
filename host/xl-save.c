/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/xl-save.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With a NUL and line ends that a text mode would change. */
static const char magic[32] = "Xen saved domain, xl format\n \0 \r";
#define BYTE_ORDER_VALUE UINT32_C(0x01020304)
#define CONFIG_IS_JSON (UINT32_C(1) << 0)
#define STREAM_IS_V2 (UINT32_C(1) << 1)

struct header {
    char magic[32];
    uint32_t byte_order, mandatory_flags, optional_flags, optional_size;
};

_Static_assert(sizeof(struct header) == XW_XL_SAVE_HEADER, "the header of xl has 48 bytes");

static int damaged(const char *path, const char *what, struct xw_error *err)
{
    return xw_error_set(err, EBADMSG, "'%s' is a damaged save file: %s", path, what);
}

static int check_header(const struct header *header, const char *path, struct xw_error *err)
{
    uint32_t known = CONFIG_IS_JSON | STREAM_IS_V2;

    if (memcmp(header->magic, magic, sizeof(magic)) != 0)
        return xw_error_set(err, EBADMSG, "'%s' is no file that 'xl save' or 'vm save' has written",
                            path);
    if (header->byte_order != BYTE_ORDER_VALUE)
        return xw_error_set(err, EPROTONOSUPPORT, "'%s' was saved on a host of another byte order",
                            path);
    if (header->mandatory_flags & ~known)
        return xw_error_set(err, EPROTONOSUPPORT,
                            "'%s' was saved by a later xl, whose files this version cannot read",
                            path);
    if (header->mandatory_flags != known)
        return xw_error_set(err, EPROTONOSUPPORT,
                            "'%s' was saved by an xl from before Xen 4.6, which is too old", path);
    if (header->optional_size > XW_XL_SAVE_MOST_DATA)
        return damaged(path, "its configuration is too large", err);
    return 0;
}

/* `data` is all of the optional data. */
static int split(const char *data, size_t size, const char *path, struct xw_xl_save *ret,
                 struct xw_error *err)
{
    uint32_t config;

    if (size < sizeof(config))
        return damaged(path, "it has no configuration", err);
    memcpy(&config, data, sizeof(config));
    data += sizeof(config);
    size -= sizeof(config);
    if (config == 0 || config > size)
        return damaged(path, "its configuration is cut off", err);
    if (memchr(data, '\0', config) != data + config - 1)
        return damaged(path, "its configuration does not end where it should", err);
    ret->config = data;
    ret->config_size = config - 1;
    ret->tail = data + config;
    ret->tail_size = size - config;
    return 0;
}

/* What has come when the file ends is said to be cut off, unless it can be no such file at all. */
static int check_length(const char *data, size_t size, const char *path, struct xw_error *err)
{
    size_t compared = size < sizeof(magic) ? size : sizeof(magic);

    if (size >= XW_XL_SAVE_HEADER)
        return 0;
    if (size && memcmp(data, magic, compared) == 0)
        return damaged(path, "it is cut off", err);
    return xw_error_set(err, EBADMSG, "'%s' is no file that 'xl save' or 'vm save' has written",
                        path);
}

int xw_xl_save_parse(const void *data, size_t size, const char *path, struct xw_xl_save *ret,
                     struct xw_error *err)
{
    struct header header;
    int rc = check_length(data, size, path, err);

    *ret = (struct xw_xl_save){0};
    if (rc)
        return rc;
    memcpy(&header, data, sizeof(header));
    rc = check_header(&header, path, err);
    if (rc)
        return rc;
    if (header.optional_size > size - sizeof(header))
        return damaged(path, "it is cut off", err);
    ret->memory = malloc(header.optional_size + 1);
    if (!ret->memory)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", path);
    memcpy(ret->memory, (const char *)data + sizeof(header), header.optional_size);
    ret->stream = sizeof(header) + header.optional_size;
    return split(ret->memory, header.optional_size, path, ret, err);
}

static int read_exactly(int fd, struct xw_buffer *out, size_t wanted, const char *path,
                        struct xw_error *err)
{
    while (out->length < wanted) {
        ssize_t got = xw_buffer_read(out, fd, wanted - out->length, err);

        if (got < 0)
            xw_error_prefix(err, "'%s'", path);
        if (got <= 0)
            return (int)got;
    }
    return 0;
}

int xw_xl_save_read(int fd, const char *path, struct xw_xl_save *ret, struct xw_error *err)
{
    struct xw_buffer data = XW_BUFFER_INIT(XW_XL_SAVE_HEADER + XW_XL_SAVE_MOST_DATA + 1);
    struct header header;
    int rc = read_exactly(fd, &data, sizeof(header), path, err);

    *ret = (struct xw_xl_save){0};
    if (!rc && data.length == sizeof(header)) {
        memcpy(&header, data.data, sizeof(header));
        rc = check_header(&header, path, err);
        if (!rc)
            rc = read_exactly(fd, &data, sizeof(header) + header.optional_size, path, err);
    }
    if (!rc)
        rc = xw_xl_save_parse(xw_buffer_text(&data), data.length, path, ret, err);
    xw_buffer_free(&data);
    return rc;
}

void xw_xl_save_free(struct xw_xl_save *save)
{
    free(save->memory);
    *save = (struct xw_xl_save){0};
}

int xw_xl_save_head(const char *config, const void *tail, size_t tail_size, struct xw_buffer *out,
                    struct xw_error *err)
{
    size_t size = strlen(config) + 1;
    uint32_t config_size = (uint32_t)size;
    struct header header = {
        .byte_order = BYTE_ORDER_VALUE,
        .mandatory_flags = CONFIG_IS_JSON | STREAM_IS_V2,
        .optional_size = (uint32_t)(sizeof(config_size) + size + tail_size),
    };
    int rc;

    if (sizeof(config_size) + size + tail_size > XW_XL_SAVE_MOST_DATA)
        return xw_error_set(err, EFBIG, "the configuration of the domain is too large to be saved");
    memcpy(header.magic, magic, sizeof(magic));
    rc = xw_buffer_append(out, &header, sizeof(header), err);
    if (!rc)
        rc = xw_buffer_append(out, &config_size, sizeof(config_size), err);
    if (!rc)
        rc = xw_buffer_append(out, config, size, err);
    return rc ? rc : xw_buffer_append(out, tail, tail_size, err);
}
