/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as the configuration file of a guest, and with another format for its first disk. Runs
 * libxlutil, which must not end the program.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xenwright/xlconfig.h>

#include "host/xlconfig-format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* After an error libxlutil itself loses some of what it had parsed. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libxlutil\n";
}

static void check(const struct xw_xlconfig *config)
{
    if (!*config->name || config->vcpus < 1 || config->max_vcpus < config->vcpus)
        abort();
    if (*config->uuid && strlen(config->uuid) != 36)
        abort();
    for (const struct xw_disk *disk = config->disks; disk; disk = disk->next) {
        if (!disk->vdev || !disk->target || !disk->format || !disk->script)
            abort();
    }
    for (const struct xw_vif *vif = config->vifs; vif; vif = vif->next) {
        if (*vif->mac && strlen(vif->mac) != 17)
            abort();
    }
}

/* What comes out says the new format, and can be changed no further. */
static void change_format(const char *text, size_t size, const char *vdev)
{
    struct xw_buffer changed = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    struct xw_buffer again = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);

    if (xw_xlconfig_set_format(text, size, "fuzz.cfg", vdev, "qcow2", &changed, NULL) == 0 &&
        (xw_xlconfig_set_format(changed.data, changed.length, "fuzz.cfg", vdev, "qcow2", &again,
                                NULL) ||
         again.length != changed.length || memcmp(again.data, changed.data, again.length) != 0))
        abort();
    xw_buffer_free(&changed);
    xw_buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xlconfig *config;
    int ret = xw_xlconfig_parse((const char *)data, size, "fuzz.cfg", &config, &err);

    if (ret && (ret != -err.code || !err.message[0]))
        abort();
    if (ret)
        return 0;
    check(config);
    if (config->disks)
        change_format((const char *)data, size, config->disks->vdev);
    xw_xlconfig_free(config);
    return 0;
}
