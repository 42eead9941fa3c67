/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/store.h"

extern const struct xw_store xw_store_btrfs_subvolume;
extern const struct xw_store xw_store_lvm_thick;
extern const struct xw_store xw_store_lvm_thin;
extern const struct xw_store xw_store_null;
extern const struct xw_store xw_store_qcow2;
extern const struct xw_store xw_store_qcow2_internal;
extern const struct xw_store xw_store_rbd;
extern const struct xw_store xw_store_reflink;

const struct xw_store *const xw_stores[] = {
    &xw_store_null, /* asked first: where it is on, it is meant */
    &xw_store_qcow2_internal, /* before what is the rule */
    &xw_store_qcow2,
    &xw_store_lvm_thin,
    &xw_store_lvm_thick,
    &xw_store_rbd,
    &xw_store_btrfs_subvolume,
    &xw_store_reflink, /* what the one before does not take */
    NULL,
};

const struct xw_store *xw_store_find(const char *name)
{
    for (size_t i = 0; xw_stores[i]; i++) {
        if (!strcmp(xw_stores[i]->name, name))
            return xw_stores[i];
    }
    return NULL;
}

int xw_store_choose(struct xw_store_disk *disk, struct xw_error *err)
{
    struct stat st;

    if (stat(disk->path, &st) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->path);
    for (size_t i = 0; xw_stores[i]; i++) {
        int rc = xw_stores[i]->claims(disk, err);

        if (!rc)
            disk->store = xw_stores[i];
        if (rc != -EMEDIUMTYPE)
            return rc;
    }
    return xw_error_set(err, ENOTSUP,
                        "disk %s: snapshots of a disk of format '%s' at '%s' cannot be kept%s",
                        disk->vdev, disk->format, disk->path,
                        S_ISREG(st.st_mode) ? ": make it qcow2 by 'xenwright snapshot convert'"
                                            : "");
}

int xw_store_check_alone(const struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_closedir DIR *dir = NULL;
    struct dirent *entry;
    struct stat st;
    char path[64];

    if (stat(disk->path, &st) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->path);
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(st.st_rdev),
             minor(st.st_rdev));
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            return xw_error_set(
                err, ENOTSUP,
                "disk %s: this host itself has the device %s on top of '%s': it is not "
                "the guest's alone, and no snapshot of it can be kept",
                disk->vdev, entry->d_name, disk->path);
    }
    return 0;
}

int xw_store_flush(const struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_close int fd = open(disk->path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && fdatasync(fd) == 0)
        return 0;
    return xw_error_set_errno(err, "disk %s: '%s' cannot be flushed", disk->vdev, disk->path);
}

struct xw_store_disk *xw_store_disk_new(const char *vdev, const char *path, const char *format,
                                        const char *backend)
{
    struct xw_store_disk *disk = calloc(1, sizeof(*disk));

    if (!disk)
        return NULL;
    disk->vdev = strdup(vdev);
    disk->path = strdup(path);
    disk->format = strdup(format);
    disk->backend = strdup(backend);
    if (disk->vdev && disk->path && disk->format && disk->backend)
        return disk;
    xw_store_disk_free(disk);
    return NULL;
}

void xw_store_disk_free(struct xw_store_disk *disk)
{
    while (disk) {
        struct xw_store_disk *next = disk->next;

        free(disk->vdev);
        free(disk->path);
        free(disk->format);
        free(disk->backend);
        free(disk);
        disk = next;
    }
}
