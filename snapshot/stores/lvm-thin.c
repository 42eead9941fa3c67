/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Thin LVs (lvmthin(7)): a snapshot is a thin LV of the same pool, which shares its blocks. None
 * depends on another: each can be reverted to and removed, in any order.
 *
 * The snapshot is read-only, so that it cannot be changed by hand, and not active, so that it is no
 * device at all (its "activation skip" flag keeps it so). A revert does not touch it: it makes a
 * snapshot of it, which is writable, and puts that in the LV's place.
 *
 * LVM cannot exchange two names in one step. `lvconvert --merge` is one step, but takes a snapshot
 * back into the LV that it came from only, and that is a removed one after the first revert; it
 * eats the snapshot; and it waits while the device is open, as it is where a guest is held. So:
 *
 *     LV (old)    LV.xw-ID.revert (new)       lvchange -an LV, unless a guest is held; lvrename it
 *                                             to LV.xw-ID.old
 *                 LV.xw-ID.revert             lvrename LV.xw-ID.revert to LV
 *     LV (new)    LV.xw-ID.old (old)          lvremove LV.xw-ID.old
 *
 * Each is one commit of the VG's metadata. At the second line nothing is at the disk's path: an `xl
 * create` finds no disk, and never a wrong one. Both renames are one process, which goes on where
 * this one is killed; after a power cut just there, the next command does the second.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "snapshot/lvm.h"

/*
 * Where LVM itself has no lower limit. A snapshot takes hardly any space when it is made, but from
 * then on every block that the guest writes anew is a new one.
 */
#define FULL_PERCENT 95

/* The toolstack takes down a domain that was reset in a few seconds. */
#define CLOSED_MS 30000
#define POLL_MS 200

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc = xw_lvm_claim(disk, &of, err);

    if (rc)
        return rc;
    if (!of.lv->pool[0] || !xw_lvm_has_word(of.lv->layout, "thin"))
        return -EMEDIUMTYPE;
    if (xw_lvm_has_word(of.lv->role, "thickorigin"))
        return xw_error_set(
            err, ENOTSUP,
            "disk %s: '%s' is a thin LV with snapshots that are not thin ('lvcreate -s' "
            "with a size makes such): remove those first",
            disk->vdev, disk->path);
    return 0;
}

static int check_health(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                        const struct xw_lvm_volume *pool, struct xw_error *err)
{
    if (!pool->health[0])
        return 0;
    return xw_error_set(
        err, EIO,
        "disk %s: LVM says of the thin pool '%s/%s': %s; see lvmthin(7) before anything "
        "else is done with it",
        disk->vdev, of->name.vg, pool->name, pool->health);
}

/* As lvcreate does, but with figures, and while the guest runs. */
static int check_space(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                       const struct xw_lvm_volume *pool, struct xw_error *err)
{
    int64_t limit = 100;
    int used = pool->data > pool->metadata ? pool->data : pool->metadata;
    int rc = xw_lvm_setting("activation/thin_pool_autoextend_threshold", &limit, err);

    if (rc)
        return rc;
    limit = limit < FULL_PERCENT ? limit : FULL_PERCENT;
    if (used < limit * 100)
        return 0;
    return xw_error_set(
        err, ENOSPC,
        "disk %s: the thin pool '%s/%s' is too full for another snapshot: %d.%02d %% of its data, "
        "%d.%02d %% of its metadata are used, and the limit is %" PRId64 " %%%s; extend it "
        "(lvextend; %" PRIu64 " MiB are free in '%s'), or delete snapshots",
        disk->vdev, of->name.vg, pool->name, pool->data / 100, pool->data % 100,
        pool->metadata / 100, pool->metadata % 100, limit,
        limit < FULL_PERCENT ? " (from where LVM would extend it by itself)" : "",
        pool->vg_free >> 20, of->name.vg);
}

static int check_pool(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                      const struct xw_lvm_volume *lv, struct xw_error *err)
{
    const struct xw_lvm_volume *pool = xw_lvm_find(of->volumes, lv->pool);
    int rc;

    if (!pool)
        return xw_error_set(err, ENOENT, "disk %s: LVM shows no thin pool '%s/%s'", disk->vdev,
                            of->name.vg, lv->pool);
    rc = check_health(disk, of, pool, err);
    return rc || pool->data < 0 ? rc : check_space(disk, of, pool, err);
}

static int check_own_pool(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                          struct xw_error *err)
{
    return check_pool(disk, of, of->lv, err);
}

static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    return xw_lvm_prepare(disk, check_own_pool, err);
}

static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    static const char *const words[] = {"--setactivationskip", "y", "--activate", "n", NULL};

    return xw_lvm_take(disk, words, err);
}

static int make_replacement(const struct xw_store_disk *disk, struct xw_error *err)
{
    char name[XW_LVM_NAME_SIZE], from[2 * XW_LVM_NAME_SIZE];
    const char *const argv[] = {"lvcreate", "-qq",    "--snapshot", "--name", name,
                                "--permission", "rw", "--setactivationskip", "n", "--activate", "y",
                                from, NULL};
    int rc;

    xw_lvm_data_name(disk, ".revert", name);
    xw_lvm_data_path(disk, "", from);
    rc = xw_lvm_run(argv, err);
    if (rc)
        xw_error_prefix(err, "disk %s: what is to replace it cannot be made from '%s'", disk->vdev,
                        disk->data);
    return rc;
}

/* Made active, so that whether it can be is known while nothing has happened yet. */
static int revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    const struct xw_lvm_volume *data;
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (rc)
        return rc;
    data = xw_lvm_data_find(&of, disk, "");
    if (!data)
        return xw_lvm_gone(disk, disk->data, err);
    rc = check_pool(disk, &of, data, err);
    if (!rc && xw_lvm_data_find(&of, disk, ".revert"))
        rc = xw_lvm_remove(disk, ".revert", err);
    return rc ? rc : make_replacement(disk, err);
}

/*
 * Of a VM that is off, the old device must not be open: deactivation says so, and then it is no
 * device any more. A guest that is held has it open, and is reset. All is one process: see above.
 */
static int swap(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                struct xw_error *err)
{
    const char *vg_lv = disk->path + strlen("/dev/"), *lv = strrchr(disk->path, '/') + 1;
    char old[XW_LVM_NAME_SIZE], fresh[2 * XW_LVM_NAME_SIZE], lines[10 * XW_LVM_NAME_SIZE];
    int length = 0, rc;

    xw_lvm_data_name(disk, ".old", old);
    xw_lvm_data_path(disk, ".revert", fresh);
    if (of->lv && of->lv->active && !disk->held)
        length = snprintf(lines, sizeof(lines), "lvchange -qq --activate n %s\n", vg_lv);
    if (of->lv)
        length += snprintf(lines + length, sizeof(lines) - (size_t)length,
                           "lvrename -qq %s %s\n", vg_lv, old);
    snprintf(lines + length, sizeof(lines) - (size_t)length, "lvrename -qq %s %s\n", fresh, lv);
    rc = xw_lvm_run_lines(lines, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s' is not reverted", disk->vdev, disk->path);
    return rc;
}

static int revert_swap(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    const struct xw_lvm_volume *fresh;
    bool active;
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (rc)
        return rc;
    fresh = xw_lvm_data_find(&of, disk, ".revert");
    if (!fresh && !of.lv)
        return xw_lvm_gone(disk, disk->path, err);
    active = fresh ? fresh->active : of.lv->active;
    if (fresh)
        rc = swap(disk, &of, err);
    return rc || active ? rc : xw_lvm_activate(disk, disk->path + strlen("/dev/"), err);
}

/* A guest that was reset has it open until its toolstack has taken it down. */
static int wait_until_closed(const struct xw_store_disk *disk, struct xw_error *err)
{
    int64_t deadline = xw_deadline(CLOSED_MS);

    for (;;) {
        xw_auto_lvm_disk struct xw_lvm_disk of = {0};
        const struct xw_lvm_volume *old;
        int rc = xw_lvm_disk_open(disk, &of, err);

        if (rc)
            return rc;
        old = xw_lvm_data_find(&of, disk, ".old");
        if (!old || !old->open)
            return 0;
        if (xw_deadline_left(deadline) == 0)
            return xw_error_set(
                err, EBUSY,
                "disk %s is reverted, but what it was before, '%s.old', is still open: "
                "the guest that was reset has not been taken down (see 'xl list'); "
                "'xl destroy' it",
                disk->vdev, disk->data);
        usleep(POLL_MS * 1000);
    }
}

static int revert_settle(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = wait_until_closed(disk, err);

    return rc ? rc : xw_lvm_remove(disk, ".old", err);
}

/* The LV may have been made inactive for a swap that then failed. */
static int revert_undo(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (!rc && of.lv && !of.lv->active)
        rc = xw_lvm_activate(disk, disk->path + strlen("/dev/"), err);
    return rc ? rc : xw_lvm_remove(disk, ".revert", err);
}

static bool revert_waits(const struct xw_store_disk *disk)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};

    return xw_lvm_disk_open(disk, &of, NULL) == 0 && of.lv &&
           xw_lvm_data_find(&of, disk, ".revert");
}

/* As the device it is while it is active. Whoever reads it last makes it inactive. */
static int expose(struct xw_store_disk *disk, bool on, struct xw_error *err)
{
    char path[2 * XW_LVM_NAME_SIZE];
    const char *const argv[] = {"lvchange", "-qq", "--activate", on ? "y" : "n",
                                "--ignoreactivationskip", path, NULL};
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    const struct xw_lvm_volume *data;
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (rc)
        return rc;
    data = xw_lvm_data_find(&of, disk, "");
    if (!data)
        return on ? xw_lvm_gone(disk, disk->data, err) : 0;
    if (data->active == on || data->open)
        return 0;
    xw_lvm_data_path(disk, "", path);
    rc = xw_lvm_run(argv, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s' cannot be %s", disk->vdev, disk->data,
                        on ? "activated, to be read" : "deactivated");
    return rc;
}

/*
 * What it takes by itself, and does not share, only the pool's metadata tell: thin_ls(8) reads all
 * of them, for which the kernel has to hold a copy. That is not for a list.
 */
static int space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc = xw_lvm_disk_open(disk, &of, err);

    *ret = (struct xw_snapshot_space){.bytes = UINT64_MAX};
    ret->missing = !rc && !xw_lvm_data_find(&of, disk, "");
    return rc;
}

const struct xw_store xw_store_lvm_thin = {
    .name = "lvm-thin",
    .purpose = "thin LVs, by snapshots in the same pool",
    .claims = claims,
    .place = xw_lvm_place,
    .prepare = prepare,
    .take = take,
    .settle = xw_lvm_settle,
    .find = xw_lvm_find_snapshot,
    .undo = xw_lvm_undo,
    .revert_prepare = revert_prepare,
    .revert_swap = revert_swap,
    .revert_waits = revert_waits,
    .revert_settle = revert_settle,
    .revert_undo = revert_undo,
    .drop = xw_lvm_drop,
    .expose = expose,
    .space = space,
};
