/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as what rbd and rados say, as what the kernel says of a mapping, as a device's name. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/rbd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(int rc, const struct xw_error *err)
{
    if (rc && (rc != -err->code || !err->message[0]))
        abort();
}

static void check_entries(int (*parse)(const char *text, size_t length, struct xw_rbd_entry **ret,
                                       struct xw_error *err),
                          const char *text, size_t length)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_rbd_entry *entries;
    int rc = parse(text, length, &entries, &err);

    check_error(rc, &err);
    if (rc && entries)
        abort();
    for (const struct xw_rbd_entry *entry = entries; entry; entry = entry->next) {
        if (!xw_rbd_entry_find(entries, entry->name))
            abort();
    }
    xw_rbd_entries_free(entries);
}

static void check_rest(const char *text, size_t length)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_rbd_info info;
    uint64_t used, total;
    size_t watchers;

    check_error(xw_rbd_parse_info(text, length, &info, &err), &err);
    check_error(xw_rbd_parse_status(text, length, &watchers, &err), &err);
    check_error(xw_rbd_parse_df(text, length, &used, &total, &err), &err);
}

/* A path that is taken for one of RBD's is written the same way again. */
static void check_names(const uint8_t *data, size_t size)
{
    char text[PATH_MAX], again[XW_RBD_PATH_SIZE];
    struct xw_rbd_mapping mapping;
    struct xw_rbd_name name;

    snprintf(text, sizeof(text), "/dev/rbd/%.*s", (int)size, (const char *)data);
    xw_rbd_parse_config(text, &mapping);
    if (strchr(mapping.user, ',') || !strncmp(mapping.options, "secret=", 7) ||
        strstr(mapping.options, ",secret="))
        abort();
    if (xw_rbd_parse_path(text, &name))
        return;
    xw_rbd_path(&name, again);
    if (strcmp(text, again) != 0 || strchr(name.image, '/') || strchr(name.image, '@'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_entries(xw_rbd_parse_images, (const char *)data, size);
    check_entries(xw_rbd_parse_snapshots, (const char *)data, size);
    check_rest((const char *)data, size);
    if (size < 1024)
        check_names(data, size);
    return 0;
}
