/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as the configuration file of a guest. Runs libxlutil, which must not end the program.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xenwright/xlconfig.h>

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
    xw_xlconfig_free(config);
    return 0;
}
