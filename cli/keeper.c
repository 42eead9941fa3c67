/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/keeper.h"

#include <limits.h>
#include <unistd.h>

#include <xenwright/mirror.h>

#include "base/spawn.h"
#include "cli/snapshot.h"

int cli_keeper_start(const char *id, struct xw_error *err)
{
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    const char *const argv[] = {program, "__mirror", id, NULL};
    struct xw_child child;
    int rc;

    if (length < 0)
        return xw_error_set_errno(err, "/proc/self/exe");
    program[length] = '\0';
    rc = xw_spawn_start(&(struct xw_spawn){.argv = argv,
                                           .stdin_fd = XW_SPAWN_NULL,
                                           .stdout_fd = XW_SPAWN_NULL,
                                           .stderr_fd = XW_SPAWN_NULL,
                                           .new_session = true},
                        &child, err);
    if (!rc)
        xw_child_forget(&child);
    return rc;
}

int cli_keeper_run(const char *id, struct xw_error *err)
{
    struct cli_snapshots open;
    int rc = cli_snapshots_open(&open, err);

    if (!rc)
        rc = xw_mirror_keep(open.snapshots, id, err);
    cli_snapshots_close(&open);
    return rc;
}
