/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image of a disk, the images beside it, and their mappings. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/rbd.h"

#define OLD ".xw-old-"

/* Where Ceph itself stops all writing, as a rule (mon_osd_full_ratio). */
#define FULL_PERCENT 95

int xw_rbd_parse_disk(const struct xw_store_disk *disk, struct xw_rbd_name *ret,
                      struct xw_error *err)
{
    if (xw_rbd_parse_path(disk->path, ret) == 0)
        return 0;
    return xw_error_set(err, EINVAL, "disk %s: '%s' is no name of an RBD image", disk->vdev,
                        disk->path);
}

int xw_rbd_disk_open(const struct xw_store_disk *disk, struct xw_rbd_disk *ret,
                     struct xw_error *err)
{
    int rc = 0;

    *ret = (struct xw_rbd_disk){0};
    rc = xw_rbd_parse_disk(disk, &ret->name, err);
    if (rc)
        return rc;
    rc = xw_rbd_images(&ret->name, &ret->images, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s'", disk->vdev, disk->path);
    else
        ret->present = xw_rbd_has_image(ret, &ret->name);
    return rc;
}

void xw_rbd_disk_close(struct xw_rbd_disk *disk)
{
    xw_rbd_entries_free(disk->images);
    disk->images = NULL;
}

int xw_rbd_gone(const struct xw_store_disk *disk, const char *what, struct xw_error *err)
{
    return xw_error_set(err, ENOENT, "disk %s: Ceph has no '%s'", disk->vdev, what);
}

int xw_rbd_check_image(struct xw_store_disk *disk, const struct xw_rbd_mapping *mapping,
                       struct xw_error *err)
{
    struct xw_rbd_info info;
    int rc = xw_rbd_info(&mapping->name, &info, err);

    if (rc) {
        xw_error_prefix(err, "disk %s: '%s'", disk->vdev, disk->path);
        return rc;
    }
    disk->size = info.size;
    if (strcmp(info.id, mapping->image_id) != 0)
        return xw_error_set(err, ENOTSUP,
                            "disk %s: '%s' is mapped as /dev/rbd%u, but Ceph has another image of "
                            "that name by now (or is another cluster): map it again",
                            disk->vdev, disk->path, mapping->number);
    if (!info.layering)
        return xw_error_set(err, ENOTSUP,
                            "disk %s: the image '%s' lacks the feature 'layering', without which "
                            "no snapshot can be reverted to",
                            disk->vdev, disk->path);
    return 0;
}

int xw_rbd_check_space(const struct xw_store_disk *disk, struct xw_error *err)
{
    uint64_t used = 0, total = 0;
    int rc = xw_rbd_usage(&used, &total, err);

    if (rc) {
        xw_error_prefix(err, "disk %s: how full Ceph is", disk->vdev);
        return rc;
    }
    if (total == 0 || used / (total / 100 + 1) < FULL_PERCENT)
        return 0;
    return xw_error_set(err, ENOSPC,
                        "disk %s: the Ceph cluster is too full for another snapshot: %" PRIu64
                        " of %" PRIu64 " MiB are used, and it stops at %d %%; add disks to it, or "
                        "delete snapshots",
                        disk->vdev, used >> 10, total >> 10, FULL_PERCENT);
}

void xw_rbd_snapshot_name(const struct xw_store_disk *disk, char out[XW_RBD_NAME_SIZE])
{
    snprintf(out, XW_RBD_NAME_SIZE, "xw-%s", disk->id);
}

void xw_rbd_replacement(const struct xw_rbd_disk *of, const struct xw_store_disk *disk,
                        struct xw_rbd_name *ret)
{
    size_t length = strlen(of->name.image);

    *ret = of->name;
    /* place() has made sure that all of it is there. */
    snprintf(ret->image + length, sizeof(ret->image) - length, ".xw-%s.revert", disk->id);
}

bool xw_rbd_has_image(const struct xw_rbd_disk *of, const struct xw_rbd_name *name)
{
    return xw_rbd_entry_find(of->images, name->image) != NULL;
}

void xw_rbd_old(const struct xw_rbd_disk *of, const char *id, struct xw_rbd_name *ret)
{
    size_t length = strlen(of->name.image);

    *ret = of->name;
    snprintf(ret->image + length, sizeof(ret->image) - length, OLD "%s", id);
}

/* IMAGE.xw-old-…, with nothing but an id behind it: others may be called IMAGE.xw-old-a.b. */
static bool is_old(const struct xw_rbd_disk *of, const char *name)
{
    size_t length = strlen(of->name.image);

    if (strncmp(name, of->name.image, length) != 0 ||
        strncmp(name + length, OLD, strlen(OLD)) != 0)
        return false;
    name += length + strlen(OLD);
    while (isalnum((unsigned char)*name))
        name++;
    return !*name;
}

static int has_snapshot(const struct xw_rbd_name *image, const char *snapshot,
                        struct xw_error *err)
{
    struct xw_rbd_entry *snapshots = NULL;
    int rc = xw_rbd_snapshots(image, &snapshots, err);

    if (!rc) {
        const struct xw_rbd_entry *found = xw_rbd_entry_find(snapshots, snapshot);

        rc = found && !found->hidden;
    }
    xw_rbd_entries_free(snapshots);
    return rc;
}

int xw_rbd_locate(const struct xw_rbd_disk *of, const struct xw_store_disk *disk,
                  struct xw_rbd_name *ret, struct xw_error *err)
{
    char snapshot[XW_RBD_NAME_SIZE];
    int rc = 0;

    xw_rbd_snapshot_name(disk, snapshot);
    *ret = of->name;
    if (of->present)
        rc = has_snapshot(ret, snapshot, err);
    for (const struct xw_rbd_entry *image = of->images; image && !rc; image = image->next) {
        if (!is_old(of, image->name))
            continue;
        memcpy(ret->image, image->name, sizeof(ret->image));
        rc = has_snapshot(ret, snapshot, err);
    }
    if (rc < 0)
        xw_error_prefix(err, "disk %s: the snapshots of '%s'", disk->vdev, disk->path);
    return rc;
}

int xw_rbd_change(const char *verb, const struct xw_rbd_name *first,
                  const struct xw_rbd_name *second, struct xw_error *err)
{
    char from[XW_RBD_PATH_SIZE], to[XW_RBD_PATH_SIZE];
    const char *const words[] = {verb, from, second ? to : NULL, NULL};

    xw_rbd_spec(first, "", from);
    if (second)
        xw_rbd_spec(second, "", to);
    return xw_rbd_run(words, err);
}

/* One that has snapshots, of ours or in use by clones, stays. 1: it is gone. */
static int remove_old(const struct xw_rbd_name *image, struct xw_error *err)
{
    struct xw_rbd_entry *snapshots = NULL;
    int rc = xw_rbd_snapshots(image, &snapshots, err);
    bool needed = snapshots != NULL;

    xw_rbd_entries_free(snapshots);
    if (!rc && !needed)
        rc = xw_rbd_unmap(image, "", err);
    if (!rc && !needed)
        rc = xw_rbd_change("rm", image, NULL, err);
    return rc ? rc : !needed;
}

static int cannot_remove(const struct xw_store_disk *disk, const struct xw_rbd_name *image, int rc,
                         struct xw_error *err)
{
    xw_error_prefix(err,
                    "disk %s: what a revert has left behind, the image '%s', cannot be removed",
                    disk->vdev, image->image);
    return rc;
}

/* With a clone that is removed Ceph removes the hidden snapshot that it came from. */
int xw_rbd_tidy(const struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_rbd_disk struct xw_rbd_disk of = {0};
    int rc = xw_rbd_disk_open(disk, &of, err);
    bool again = !rc;

    while (again) {
        again = false;
        for (struct xw_rbd_entry *image = of.images; image; image = image->next) {
            struct xw_rbd_name name = of.name;

            if (!is_old(&of, image->name))
                continue;
            memcpy(name.image, image->name, sizeof(name.image));
            rc = remove_old(&name, err);
            if (rc < 0)
                return cannot_remove(disk, &name, rc, err);
            if (rc > 0)
                image->name[0] = '\0';
            again = again || rc > 0;
        }
    }
    return rc < 0 ? rc : 0;
}

static int unmap_number(unsigned number, struct xw_error *err)
{
    char device[32];
    const char *const words[] = {"device", "unmap", device, NULL};

    snprintf(device, sizeof(device), "/dev/rbd%u", number);
    return xw_rbd_run(words, err);
}

int xw_rbd_unmap(const struct xw_rbd_name *name, const char *snapshot, struct xw_error *err)
{
    struct xw_rbd_mapping mapping;
    int rc = 0;

    while (!rc && xw_rbd_find_mapping(name, snapshot, XW_RBD_ANY, &mapping) == 0)
        rc = unmap_number(mapping.number, err);
    return rc;
}

static int map_once(const struct xw_rbd_name *name, const char *snapshot,
                    const struct xw_rbd_mapping *as, struct xw_error *err)
{
    char spec[XW_RBD_PATH_SIZE];
    const char *words[10] = {"device", "map", spec};
    size_t count = 3;

    xw_rbd_spec(name, snapshot, spec);
    if (as && as->user[0]) {
        words[count++] = "--id";
        words[count++] = as->user;
    }
    if (as && as->options[0]) {
        words[count++] = "--options";
        words[count++] = as->options;
    }
    return xw_rbd_run(words, err);
}

/*
 * The kernel gives the lowest number that is free. Those below the wanted one are taken too until
 * that one comes, and then given back; where somebody else has it, the first has to do.
 */
static int map_as(const struct xw_rbd_name *name, const struct xw_rbd_mapping *as,
                  struct xw_error *err)
{
    struct xw_rbd_mapping mapping;
    unsigned keep = as->number;
    int rc = 0;

    for (unsigned i = 0; i <= as->number && !rc && !xw_rbd_number_is_used(as->number); i++)
        rc = map_once(name, "", as, err);
    if (!rc && xw_rbd_find_mapping(name, "", XW_RBD_ANY, &mapping))
        rc = map_once(name, "", as, err);
    if (!rc && !xw_rbd_is_mapped_as(name, as->number) &&
        xw_rbd_find_mapping(name, "", XW_RBD_ANY, &mapping) == 0)
        keep = mapping.number;
    while (!rc && xw_rbd_find_mapping(name, "", keep, &mapping) == 0)
        rc = unmap_number(mapping.number, err);
    return rc;
}

int xw_rbd_map(const struct xw_rbd_name *name, const char *snapshot,
               const struct xw_rbd_mapping *as, struct xw_error *err)
{
    struct xw_rbd_mapping mapping;

    if (xw_rbd_find_mapping(name, snapshot, XW_RBD_ANY, &mapping) == 0)
        return 0;
    return as ? map_as(name, as, err) : map_once(name, snapshot, NULL, err);
}
