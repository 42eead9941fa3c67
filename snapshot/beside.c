/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/killpoint.h"
#include "host/file-users.h"

#define LONGEST_ENDING 8 /* ".revert" */

int xw_beside_place(struct xw_store_disk *disk, struct xw_error *err)
{
    int length = snprintf(disk->data, sizeof(disk->data), "%s.xw-%s", disk->path, disk->id);
    const char *name = strrchr(disk->data, '/') + 1;

    if (length + LONGEST_ENDING < PATH_MAX && strlen(name) + LONGEST_ENDING <= NAME_MAX)
        return 0;
    return xw_error_set(err, ENAMETOOLONG,
                        "disk %s: the name of its image is too long to keep a snapshot beside it: "
                        "'%.80s...'",
                        disk->vdev, disk->path);
}

void xw_beside_name(const struct xw_store_disk *disk, const char *ending, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s.xw-%s%s", disk->path, disk->id, ending);
}

int xw_beside_adopt(const struct xw_store_disk *disk, int fd, struct xw_error *err)
{
    struct stat st;

    if (stat(disk->path, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0 &&
        fchmod(fd, st.st_mode & 07777) == 0)
        return 0;
    return xw_error_set_errno(err, "disk %s: owner and mode of '%s'", disk->vdev, disk->path);
}

int xw_beside_remove(const struct xw_store_disk *disk, const char *path, struct xw_error *err)
{
    struct stat st;

    /* Of a file that is not there, too, a read-only file system says that it is one. */
    if (unlink(path) == 0 || errno == ENOENT ||
        (errno == EROFS && lstat(path, &st) < 0 && errno == ENOENT))
        return 0;
    return xw_error_set_errno(err, "disk %s: '%s' cannot be removed", disk->vdev, path);
}

static int move(const struct xw_store_disk *disk, const char *from, struct xw_error *err)
{
    if (rename(from, disk->path) == 0)
        return xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
    return xw_error_set_errno(err, "disk %s: '%s' cannot take the place of '%s'", disk->vdev, from,
                              disk->path);
}

bool xw_beside_is_one_file(const char *a, const char *b)
{
    struct stat first, second;

    return lstat(a, &first) == 0 && lstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/*
 * What is in `old` is no longer at the image's path. Is anybody writing to it nevertheless? Then it
 * gets the path back, and what had taken it its name of before.
 */
static int check_nobody_has(const struct xw_store_disk *disk, const char *old, const char *fresh,
                            struct xw_error *err)
{
    struct xw_file_user user;
    int rc = disk->held ? 0 : xw_file_user(old, &user, err);

    if (rc <= 0)
        return rc;
    if (link(disk->path, fresh) < 0 && errno != EEXIST)
        return xw_error_set_errno(err, "disk %s: '%s' cannot be linked to '%s'", disk->vdev,
                                  disk->path, fresh);
    rc = move(disk, old, err);
    if (rc)
        return rc;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' was opened meanwhile by %s (%d), and is left to it",
                        disk->vdev, disk->path, user.name, (int)user.pid);
}

static int finish_putting_back(const struct xw_store_disk *disk, const char *fresh, const char *old,
                               struct xw_error *err)
{
    return xw_beside_is_one_file(fresh, disk->path) && access(old, F_OK) == 0
               ? move(disk, old, err)
               : 0;
}

int xw_beside_swap(const struct xw_store_disk *disk, const char *fresh, struct xw_error *err)
{
    char old[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".old", old);
    rc = finish_putting_back(disk, fresh, old, err);
    if (rc)
        return rc;
    if (access(fresh, F_OK) == 0) {
        /* One that is there already is the same file: it is made anew for each attempt. */
        rc = xw_beside_remove(disk, old, err);
        if (rc)
            return rc;
        if (link(disk->path, old) < 0)
            return xw_error_set_errno(err, "disk %s: '%s' cannot be linked to '%s'", disk->vdev,
                                      disk->path, old);
        xw_kill_point("swap/linked");
        rc = move(disk, fresh, err);
        if (rc)
            return rc;
        xw_kill_point("swap/moved");
    }
    if (access(old, F_OK) < 0)
        return 0;
    rc = check_nobody_has(disk, old, fresh, err);
    if (!rc)
        rc = xw_beside_remove(disk, old, err);
    xw_kill_point("swap/removed");
    return rc;
}

int xw_beside_unswap(const struct xw_store_disk *disk, const char *fresh, struct xw_error *err)
{
    char old[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".old", old);
    rc = finish_putting_back(disk, fresh, old, err);
    if (!rc)
        rc = xw_beside_remove(disk, old, err);
    return rc ? rc : xw_beside_remove(disk, fresh, err);
}

bool xw_beside_waits(const struct xw_store_disk *disk)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".revert", fresh);
    return access(fresh, F_OK) == 0;
}

int xw_beside_revert(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".revert", fresh);
    return xw_beside_swap(disk, fresh, err);
}

int xw_beside_revert_undo(struct xw_store_disk *disk, struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".revert", fresh);
    return xw_beside_unswap(disk, fresh, err);
}
