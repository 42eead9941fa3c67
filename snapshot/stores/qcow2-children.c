/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which images stand on that of a snapshot: the files of its folder themselves say. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "snapshot/place.h"
#include "snapshot/stores/qcow2.h"

/* IMAGE.xw-ID.new and its like: files that are being made, or replaced, are no images. */
static bool is_in_the_making(const char *name)
{
    static const char *const endings[] = {".new", ".revert", ".old", ".live"};
    size_t length = strlen(name);

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t ending = strlen(endings[i]), whole = 4 + XW_SNAPSHOT_ID_SIZE - 1 + ending;
        char id[XW_SNAPSHOT_ID_SIZE];

        if (length <= whole || strcmp(name + length - ending, endings[i]) != 0 ||
            strncmp(name + length - whole, ".xw-", 4) != 0)
            continue;
        snprintf(id, sizeof(id), "%s", name + length - whole + 4);
        if (xw_snapshot_is_id(id))
            return true;
    }
    return false;
}

bool xw_qcow2_backing_path(const char *image, const char *backing, char out[PATH_MAX])
{
    int folder = backing[0] == '/' ? 0 : (int)(strrchr(image, '/') - image + 1);

    return snprintf(out, PATH_MAX, "%.*s%s", folder, image, backing) < PATH_MAX;
}

/* Is what an image of `folder` has as its backing file `data`, however it is written there? */
static bool leads_to(const char *folder, const char *backing, const char *data)
{
    struct stat first, second;
    char path[PATH_MAX];

    if (!backing[0])
        return false;
    if (!strcmp(backing, data))
        return true;
    return xw_qcow2_backing_path(folder, backing, path) && stat(path, &first) == 0 &&
           stat(data, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

bool xw_qcow2_is_ours(const struct xw_store_disk *disk, const char *child)
{
    size_t length = strlen(disk->path);

    return !strncmp(child, disk->path, length) &&
           (!child[length] || !strncmp(child + length, ".xw-", 4));
}

static bool comes_before(const struct xw_store_disk *disk, const char *a, const char *b)
{
    if (xw_qcow2_is_ours(disk, a) != xw_qcow2_is_ours(disk, b))
        return xw_qcow2_is_ours(disk, b);
    if (!strcmp(a, disk->path) || !strcmp(b, disk->path))
        return !strcmp(a, disk->path);
    return strcmp(a, b) < 0;
}

int xw_qcow2_find_child(const struct xw_store_disk *disk, char child[PATH_MAX],
                        struct xw_error *err)
{
    xw_auto_closedir DIR *dir = NULL;
    struct dirent *entry;
    char path[PATH_MAX], folder[PATH_MAX];

    child[0] = '\0';
    snprintf(folder, sizeof(folder), "%.*s/", (int)(strrchr(disk->data, '/') - disk->data),
             disk->data);
    dir = opendir(folder);
    if (!dir)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, folder);
    while ((entry = readdir(dir))) {
        struct xw_qcow2_header header;

        if (snprintf(path, sizeof(path), "%s%s", folder, entry->d_name) >= PATH_MAX ||
            entry->d_type == DT_DIR ||
            (is_in_the_making(entry->d_name) && strcmp(path, disk->path) != 0) ||
            xw_qcow2_header_read(path, &header, NULL) ||
            !leads_to(folder, header.backing, disk->data))
            continue;
        if (!child[0] || comes_before(disk, path, child))
            memcpy(child, path, sizeof(path));
    }
    return 0;
}
