/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names by which QEMU knows the images of a disk.
 *
 * A QEMU of before version 9.0 cannot be told another name of an image that it has open
 * (qcow2-live.c). There the new image has a second name from the start, IMAGE.xw-ID.live, by which
 * QEMU opens it, and gets the image's path as its other one only after QEMU has gone over to it,
 * while the guest still stands still. The second name stays for as long as that QEMU has the image
 * open by it.
 *
 * What libxl itself has opened is known by the image's path, which then leads to another file. As a
 * backing file it is only read, and never opened again.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/guest-qemu.h"
#include "snapshot/stores/qcow2.h"

#define LIVE ".live"

void xw_qcow2_live_name(const struct xw_store_disk *disk, char out[PATH_MAX])
{
    xw_beside_name(disk, LIVE, out);
}

/* IMAGE.xw-ID.live, of this disk's image? */
static bool is_live_name(const char *name, const char *image)
{
    size_t length = strlen(image);

    return !strncmp(name, image, length) && !strncmp(name + length, ".xw-", 4) &&
           strlen(name + length) == 4 + XW_SNAPSHOT_ID_SIZE - 1 + strlen(LIVE) &&
           !strcmp(name + length + 4 + XW_SNAPSHOT_ID_SIZE - 1, LIVE);
}

static bool is_needed(const struct xw_store_disk *disk, const char *name)
{
    xw_auto_json json_t *node = NULL;

    if (!disk->running)
        return false;
    /* Without a word from QEMU: it may be. */
    return !disk->qemu || xw_guest_qemu_image(disk->qemu, name, &node, NULL) != -ENOENT;
}

int xw_qcow2_sweep(const struct xw_store_disk *disk, struct xw_error *err)
{
    const char *image = strrchr(disk->path, '/') + 1;
    int folder = (int)(image - disk->path);
    xw_auto_closedir DIR *dir = NULL;
    char path[PATH_MAX];
    struct dirent *entry;
    int rc = 0;

    snprintf(path, sizeof(path), "%.*s", folder, disk->path);
    dir = opendir(path);
    if (!dir)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, path);
    while (!rc && (entry = readdir(dir))) {
        if (!is_live_name(entry->d_name, image))
            continue;
        snprintf(path, sizeof(path), "%.*s%s", folder, disk->path, entry->d_name);
        if (!is_needed(disk, path))
            rc = xw_beside_remove(disk, path, err);
    }
    return rc;
}
