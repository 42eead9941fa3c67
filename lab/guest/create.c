/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a test guest with xl. */
#include <stdio.h>

#include "base/file.h"
#include "base/spawn.h"
#include "lab/guest/guest.h"

static int run_xl(const struct guest_options *options, const char *config, struct xw_error *err)
{
    const char *const running[] = {"xl", "create", config, NULL};
    const char *const paused[] = {"xl", "create", "-p", config, NULL};
    struct xw_spawn spawn = {.argv = options->paused ? paused : running};

    return xw_spawn_check(&spawn, NULL, err);
}

int guest_create(const struct guest_options *options, struct xw_error *err)
{
    struct guest_stream stream;
    char ramdisk[PATH_MAX], config[PATH_MAX];
    int rc = guest_ramdisk_make(options->qga, ramdisk, err);

    if (rc)
        return rc;
    snprintf(config, sizeof(config), GUEST_RUN_DIR "/%s.cfg", options->name);
    rc = guest_config_write(options, ramdisk, options->config_only ? options->config_only : config,
                            err);
    if (rc || options->config_only)
        return rc;
    rc = run_xl(options, config, err);
    if (rc || options->paused || options->no_agent)
        return rc;
    rc = guest_stream_open(&stream, options->name, options->timeout_s * 1000, err);
    if (!rc)
        guest_stream_close(&stream);
    return rc;
}
