/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two stores on LVM have in common. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/lvm.h"

#define LONGEST_ENDING ".revert"

int xw_lvm_disk_open(const struct xw_store_disk *disk, struct xw_lvm_disk *ret,
                     struct xw_error *err)
{
    int rc = 0;

    *ret = (struct xw_lvm_disk){0};
    if (xw_lvm_parse_path(disk->path, &ret->name))
        return xw_error_set(err, EINVAL, "disk %s: '%s' is no name of an LV", disk->vdev,
                            disk->path);
    rc = xw_lvm_list(ret->name.vg, &ret->volumes, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s'", disk->vdev, disk->path);
    else
        ret->lv = xw_lvm_find(ret->volumes, ret->name.lv);
    return rc;
}

void xw_lvm_disk_close(struct xw_lvm_disk *disk)
{
    xw_lvm_volumes_free(disk->volumes);
    disk->volumes = NULL;
    disk->lv = NULL;
}

void xw_lvm_data_name(const struct xw_store_disk *disk, const char *ending,
                      char out[XW_LVM_NAME_SIZE])
{
    /* place() has made sure that all of it is there. */
    snprintf(out, XW_LVM_NAME_SIZE, "%s%s", strrchr(disk->data, '/') + 1, ending);
}

void xw_lvm_data_path(const struct xw_store_disk *disk, const char *ending,
                      char out[2 * XW_LVM_NAME_SIZE])
{
    snprintf(out, 2 * (size_t)XW_LVM_NAME_SIZE, "%s%s", disk->data + strlen("/dev/"), ending);
}

const struct xw_lvm_volume *xw_lvm_data_find(const struct xw_lvm_disk *of,
                                             const struct xw_store_disk *disk, const char *ending)
{
    char name[XW_LVM_NAME_SIZE];

    xw_lvm_data_name(disk, ending, name);
    return xw_lvm_find(of->volumes, name);
}

static int set_path(struct xw_store_disk *disk, const struct xw_lvm_name *name,
                    struct xw_error *err)
{
    char *path;

    if (asprintf(&path, "/dev/%s/%s", name->vg, name->lv) < 0)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", disk->vdev);
    free(disk->path);
    disk->path = path;
    return 0;
}

int xw_lvm_claim(struct xw_store_disk *disk, struct xw_lvm_disk *ret, struct xw_error *err)
{
    struct xw_lvm_name name;
    int rc;

    *ret = (struct xw_lvm_disk){0};
    if (strcmp(disk->format, "raw") != 0 || xw_lvm_of_device(disk->path, &name))
        return -EMEDIUMTYPE;
    rc = set_path(disk, &name, err);
    if (!rc)
        rc = xw_lvm_disk_open(disk, ret, err);
    if (!rc && !ret->lv)
        rc = xw_error_set(err, ENOTSUP,
                          "disk %s: LVM does not show '%s' as a volume that can be used by itself",
                          disk->vdev, disk->path);
    if (!rc)
        rc = xw_store_check_alone(disk, err);
    if (!rc)
        disk->size = ret->lv->origin_size ? ret->lv->origin_size : ret->lv->size;
    return rc;
}

int xw_lvm_place(struct xw_store_disk *disk, struct xw_error *err)
{
    int length = snprintf(disk->data, sizeof(disk->data), "%s.xw-%s", disk->path, disk->id);
    struct xw_lvm_name name;
    bool fits = length < (int)sizeof(disk->data) && !xw_lvm_parse_path(disk->data, &name) &&
                strlen(name.lv) + strlen(LONGEST_ENDING) < sizeof(name.lv);

    if (fits)
        memcpy(name.lv + strlen(name.lv), LONGEST_ENDING, sizeof(LONGEST_ENDING));
    if (fits && xw_lvm_name_fits(&name))
        return 0;
    return xw_error_set(
        err, ENAMETOOLONG,
        "disk %s: the name of its LV is too long to keep a snapshot under '%.160s': VG "
        "and LV together may have 120 characters, in which '-' counts twice",
        disk->vdev, disk->data + strlen("/dev/"));
}

int xw_lvm_gone(const struct xw_store_disk *disk, const char *what, struct xw_error *err)
{
    return xw_error_set(err, ENOENT, "disk %s: there is no LV '%s'", disk->vdev, what);
}

int xw_lvm_prepare(struct xw_store_disk *disk,
                   int (*check)(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                                struct xw_error *err),
                   struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of = {0};
    int rc = xw_lvm_disk_open(disk, &of, err);

    if (!rc && !of.lv)
        rc = xw_lvm_gone(disk, disk->path, err);
    if (!rc)
        rc = check(disk, &of, err);
    if (rc)
        return rc;
    disk->size = of.lv->size;
    return of.lv->active ? xw_store_flush(disk, err) : 0;
}

static bool goes_through_page_cache(const struct xw_store_disk *disk)
{
    return disk->running && strcmp(disk->backend, "phy") != 0;
}

int xw_lvm_take(const struct xw_store_disk *disk, const char *const *more, struct xw_error *err)
{
    char name[XW_LVM_NAME_SIZE];
    const char *argv[9 + XW_LVM_TAKE_WORDS] = {"lvcreate", "-qq",          "--snapshot", "--name",
                                               name,       "--permission", "r"};
    size_t count = 7;
    int rc = goes_through_page_cache(disk) ? xw_store_flush(disk, err) : 0;

    if (rc)
        return rc;
    xw_lvm_data_name(disk, "", name);
    for (size_t i = 0; i < XW_LVM_TAKE_WORDS && more[i]; i++)
        argv[count++] = more[i];
    argv[count] = disk->path + strlen("/dev/");
    rc = xw_lvm_run(argv, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s' cannot be made", disk->vdev, disk->data);
    return rc;
}

int xw_lvm_activate(const struct xw_store_disk *disk, const char *volume, struct xw_error *err)
{
    const char *const argv[] = {"lvchange", "-qq", "--activate", "y", volume, NULL};
    int rc = xw_lvm_run(argv, err);

    if (rc)
        xw_error_prefix(err, "disk %s: '%s' cannot be activated", disk->vdev, volume);
    return rc;
}

static int remove_volume(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                         const char *ending, struct xw_error *err)
{
    char path[2 * XW_LVM_NAME_SIZE];
    const char *const argv[] = {"lvremove", "-q", "-y", path, NULL};
    int rc;

    if (!xw_lvm_data_find(of, disk, ending))
        return 0;
    xw_lvm_data_path(disk, ending, path);
    rc = xw_lvm_run(argv, err);
    if (rc)
        xw_error_prefix(err, "disk %s: '%s%s' cannot be removed", disk->vdev, disk->data, ending);
    return rc;
}

int xw_lvm_remove(const struct xw_store_disk *disk, const char *ending, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of;
    int rc = xw_lvm_disk_open(disk, &of, err);

    return rc ? rc : remove_volume(disk, &of, ending, err);
}

int xw_lvm_undo(struct xw_store_disk *disk, struct xw_error *err)
{
    return xw_lvm_remove(disk, "", err);
}

int xw_lvm_drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err)
{
    (void)progress;
    return xw_lvm_remove(disk, "", err);
}

int xw_lvm_find_snapshot(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    xw_auto_lvm_disk struct xw_lvm_disk of;
    int rc = xw_lvm_disk_open(disk, &of, err);

    *ret = !rc && xw_lvm_data_find(&of, disk, "") ? XW_STORE_TAKEN : XW_STORE_NOTHING;
    return rc;
}

/* The VG's metadata has it as soon as lvcreate has ended. */
int xw_lvm_settle(struct xw_store_disk *disk, struct xw_error *err)
{
    (void)disk;
    (void)err;
    return 0;
}
