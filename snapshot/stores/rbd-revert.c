/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Back to a snapshot of an RBD image. Nothing is copied ("rbd snap rollback" leaves a mixture when
 * it is cut off, and takes as long as the image is large): the snapshot is cloned, and the clone
 * put in the image's place.
 *
 * The kernel knows a mapped image by its id, and udev names the device as the image was called when
 * it was mapped. So a rename moves neither the device nor its name, and a mapping that is kept
 * would lead to the old content under the image's name. Hence the VM has to be off, and:
 *
 *     IMAGE (old)         IMAGE.xw-ID.revert (new)   rbd unmap: nothing is at the disk's path;
 *                                                    rbd rename IMAGE
 *     IMAGE.xw-old-…      IMAGE.xw-ID.revert         rbd rename IMAGE.xw-ID.revert
 *     IMAGE.xw-old-…      IMAGE (new)                rbd map
 *
 * Until the last step an `xl create` finds no disk, and never a wrong one. Who unmaps an image that
 * somebody has open is refused by the kernel.
 *
 * The old image keeps the snapshots that were made of it. It goes when the last of them has gone,
 * and no clone needs it any more: clones are of the kind (2) that lets a snapshot be removed all
 * the same, which Ceph then keeps out of sight for as long as it has to.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/stores/rbd.h"

/* The kernel maps no image that stands on more others (RBD_MAX_PARENT_CHAIN_LEN). */
#define MOST_PARENTS 15

int xw_rbd_revert_check(struct xw_store_disk *disk, struct xw_error *err)
{
    if (!disk->running)
        return 0;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' is an RBD image, which can only be reverted while nothing "
                        "has it open: shut the VM down first",
                        disk->vdev, disk->path);
}

/* How many images it stands on. */
static int check_parents(const struct xw_store_disk *disk, const struct xw_rbd_name *holder,
                         struct xw_rbd_info *info, struct xw_error *err)
{
    struct xw_rbd_info parent;
    int rc = xw_rbd_info(holder, info, err);

    parent = *info;
    for (int count = 1; !rc && parent.has_parent; count++) {
        struct xw_rbd_name next = parent.parent;

        if (count >= MOST_PARENTS)
            return xw_error_set(err, ENOSPC,
                                "disk %s: '%s' would stand on more images than the kernel allows, "
                                "each of which a revert has left: make it independent by 'rbd "
                                "flatten' of the image that has the snapshot, '%s'",
                                disk->vdev, disk->path, holder->image);
        /* In Ceph's trash, where an administrator has put it, it goes by its id. */
        if (xw_rbd_info(&next, &parent, NULL))
            return 0;
    }
    return rc;
}

static int clone(const struct xw_store_disk *disk, const struct xw_rbd_name *holder,
                 const struct xw_rbd_name *replacement, const struct xw_rbd_info *info,
                 struct xw_error *err)
{
    char from[XW_RBD_PATH_SIZE], to[XW_RBD_PATH_SIZE];
    char name[XW_RBD_NAME_SIZE];
    const char *const words[] = {"clone", "--rbd_default_clone_format=2", from, to,
                                 info->data_pool[0] ? "--data-pool" : NULL, info->data_pool, NULL};
    int rc;

    xw_rbd_snapshot_name(disk, name);
    xw_rbd_spec(holder, name, from);
    xw_rbd_spec(replacement, "", to);
    rc = xw_rbd_run(words, err);
    if (rc)
        xw_error_prefix(err, "disk %s: what is to replace it cannot be made from '%s'", disk->vdev,
                        from);
    return rc;
}

int xw_rbd_revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_name holder, replacement;
    struct xw_rbd_info info = {0};
    int rc = xw_rbd_disk_open(disk, &of, err);

    if (!rc)
        rc = xw_rbd_locate(&of, disk, &holder, err);
    if (rc == 0)
        rc = xw_rbd_gone(disk, disk->data, err);
    if (rc == 1)
        rc = xw_rbd_check_space(disk, err);
    if (!rc)
        rc = check_parents(disk, &holder, &info, err);
    if (rc)
        return rc;
    xw_rbd_replacement(&of, disk, &replacement);
    if (xw_rbd_has_image(&of, &replacement))
        rc = xw_rbd_change("rm", &replacement, NULL, err);
    return rc ? rc : clone(disk, &holder, &replacement, &info, err);
}

/* Other hosts may have it open as well: whoever has, watches it. */
static int check_unwatched(const struct xw_store_disk *disk, const struct xw_rbd_name *image,
                           struct xw_error *err)
{
    size_t watchers = 0;
    int rc = xw_rbd_watchers(image, &watchers, err);

    if (rc || watchers == 0)
        return rc;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' is in use elsewhere ('rbd status' shows by whom): no host "
                        "may have it mapped while it is reverted",
                        disk->vdev, disk->path);
}

/* The kernel does not unmap what is open. */
static int move_old(const struct xw_store_disk *disk, const struct xw_rbd_disk *of,
                    struct xw_error *err)
{
    struct xw_rbd_info info = {0};
    struct xw_rbd_name old;
    int rc = xw_rbd_unmap(&of->name, "", err);

    if (!rc)
        rc = check_unwatched(disk, &of->name, err);
    if (!rc)
        rc = xw_rbd_info(&of->name, &info, err);
    if (rc)
        return rc;
    xw_rbd_old(of, info.id, &old);
    return xw_rbd_change("rename", &of->name, &old, err);
}

/* The device that udev has under the name is that of the image that Ceph has under it. */
static int check_path(struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_rbd_mapping mapping;

    if (xw_rbd_of_device(disk->path, &mapping))
        return xw_error_set(err, ENODEV,
                            "disk %s: the image is mapped, but there is no '%s': udev's rules of "
                            "ceph-common make that name",
                            disk->vdev, disk->path);
    return xw_rbd_check_image(disk, &mapping, err);
}

int xw_rbd_revert_swap(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_mapping as = {0};
    struct xw_rbd_name replacement;
    bool mapped, waits;
    int rc = xw_rbd_disk_open(disk, &of, err);

    if (rc)
        return rc;
    xw_rbd_replacement(&of, disk, &replacement);
    waits = xw_rbd_has_image(&of, &replacement);
    if (!waits && !of.present)
        return xw_rbd_gone(disk, disk->path, err);
    mapped = xw_rbd_find_mapping(&of.name, "", XW_RBD_ANY, &as) == 0;
    if (waits && of.present) {
        rc = move_old(disk, &of, err);
        if (rc && mapped)
            xw_rbd_map(&of.name, "", &as, NULL);
    }
    if (!rc && waits)
        rc = xw_rbd_change("rename", &replacement, &of.name, err);
    if (!rc)
        rc = xw_rbd_map(&of.name, "", mapped ? &as : NULL, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s' is not reverted", disk->vdev, disk->path);
    return rc ? rc : check_path(disk, err);
}

bool xw_rbd_revert_waits(const struct xw_store_disk *disk)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_name replacement;

    if (xw_rbd_disk_open(disk, &of, NULL))
        return false;
    xw_rbd_replacement(&of, disk, &replacement);
    return of.present && xw_rbd_has_image(&of, &replacement);
}

/* An old image without snapshots is not needed. */
int xw_rbd_revert_settle(struct xw_store_disk *disk, struct xw_error *err)
{
    return xw_rbd_tidy(disk, err);
}

/* The image may have been unmapped for a swap that then failed. */
int xw_rbd_revert_undo(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    struct xw_rbd_name replacement;
    int rc = xw_rbd_disk_open(disk, &of, err);

    if (!rc && of.present)
        rc = xw_rbd_map(&of.name, "", NULL, err);
    if (rc)
        return rc;
    xw_rbd_replacement(&of, disk, &replacement);
    return xw_rbd_has_image(&of, &replacement) ? xw_rbd_change("rm", &replacement, NULL, err) : 0;
}
