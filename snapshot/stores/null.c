/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/stores/null.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/beside.h"

int (*xw_null_watch)(const struct xw_store_disk *disk, const char *function);

static int watched(const struct xw_store_disk *disk, const char *function, struct xw_error *err)
{
    int rc = xw_null_watch ? xw_null_watch(disk, function) : 0;

    return rc ? xw_error_set(err, -rc, "disk %s: %s was made to fail", disk->vdev, function) : 0;
}

static int make(const struct xw_store_disk *disk, const char *ending, struct xw_error *err)
{
    xw_auto_close int fd = -1;
    char path[PATH_MAX];

    xw_beside_name(disk, ending, path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 ? 0 : xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, path);
}

static int discard(const struct xw_store_disk *disk, const char *ending, struct xw_error *err)
{
    char path[PATH_MAX];

    xw_beside_name(disk, ending, path);
    return xw_beside_remove(disk, path, err);
}

static bool is_there(const struct xw_store_disk *disk, const char *ending)
{
    char path[PATH_MAX];

    xw_beside_name(disk, ending, path);
    return access(path, F_OK) == 0;
}

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    struct stat st;

    if (!xw_null_watch || strcmp(disk->format, "raw") != 0 || stat(disk->path, &st) < 0 ||
        !S_ISREG(st.st_mode))
        return -EMEDIUMTYPE;
    disk->size = (uint64_t)st.st_size;
    return watched(disk, "claims", err);
}

static int place(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "place", err);

    return rc ? rc : xw_beside_place(disk, err);
}

static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "prepare", err);

    return rc ? rc : make(disk, ".new", err);
}

static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "take", err);

    return rc ? rc : make(disk, "", err);
}

static int settle(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "settle", err);

    return rc ? rc : discard(disk, ".new", err);
}

static int find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    if (is_there(disk, ""))
        *ret = XW_STORE_TAKEN;
    else
        *ret = is_there(disk, ".new") ? XW_STORE_PREPARED : XW_STORE_NOTHING;
    return watched(disk, "find", err);
}

static int undo(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "undo", err);

    if (!rc)
        rc = discard(disk, ".new", err);
    return rc ? rc : discard(disk, "", err);
}

static int revert_check(struct xw_store_disk *disk, struct xw_error *err)
{
    return watched(disk, "revert_check", err);
}

static int revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "revert_prepare", err);

    return rc ? rc : make(disk, ".revert", err);
}

static int revert_swap(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "revert_swap", err);

    return rc ? rc : discard(disk, ".revert", err);
}

static int revert_settle(struct xw_store_disk *disk, struct xw_error *err)
{
    return watched(disk, "revert_settle", err);
}

static int revert_undo(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = watched(disk, "revert_undo", err);

    return rc ? rc : discard(disk, ".revert", err);
}

static int drop_check(struct xw_store_disk *disk, struct xw_error *err)
{
    return watched(disk, "drop_check", err);
}

/* In two pieces: what others need is not moved, but the snapshot is gone only after a while. */
static int drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err)
{
    int rc = watched(disk, "drop", err);

    if (rc || !is_there(disk, ""))
        return rc ? rc : discard(disk, ".old", err);
    rc = make(disk, ".old", err);
    if (!rc)
        rc = discard(disk, "", err);
    progress->wait_ms = 1;
    return rc ? rc : 1;
}

static int space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err)
{
    (void)err;
    *ret = (struct xw_snapshot_space){.missing = access(disk->data, F_OK) < 0};
    return 0;
}

const struct xw_store xw_store_null = {
    .name = "null",
    .purpose = "nothing, in tests",
    .claims = claims,
    .place = place,
    .prepare = prepare,
    .take = take,
    .settle = settle,
    .find = find,
    .undo = undo,
    .revert_check = revert_check,
    .revert_prepare = revert_prepare,
    .revert_swap = revert_swap,
    .revert_waits = xw_beside_waits,
    .revert_settle = revert_settle,
    .revert_undo = revert_undo,
    .drop_check = drop_check,
    .drop = drop,
    .space = space,
};
