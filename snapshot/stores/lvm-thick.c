/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LVs that are not thin (linear, striped, raid): a snapshot is one of LVM's old kind (dm-snapshot):
 * before a block of the LV is written for the first time after it, the block is copied to space
 * that belongs to the snapshot alone. So
 *
 *   - each snapshot costs space when it is made. Here that is as much as the LV is large: less
 *     could run full, and the snapshot would be lost then, without the guest's doing anything
 *     wrong;
 *   - each slows the guest's first write to every block, and two slow it twice;
 *   - none depends on another, all on the LV itself. So the LV has to stay where it is, and a
 *     revert cannot put another one in its place.
 *
 * `lvconvert --merge` is LVM's revert: the snapshot is gone after it, and made again later it would
 * hold whatever was written meanwhile. So the blocks that differ are copied back here, which leaves
 * this snapshot and all others as they are. That is not atomic, therefore the LV has another name
 * meanwhile:
 *
 *     LV                   tag LV with xw-revert-ID
 *     LV (tagged)          lvrename LV to LV.xw-ID.revert
 *     LV.xw-ID.revert      copy what differs from LV.xw-ID; flush; take the tag away
 *     LV.xw-ID.revert      lvrename it to LV
 *
 * In between nothing is at the disk's path: an `xl create` finds no disk, and never half a one. A
 * copy that was interrupted is done again from the start; an LV without the tag is done, and the VM
 * may have been started on it since.
 *
 * A guest that is held cannot be reverted so: a request that it had issued may still be on its way
 * through the backend, and would come after the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/killpoint.h"
#include "snapshot/lvm.h"

#define PIECE ((size_t)1 << 20)
#define ALIGNMENT 4096

static bool is_plain(const struct xw_lvm_volume *lv)
{
    static const char *const kinds[] = {"linear", "striped", "raid"};

    if (xw_lvm_has_word(lv->layout, "pool") || xw_lvm_has_word(lv->layout, "cache"))
        return false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (xw_lvm_has_word(lv->layout, kinds[i]))
            return true;
    }
    return false;
}

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc = xw_lvm_claim(disk, &of, err);

    if (rc)
        return rc;
    if (of.lv->origin_size && xw_lvm_has_word(of.lv->role, "thicksnapshot"))
        return xw_error_set(
            err, ENOTSUP,
            "disk %s: '%s' is a snapshot itself, and LVM keeps no snapshots of snapshots "
            "that are not thin",
            disk->vdev, disk->path);
    if (!is_plain(of.lv))
        return xw_error_set(
            err, ENOTSUP, "disk %s: '%s' is an LV of the kind '%s', of which no snapshots are kept",
            disk->vdev, disk->path, of.lv->layout);
    return 0;
}

/*
 * An exception for every chunk, of 16 bytes, in areas of one chunk each (Linux snapshot.rst and
 * dm-snap-persistent.c); the chunk has 4 KiB at least.
 */
static uint64_t space_for(const struct xw_lvm_volume *lv)
{
    uint64_t bytes = lv->size + lv->size / 256 + 65536;

    return (bytes + lv->extent_size - 1) / lv->extent_size * lv->extent_size;
}

static int check_space(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                       struct xw_error *err)
{
    uint64_t needed = space_for(of->lv);

    if (of->lv->vg_free >= needed)
        return 0;
    return xw_error_set(err, ENOSPC,
                        "disk %s: a snapshot of '%s' needs as much space as the LV has, so that it "
                        "cannot run full: %" PRIu64 " MiB, and '%s' has %" PRIu64
                        " MiB free; extend the VG, delete snapshots, or move the disk to a thin LV",
                        disk->vdev, disk->path, needed >> 20, of->name.vg, of->lv->vg_free >> 20);
}

static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    return xw_lvm_prepare(disk, check_space, err);
}

static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    static const char *const words[] = {"--extents", "100%ORIGIN", NULL};

    return xw_lvm_take(disk, words, err);
}

static int check_snapshot(const struct xw_store_disk *disk, const struct xw_lvm_volume *data,
                          const struct xw_lvm_volume *lv, struct xw_error *err)
{
    if (!data)
        return xw_lvm_gone(disk, disk->data, err);
    if (data->invalid)
        return xw_error_set(err, ENODATA,
                            "disk %s: what '%s' kept is lost: it has run out of space", disk->vdev,
                            disk->data);
    if (!lv)
        return xw_lvm_gone(disk, disk->path, err);
    if (data->origin_size == lv->size)
        return 0;
    return xw_error_set(err, ENOTSUP,
                        "disk %s: '%s' has another size since the snapshot (%" PRIu64
                        " MiB, was %" PRIu64 " MiB): it cannot be reverted",
                        disk->vdev, disk->path, lv->size >> 20, data->origin_size >> 20);
}

static int revert_check(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc;

    if (disk->running)
        return xw_error_set(
            err, EBUSY,
            "disk %s: '%s' is a thick LV, which can only be reverted while nothing has "
            "it open: shut the VM down first",
            disk->vdev, disk->path);
    rc = xw_lvm_disk_open(disk, &of, err);
    return rc ? rc : check_snapshot(disk, xw_lvm_data_find(&of, disk, ""), of.lv, err);
}

static void tag_of(const struct xw_store_disk *disk, char out[64])
{
    snprintf(out, 64, "xw-revert-%s", disk->id);
}

/* how: "--addtag", "--deltag"; one that is there already, or is not there, is fine with LVM. */
static int change_tag(const struct xw_store_disk *disk, const char *how, const char *volume,
                      struct xw_error *err)
{
    char tag[64];
    const char *const argv[] = {"lvchange", "-qq", how, tag, volume, NULL};
    int rc;

    tag_of(disk, tag);
    rc = xw_lvm_run(argv, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s' cannot be marked for the revert", disk->vdev, volume);
    return rc;
}

static bool is_tagged(const struct xw_store_disk *disk, const struct xw_lvm_volume *lv)
{
    char tag[64];

    tag_of(disk, tag);
    return lv && xw_lvm_has_word(lv->tags, tag);
}

/* Nothing can be made beside it. */
static int revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = revert_check(disk, err);

    return rc ? rc : change_tag(disk, "--addtag", disk->path + strlen("/dev/"), err);
}

static int rename_volume(const struct xw_store_disk *disk, const char *from, const char *to,
                         struct xw_error *err)
{
    const char *const argv[] = {"lvrename", "-qq", from, to, NULL};
    int rc = xw_lvm_run(argv, err);

    if (rc)
        xw_error_prefix(err, "disk %s: '%s' cannot be renamed to '%s'", disk->vdev, from, to);
    return rc;
}

struct copy {
    const struct xw_store_disk *disk;
    int from, to;
    char *now, *then;
};

static int read_piece(const struct copy *copy, int fd, char *room, size_t size, off_t at,
                      struct xw_error *err)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(fd, room + done, size - done, at + (off_t)done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got ? errno : EIO;
            return xw_error_set_errno(err, "disk %s: '%s' cannot be read at %jd", copy->disk->vdev,
                                      fd == copy->from ? copy->disk->data : copy->disk->path,
                                      (intmax_t)at);
        }
        done += (size_t)got;
    }
    return 0;
}

static int copy_piece(const struct copy *copy, size_t size, off_t at, struct xw_error *err)
{
    size_t done = 0;
    int rc = read_piece(copy, copy->from, copy->then, size, at, err);

    if (!rc)
        rc = read_piece(copy, copy->to, copy->now, size, at, err);
    if (rc || !memcmp(copy->then, copy->now, size))
        return rc;
    while (done < size) {
        ssize_t put = pwrite(copy->to, copy->then + done, size - done, at + (off_t)done);

        if (put < 0 && errno != EINTR)
            return xw_error_set_errno(err, "disk %s: '%s' cannot be written at %jd",
                                      copy->disk->vdev, copy->disk->path, (intmax_t)at);
        done += put > 0 ? (size_t)put : 0;
    }
    xw_kill_point("lvm-thick/copied");
    return 0;
}

static int copy_all(const struct copy *copy, uint64_t size, struct xw_error *err)
{
    int rc = 0;

    for (uint64_t at = 0; at < size && !rc; at += PIECE)
        rc = copy_piece(copy, size - at < PIECE ? (size_t)(size - at) : PIECE, (off_t)at, err);
    if (!rc && fsync(copy->to) < 0)
        rc = xw_error_set_errno(err, "disk %s: '%s' cannot be flushed", copy->disk->vdev,
                                copy->disk->path);
    return rc;
}

/*
 * Past the page cache, in which there could be blocks from before the guest's own writes. O_EXCL:
 * not while it is mounted here.
 */
static int copy_back(const struct xw_store_disk *disk, const char *to, struct xw_error *err)
{
    xw_auto_close int in = open(disk->data, O_RDONLY | O_DIRECT | O_CLOEXEC);
    xw_auto_close int out = open(to, O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC);
    xw_auto_free void *room = NULL;
    struct copy copy = {.disk = disk, .from = in, .to = out};

    if (in < 0 || out < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, in < 0 ? disk->data : to);
    if (posix_memalign(&room, ALIGNMENT, 2 * PIECE))
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", disk->vdev);
    copy.now = room;
    copy.then = copy.now + PIECE;
    return copy_all(&copy, disk->size, err);
}

/* Take the LV out of its place, unless that is done already; nobody may have it open. */
static int set_aside(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                     struct xw_error *err)
{
    char name[XW_LVM_NAME_SIZE];

    if (!of->lv)
        return 0;
    if (of->lv->open || disk->running)
        return xw_error_set(
            err, EBUSY,
            "disk %s: '%s' is not reverted, since somebody has it open: shut the VM "
            "down first",
            disk->vdev, disk->path);
    xw_lvm_data_name(disk, ".revert", name);
    return rename_volume(disk, disk->path + strlen("/dev/"), name, err);
}

/* Opened between the look and the rename: it is given back. */
static int check_closed(const struct xw_store_disk *disk, const struct xw_lvm_volume *lv,
                        const char *aside, struct xw_error *err)
{
    int rc;

    if (!lv->open)
        return 0;
    rc = rename_volume(disk, aside, strrchr(disk->path, '/') + 1, err);
    if (rc)
        return rc;
    return xw_error_set(err, EBUSY, "disk %s: '%s' was opened meanwhile, and is left as it is",
                        disk->vdev, disk->path);
}

static int rewrite(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    char aside[2 * XW_LVM_NAME_SIZE], device[PATH_MAX];
    const struct xw_lvm_volume *lv, *data;
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (rc)
        return rc;
    xw_lvm_data_path(disk, ".revert", aside);
    snprintf(device, sizeof(device), "/dev/%s", aside);
    lv = xw_lvm_data_find(&of, disk, ".revert");
    data = xw_lvm_data_find(&of, disk, "");
    rc = check_snapshot(disk, data, lv, err);
    if (!rc)
        rc = check_closed(disk, lv, aside, err);
    if (!rc && (!lv->active || !data->active))
        rc = xw_lvm_activate(disk, aside, err);
    if (!rc)
        rc = copy_back(disk, device, err);
    if (!rc)
        rc = change_tag(disk, "--deltag", aside, err);
    return rc ? rc : rename_volume(disk, aside, strrchr(disk->path, '/') + 1, err);
}

static int revert_swap(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (rc || (of.lv && !is_tagged(disk, of.lv)))
        return rc;
    rc = check_snapshot(disk, xw_lvm_data_find(&of, disk, ""),
                        of.lv ? of.lv : xw_lvm_data_find(&of, disk, ".revert"), err);
    if (!rc)
        rc = set_aside(disk, &of, err);
    return rc ? rc : rewrite(disk, err);
}

static int revert_undo(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (rc || !is_tagged(disk, of.lv))
        return rc;
    return change_tag(disk, "--deltag", disk->path + strlen("/dev/"), err);
}

static bool revert_waits(const struct xw_store_disk *disk)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};

    return xw_lvm_disk_open(disk, &of, NULL) == 0 && is_tagged(disk, of.lv);
}

/* Not one block has been copied to the snapshot's space: LVM says 0 for exactly that. */
static bool unchanged(const struct xw_store_disk *disk)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    const struct xw_lvm_volume *data;

    if (xw_lvm_disk_open(disk, &of, NULL))
        return false;
    data = xw_lvm_data_find(&of, disk, "");
    return data && !data->invalid && data->data == 0 && check_snapshot(disk, data, of.lv, NULL) == 0;
}

static int space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    const struct xw_lvm_volume *data;
    int rc = xw_lvm_disk_open(disk, &of, err);

    *ret = (struct xw_snapshot_space){.bytes = UINT64_MAX};
    if (rc)
        return rc;
    data = xw_lvm_data_find(&of, disk, "");
    ret->missing = !data || data->invalid;
    ret->bytes = data ? data->size : UINT64_MAX;
    return 0;
}

const struct xw_store xw_store_lvm_thick = {
    .name = "lvm-thick",
    .purpose = "other LVs, by snapshots that take as much space as the LV",
    .claims = claims,
    .place = xw_lvm_place,
    .prepare = prepare,
    .take = take,
    .settle = xw_lvm_settle,
    .find = xw_lvm_find_snapshot,
    .undo = xw_lvm_undo,
    .unchanged = unchanged,
    .revert_check = revert_check,
    .revert_prepare = revert_prepare,
    .revert_swap = revert_swap,
    .revert_waits = revert_waits,
    .revert_undo = revert_undo,
    .drop = xw_lvm_drop,
    .space = space,
};
