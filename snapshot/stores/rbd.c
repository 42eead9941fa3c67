/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RBD images of Ceph, mapped by the kernel. A snapshot is one of Ceph's own, IMAGE@xw-ID: it cannot
 * be written to, and any of them can be removed, in any order. How one is reverted to, and what
 * that leaves behind: rbd-revert.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/stores/rbd.h"

/* The kernel maps no image with more (RBD_MAX_SNAP_COUNT). */
#define MOST_SNAPSHOTS 510

/* Of ".xw-old-" and an id. */
#define LONGEST_ENDING (sizeof(".xw-old-") + XW_RBD_ID_SIZE)

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_rbd_mapping mapping;
    char path[XW_RBD_PATH_SIZE], *copy;
    int rc;

    if (strcmp(disk->format, "raw") != 0 || xw_rbd_of_device(disk->path, &mapping))
        return -EMEDIUMTYPE;
    if (mapping.snapshot[0])
        return xw_error_set(err, ENOTSUP, "disk %s: '%s' is a snapshot itself", disk->vdev,
                            disk->path);
    xw_rbd_path(&mapping.name, path);
    copy = strdup(path);
    if (!copy)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", disk->vdev);
    free(disk->path);
    disk->path = copy;
    rc = xw_store_check_alone(disk, err);
    return rc ? rc : xw_rbd_check_image(disk, &mapping, err);
}

static int place(struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_rbd_name image;
    int rc = xw_rbd_parse_disk(disk, &image, err);

    if (rc)
        return rc;
    if (strlen(image.image) + LONGEST_ENDING < XW_RBD_NAME_SIZE) {
        snprintf(disk->data, sizeof(disk->data), "%s@xw-%s", disk->path, disk->id);
        return 0;
    }
    return xw_error_set(err, ENAMETOOLONG,
                        "disk %s: the name of the image '%s' is too long to keep snapshots of it: "
                        "it may have 180 characters",
                        disk->vdev, disk->path);
}

static int check_count(const struct xw_store_disk *disk, const struct xw_rbd_name *image,
                       struct xw_error *err)
{
    struct xw_rbd_entry *snapshots = NULL;
    unsigned count = 0;
    int rc = xw_rbd_snapshots(image, &snapshots, err);

    for (const struct xw_rbd_entry *at = snapshots; at; at = at->next)
        count++;
    xw_rbd_entries_free(snapshots);
    if (rc || count < MOST_SNAPSHOTS)
        return rc;
    return xw_error_set(err, ENOSPC,
                        "disk %s: '%s' has %u snapshots, and with more the kernel could not map "
                        "it: delete some",
                        disk->vdev, disk->path, count);
}

static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_rbd_name image;
    int rc = xw_rbd_parse_disk(disk, &image, err);

    if (!rc)
        rc = xw_rbd_check_space(disk, err);
    if (!rc)
        rc = check_count(disk, &image, err);
    return rc ? rc : xw_store_flush(disk, err);
}

/*
 * The guest stands still. What it was told is written, Ceph has on disk (it has no cache that could
 * be lost); what the kernel still has in hand
 * is done before or after the snapshot, which is the same as before or after a power cut.
 */
static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    const char *const words[] = {"snap", "create", "--no-progress",
                                 disk->data + strlen("/dev/rbd/"), NULL};
    int rc = xw_store_flush(disk, err);

    if (!rc) {
        rc = xw_rbd_run(words, err);
        if (rc)
            xw_error_prefix(err, "disk %s: '%s' cannot be made", disk->vdev, disk->data);
    }
    return rc;
}

/* Ceph has it as soon as rbd has ended. */
static int settle(struct xw_store_disk *disk, struct xw_error *err)
{
    (void)disk;
    (void)err;
    return 0;
}

static int find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_name holder;
    int rc = xw_rbd_disk_open(disk, &of, err);

    if (!rc)
        rc = xw_rbd_locate(&of, disk, &holder, err);
    *ret = rc == 1 ? XW_STORE_TAKEN : XW_STORE_NOTHING;
    return rc < 0 ? rc : 0;
}

/* One that is mapped is what an export left that was killed. */
static int remove_snapshot(const struct xw_store_disk *disk, const struct xw_rbd_name *holder,
                           struct xw_error *err)
{
    char name[XW_RBD_NAME_SIZE], spec[XW_RBD_PATH_SIZE];
    const char *const words[] = {"snap", "rm", "--no-progress", spec, NULL};
    int rc;

    xw_rbd_snapshot_name(disk, name);
    xw_rbd_spec(holder, name, spec);
    rc = xw_rbd_unmap(holder, name, err);
    if (!rc)
        rc = xw_rbd_run(words, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s' cannot be removed", disk->vdev, spec);
    return rc;
}

/* What cannot be tidied up now is the next time. */
static int drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_name holder;
    int rc = xw_rbd_disk_open(disk, &of, err);

    (void)progress;
    if (!rc)
        rc = xw_rbd_locate(&of, disk, &holder, err);
    if (rc == 1)
        rc = remove_snapshot(disk, &holder, err);
    if (!rc)
        xw_rbd_tidy(disk, NULL);
    return rc;
}

static int undo(struct xw_store_disk *disk, struct xw_error *err)
{
    return drop(disk, NULL, err);
}

static int map_snapshot(const struct xw_store_disk *disk, const char *name, struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_name holder;
    int rc = xw_rbd_disk_open(disk, &of, err);

    if (!rc)
        rc = xw_rbd_locate(&of, disk, &holder, err);
    if (rc == 0)
        return xw_rbd_gone(disk, disk->data, err);
    if (rc == 1)
        rc = xw_rbd_map(&holder, name, NULL, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s' cannot be mapped, to be read", disk->vdev, disk->data);
    return rc;
}

/*
 * As a device of its own, for as long as somebody reads it: who reads it last ends the mapping,
 * since the kernel does not end one that is open. The name of the snapshot is no other's.
 */
static int expose(struct xw_store_disk *disk, bool on, struct xw_error *err)
{
    char name[XW_RBD_NAME_SIZE];
    struct xw_rbd_mapping mapping;
    struct xw_rbd_name any;
    int rc = xw_rbd_parse_disk(disk, &any, err);

    any.image[0] = '\0';
    xw_rbd_snapshot_name(disk, name);
    if (rc || !on)
        return rc ? rc : xw_rbd_unmap(&any, name, err);
    if (xw_rbd_find_mapping(&any, name, XW_RBD_ANY, &mapping))
        rc = map_snapshot(disk, name, err);
    if (!rc && xw_rbd_find_mapping(&any, name, XW_RBD_ANY, &mapping))
        rc = xw_error_set(err, ENODEV, "disk %s: the kernel has not mapped '%s'", disk->vdev,
                          disk->data);
    if (!rc)
        snprintf(disk->data, sizeof(disk->data), "/dev/rbd%u", mapping.number);
    return rc;
}

/* What of a snapshot no other shares, Ceph does not tell. */
static int space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_name holder;
    int rc = xw_rbd_disk_open(disk, &of, err);

    *ret = (struct xw_snapshot_space){.bytes = UINT64_MAX};
    if (!rc)
        rc = xw_rbd_locate(&of, disk, &holder, err);
    ret->missing = rc == 0;
    return rc < 0 ? rc : 0;
}

const struct xw_store xw_store_rbd = {
    .name = "rbd",
    .purpose = "RBD images of Ceph, by its snapshots and clones",
    .claims = claims,
    .place = place,
    .prepare = prepare,
    .take = take,
    .settle = settle,
    .find = find,
    .undo = undo,
    .revert_check = xw_rbd_revert_check,
    .revert_prepare = xw_rbd_revert_prepare,
    .revert_swap = xw_rbd_revert_swap,
    .revert_waits = xw_rbd_revert_waits,
    .revert_settle = xw_rbd_revert_settle,
    .revert_undo = xw_rbd_revert_undo,
    .drop = drop,
    .expose = expose,
    .space = space,
};
