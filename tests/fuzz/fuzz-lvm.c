/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as what lvs says; and as the name of a device. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/lvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct xw_lvm_volume *volume)
{
    if (volume->data < -1 || volume->data > 99999 || volume->metadata < -1)
        abort();
    if (xw_lvm_find(volume, volume->name) != volume)
        abort();
}

/* A path that is taken for one of LVM's has two names that are files' names. */
static void check_path(const uint8_t *data, size_t size)
{
    char path[PATH_MAX];
    struct xw_lvm_name name;

    snprintf(path, sizeof(path), "/dev/%.*s", (int)size, (const char *)data);
    if (xw_lvm_parse_path(path, &name))
        return;
    if (!name.vg[0] || !name.lv[0] || strchr(name.vg, '/') || strchr(name.lv, '/') ||
        !strcmp(name.vg, "..") || !strcmp(name.lv, ".."))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_lvm_volume *volumes;
    int ret = xw_lvm_parse_report((const char *)data, size, &volumes, &err);

    if (size < 256)
        check_path(data, size);
    if (ret && (ret != -err.code || !err.message[0] || volumes))
        abort();
    for (const struct xw_lvm_volume *volume = volumes; volume; volume = volume->next)
        check(volume);
    xw_lvm_volumes_free(volumes);
    return 0;
}
