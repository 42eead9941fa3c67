/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/overlay.h"

#include "base/spawn.h"

int lab_overlay_make(int folder, const char *path, const char *backing, struct xw_error *err)
{
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                                "-b", backing, "--", path, NULL};
    const struct xw_spawn spawn = {.argv = argv, .cwd_fd = folder, .timeout_ms = 60000};

    return xw_spawn_check(&spawn, NULL, err);
}
