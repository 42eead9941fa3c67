/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots inside of a qcow2 image, which is what QEMU itself calls snapshots: where asked for,
 * and then for as long as the image holds one. IMAGE.xw-ID is the snapshot "xw-ID" in IMAGE; there
 * is no file of that name.
 *
 * All of it takes the VM to be off. And then too nothing that is at an image's path is changed in
 * place (the VM may be started at any moment, and going back to a snapshot writes over the present
 * state): a copy of the image is changed, and takes its place.
 * What somebody has made by "qemu-img snapshot" is in the copy too.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/killpoint.h"
#include "base/spawn.h"
#include "snapshot/stores/qcow2.h"

#define PROGRAM_MS (24 * 3600 * 1000)

/* "xw-ID"; "": the record is not one of ours. */
static const char *name_of(const struct xw_store_disk *disk)
{
    size_t length = strlen(disk->path);

    return !strncmp(disk->data, disk->path, length) && disk->data[length] == '.'
               ? disk->data + length + 1
               : "";
}

static int is_in(const struct xw_store_disk *disk, const char *image, bool *ret,
                 struct xw_error *err)
{
    struct xw_qcow2_table table;
    int rc = xw_qcow2_table_read(image, name_of(disk), &table, err);

    *ret = !rc && table.found && name_of(disk)[0];
    if (rc)
        xw_error_prefix(err, "disk %s", disk->vdev);
    return rc;
}

static int refuse_running(const struct xw_store_disk *disk, struct xw_error *err)
{
    if (!disk->running)
        return 0;
    return xw_error_set(err, EBUSY,
                        "disk %s: its guest runs, and has '%s' open: what concerns snapshots "
                        "inside of it takes the VM to be off",
                        disk->vdev, disk->path);
}

static int check_image(const struct xw_store_disk *disk, const struct xw_qcow2_header *header,
                       struct xw_error *err)
{
    size_t length = strlen(disk->path);
    int rc;

    if (header->encrypted || header->external_data)
        return xw_error_set(err, ENOTSUP, "disk %s: '%s' %s: no snapshot of it can be kept",
                            disk->vdev, disk->path,
                            header->encrypted ? "is encrypted" : "keeps its data in another file");
    if (!strncmp(header->backing, disk->path, length) &&
        !strncmp(header->backing + length, ".xw-", 4))
        return xw_error_set(err, ENOTSUP,
                            "disk %s: '%s' has snapshots that are files beside it: none can be "
                            "made inside of it; leave out --internal",
                            disk->vdev, disk->path);
    rc = xw_qcow2_check_below(disk, *header, err);
    return rc ? rc : refuse_running(disk, err);
}

static int claims(struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_qcow2_header header;
    struct xw_qcow2_table table;
    struct stat st;

    if (strcmp(disk->format, "qcow2") != 0 || stat(disk->path, &st) < 0 || !S_ISREG(st.st_mode) ||
        xw_qcow2_header_read(disk->path, &header, NULL))
        return -EMEDIUMTYPE;
    if (xw_qcow2_table_read(disk->path, "", &table, disk->internal ? err : NULL))
        return disk->internal ? -EBADMSG : -EMEDIUMTYPE;
    if (!disk->internal && table.ours == 0)
        return -EMEDIUMTYPE;
    disk->size = header.size;
    return check_image(disk, &header, err);
}

static int run(const struct xw_store_disk *disk, const char *const *argv, struct xw_error *err)
{
    const struct xw_spawn spawn = {
        .argv = argv, .timeout_ms = PROGRAM_MS, .end_with_parent = SIGTERM};
    int rc = xw_spawn_check(&spawn, NULL, err);

    if (rc)
        xw_error_prefix(err, "disk %s", disk->vdev);
    return rc;
}

/* For "--image-opts", the one way in which "qemu-img snapshot" is told a format. */
static void describe(const char *image, char out[2 * PATH_MAX + 64])
{
    static const char head[] = "driver=qcow2,file.driver=file,file.filename=";
    size_t at = sizeof(head) - 1;

    memcpy(out, head, at);
    for (; *image; image++) {
        if (*image == ',')
            out[at++] = ',';
        out[at++] = *image;
    }
    out[at] = '\0';
}

/* "qemu-img snapshot": create, apply or delete, by `option`, in an image that nobody can open. */
static int change(const struct xw_store_disk *disk, const char *option, const char *image,
                  struct xw_error *err)
{
    char description[2 * PATH_MAX + 64];
    const char *const argv[] = {"qemu-img",    "snapshot",     "-q",        option,
                                name_of(disk), "--image-opts", description, NULL};
    int rc;

    describe(image, description);
    rc = run(disk, argv, err);

    xw_kill_point("internal/changed");
    return rc ? rc : xw_qcow2_sync_copy(disk, image, err);
}

/* A copy of the image, changed, to take its place. */
static int make_changed(struct xw_store_disk *disk, const char *option, const char *fresh,
                        struct xw_error *err)
{
    const char *const argv[] = {"cp", "--reflink=auto", "--sparse=auto", "--", disk->path, fresh,
                                NULL};
    int rc = xw_beside_remove(disk, fresh, err);

    snprintf(disk->merging, sizeof(disk->merging), "%s", disk->path);
    if (!rc && stat(disk->path, &disk->seen) < 0)
        rc = xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->path);
    if (!rc)
        rc = run(disk, argv, err);
    if (!rc)
        rc = xw_qcow2_adopt_copy(disk, fresh, err);
    return rc ? rc : change(disk, option, fresh, err);
}

static int prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".new", fresh);
    return make_changed(disk, "-c", fresh, err);
}

static int take(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc = xw_qcow2_check_unchanged(disk, err);

    xw_beside_name(disk, ".new", fresh);
    return rc ? rc : xw_beside_swap(disk, fresh, err);
}

/* Never under a guest that runs. It is here since later writes go to the image that it is in. */
static int add_actions(struct xw_store_disk *disk, json_t *actions, struct xw_error *err)
{
    (void)actions;
    return refuse_running(disk, err);
}

static int settle(struct xw_store_disk *disk, struct xw_error *err)
{
    return xw_qcow2_finish_swap(disk, err);
}

static int find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    char fresh[PATH_MAX];
    bool there = false;
    int rc = 0;

    xw_beside_name(disk, ".new", fresh);
    /* Cut off while the image was put back, since somebody had it open: it has to be, first. */
    if (!disk->running && xw_beside_is_one_file(fresh, disk->path))
        rc = xw_beside_unswap(disk, fresh, err);
    if (!rc)
        rc = is_in(disk, disk->path, &there, err);
    if (there)
        *ret = XW_STORE_TAKEN;
    else
        *ret = access(fresh, F_OK) == 0 ? XW_STORE_PREPARED : XW_STORE_NOTHING;
    return rc;
}

static int undo(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".new", fresh);
    return xw_beside_unswap(disk, fresh, err);
}

static int check_off(struct xw_store_disk *disk, struct xw_error *err)
{
    return refuse_running(disk, err);
}

static int revert_prepare(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".revert", fresh);
    return make_changed(disk, "-a", fresh, err);
}

/* What was copied a moment ago is what is replaced; after a kill the engine has seen to that. */
static int revert_swap(struct xw_store_disk *disk, struct xw_error *err)
{
    int rc = disk->seen.st_ino && xw_beside_waits(disk) ? xw_qcow2_check_unchanged(disk, err) : 0;

    return rc ? rc : xw_beside_revert(disk, err);
}

/* The copy is whole: what is deleted from is the copy. */
static int drop_from_copy(struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    int rc = xw_qcow2_adopt_copy(disk, copy, err);

    disk->copying = false;
    if (!rc)
        rc = change(disk, "-d", copy, err);
    if (!rc)
        rc = xw_qcow2_check_unchanged(disk, err);
    return rc ? rc : xw_beside_swap(disk, copy, err);
}

static int go_on_copying(struct xw_store_disk *disk, const char *copy,
                         struct xw_store_progress *progress, struct xw_error *err)
{
    int rc = xw_qcow2_check_child(disk, err);

    if (rc == 1)
        xw_qcow2_report_copy(disk, copy, progress);
    else if (!rc)
        rc = drop_from_copy(disk, copy, err);
    if (rc < 0)
        xw_beside_unswap(disk, copy, NULL);
    return rc;
}

static int drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err)
{
    char copy[PATH_MAX];
    bool there = false;
    int rc;

    xw_beside_name(disk, ".new", copy);
    if (disk->child.pid)
        return go_on_copying(disk, copy, progress, err);
    rc = refuse_running(disk, err);
    if (!rc)
        rc = xw_qcow2_finish_swap(disk, err);
    if (!rc)
        rc = is_in(disk, disk->path, &there, err);
    if (rc || !there)
        return rc;
    snprintf(disk->merging, sizeof(disk->merging), "%s", disk->path);
    rc = xw_qcow2_start_copy(disk, copy, err);
    xw_qcow2_report_copy(disk, copy, progress);
    return rc ? rc : 1;
}

static int expose(struct xw_store_disk *disk, bool on, struct xw_error *err)
{
    return on ? refuse_running(disk, err) : 0;
}

/* What it takes by itself only a walk through all tables could tell. */
static int space(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err)
{
    bool there = false;
    int rc = access(disk->path, F_OK) == 0 ? is_in(disk, disk->path, &there, err) : 0;

    *ret = (struct xw_snapshot_space){.missing = !there, .bytes = UINT64_MAX};
    return rc;
}

const struct xw_store xw_store_qcow2_internal = {
    .name = "qcow2-internal",
    .purpose = "qcow2 images, by QEMU's snapshots inside of them, where asked for",
    .claims = claims,
    .place = xw_beside_place,
    .prepare = prepare,
    .take = take,
    .add_actions = add_actions,
    .settle = settle,
    .find = find,
    .undo = undo,
    .revert_check = check_off,
    .revert_prepare = revert_prepare,
    .revert_swap = revert_swap,
    .revert_waits = xw_beside_waits,
    .revert_undo = xw_beside_revert_undo,
    .drop_check = check_off,
    .drop = drop,
    .expose = expose,
    .inside = name_of,
    .space = space,
};
