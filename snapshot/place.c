/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* Another command makes the record of a new VM in this time, or something is wrong with it. */
#define STATE_LOCK_MS 10000

static int open_state(struct xw_snapshots *snapshots, struct xw_error *err)
{
    if (snapshots->dirfd >= 0)
        return 0;
    snapshots->dirfd = open(snapshots->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (snapshots->dirfd >= 0 || errno == ENOENT)
        return 0;
    return xw_error_set_errno(err, "the records of snapshots: %s", snapshots->state);
}

int xw_snapshots_make_state(struct xw_snapshots *snapshots, struct xw_error *err)
{
    int rc = 0;

    if (snapshots->dirfd < 0)
        rc = xw_file_make_folders(AT_FDCWD, snapshots->state, 0700, err);
    return rc ? rc : open_state(snapshots, err);
}

int xw_snapshots_open(const char *state, struct xw_host *host, struct xw_snapshots **ret,
                      struct xw_error *err)
{
    struct xw_snapshots *snapshots = calloc(1, sizeof(*snapshots));
    int rc;

    if (!snapshots || !(snapshots->state = strdup(state ? state : XW_SNAPSHOT_STATE))) {
        free(snapshots);
        return xw_error_set(err, ENOMEM, "no memory for a handle to the snapshots");
    }
    snapshots->dirfd = -1;
    snapshots->host = host;
    rc = open_state(snapshots, err);
    if (rc)
        xw_snapshots_close(snapshots);
    else
        *ret = snapshots;
    return rc;
}

void xw_snapshots_close(struct xw_snapshots *snapshots)
{
    if (!snapshots)
        return;
    if (snapshots->dirfd >= 0)
        close(snapshots->dirfd);
    free(snapshots->state);
    free(snapshots);
}

bool xw_snapshot_is_id(const char *text)
{
    return strlen(text) == XW_SNAPSHOT_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == XW_SNAPSHOT_ID_SIZE - 1;
}

int xw_snapshots_lock(const struct xw_snapshots *snapshots, const char *vm, struct xw_lock *lock,
                      struct xw_error *err)
{
    char path[8 + XW_SNAPSHOT_ID_SIZE];

    snprintf(path, sizeof(path), vm ? ".lock-%s" : ".lock", vm);
    return xw_lock_take(lock, snapshots->dirfd, path, XW_LOCK_EXCLUSIVE, vm ? 0 : STATE_LOCK_MS,
                        err);
}
