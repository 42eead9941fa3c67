/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a test guest with xl. */
#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/spawn.h"
#include "lab/guest/guest.h"

/* The last line that xl writes is seldom the reason when it fails: all of them are shown then. */
static int run_xl(const struct guest_options *options, const char *config, struct xw_error *err)
{
    const char *const running[] = {"xl", "create", config, NULL};
    const char *const paused[] = {"xl", "create", "-p", config, NULL};
    struct xw_spawn spawn = {.argv = options->paused ? paused : running};
    struct xw_spawn_result result;
    int rc = xw_spawn_run(&spawn, &result, err);

    if (!rc && (result.end != XW_SPAWN_EXITED || result.status != 0)) {
        fputs(xw_buffer_text(&result.err), stderr);
        rc = xw_error_set(err, ECHILD, "guest '%s': 'xl create %s' failed", options->name, config);
    }
    xw_spawn_result_free(&result);
    return rc;
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
