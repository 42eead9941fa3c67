/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deleting a snapshot of a qcow2 image: every image that stands on it takes its content over and
 * then stands on what is below, one after another; then it is removed. Which images these are, the
 * files of the folder themselves say.
 *
 * By whom the content is taken over:
 *   - an image that a guest has open: by the guest's QEMU (block-stream);
 *   - any other: by qemu-img rebase on a copy, which then takes its place. In place, a kill between
 * the new header and the tables that belong to it would lose content; and a VM that is started
 * meanwhile would write to the present state too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "base/sparse.h"
#include "base/spawn.h"
#include "host/file-users.h"
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

/* Is what an image of `folder` has as its backing file `data`, however it is written there? */
static bool leads_to(const char *folder, const char *backing, const char *data)
{
    struct stat first, second;
    char path[PATH_MAX];

    if (!backing[0])
        return false;
    if (!strcmp(backing, data))
        return true;
    if (snprintf(path, sizeof(path), "%s%s", backing[0] == '/' ? "" : folder, backing) >= PATH_MAX)
        return false;
    return stat(path, &first) == 0 && stat(data, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Ours is the image itself, and whatever is called as its snapshots are. */
static bool is_ours(const struct xw_store_disk *disk, const char *child)
{
    size_t length = strlen(disk->path);

    return !strncmp(child, disk->path, length) &&
           (!child[length] || !strncmp(child + length, ".xw-", 4));
}

static bool comes_before(const struct xw_store_disk *disk, const char *a, const char *b)
{
    if (is_ours(disk, a) != is_ours(disk, b))
        return is_ours(disk, b);
    if (!strcmp(a, disk->path) || !strcmp(b, disk->path))
        return !strcmp(a, disk->path);
    return strcmp(a, b) < 0;
}

/*
 * Fill `child` with an image of the folder that stands on disk->data; "" where none does (any
 * more). Of several, one of somebody else comes first, then the VM's present state, then they go by
 * name: the same at each call.
 */
static int find_child(const struct xw_store_disk *disk, char child[PATH_MAX], struct xw_error *err)
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

/* What the image is to stand on then, and its format; "" for nothing. */
struct below {
    char name[XW_QCOW2_NAME_SIZE], format[16];
};

static int start_rebase(struct xw_store_disk *disk, const char *image, const struct below *below,
                        struct xw_error *err)
{
    const char *const argv[] = {"qemu-img",    "rebase", "-f",        "qcow2", "-F",
                                below->format, "-b",     below->name, image,   NULL};
    const char *const bare[] = {"qemu-img", "rebase", "-f", "qcow2", "-b", "", image, NULL};
    const struct xw_spawn spawn = {.argv = below->name[0] ? argv : bare,
                                   .stderr_fd = XW_SPAWN_INHERIT,
                                   .end_with_parent = SIGTERM};

    int rc = xw_spawn_start(&spawn, &disk->child, err);

    xw_kill_point("qcow2/rebasing");
    return rc;
}

/* 1: it still runs; 0: it has done its work. */
static int check_rebase(struct xw_store_disk *disk, struct xw_store_progress *progress,
                        struct xw_error *err)
{
    enum xw_spawn_end end;
    int status;
    int rc = xw_child_wait(&disk->child, 0, &end, &status, NULL);

    if (rc == -ETIMEDOUT) {
        progress->wait_fd = disk->child.pidfd;
        return 1;
    }
    disk->child = (struct xw_child){0};
    xw_kill_point("qcow2/rebased");
    if (!rc && end == XW_SPAWN_EXITED && status == 0)
        return 0;
    return xw_error_set(err, EIO,
                        "disk %s: qemu-img could not take the content of '%s' over (see above); "
                        "nothing is lost, and the deletion can be tried again",
                        disk->vdev, disk->data);
}

static int copy_image(struct xw_store_disk *disk, const char *child, const char *copy,
                      struct xw_error *err)
{
    xw_auto_close int from = open(child, O_RDONLY | O_CLOEXEC);
    xw_auto_close int to = open(copy, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc;

    if (from < 0 || to < 0 || fstat(from, &disk->seen) < 0)
        return xw_error_set_errno(err, "disk %s: a copy of '%s' to '%s'", disk->vdev, child, copy);
    rc = xw_sparse_copy(from, to, NULL, NULL, err);
    if (rc)
        xw_error_prefix(err, "disk %s: a copy of '%s' to '%s'", disk->vdev, child, copy);
    return rc ? rc : xw_beside_adopt(disk, to, err);
}

static int sync_copy(const struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    xw_auto_close int fd = open(copy, O_RDWR | O_CLOEXEC);

    if (fd >= 0 && fsync(fd) == 0)
        return 0;
    return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, copy);
}

/* A VM may have been started since the copy was made, and have ended by now. */
static int check_unchanged(const struct xw_store_disk *disk, struct xw_error *err)
{
    struct stat now;

    if (stat(disk->merging, &now) == 0 && now.st_ino == disk->seen.st_ino &&
        now.st_size == disk->seen.st_size && now.st_mtim.tv_sec == disk->seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == disk->seen.st_mtim.tv_nsec)
        return 0;
    return xw_error_set(
        err, EBUSY,
        "disk %s: '%s' was written to meanwhile, and is left as it is; the deletion can be "
        "tried again",
        disk->vdev, disk->merging);
}

/* Nobody writes to another snapshot's image; who has it open goes on with the old file, which reads
 * alike. */
static int replace(const struct xw_store_disk *disk, const char *copy, struct xw_error *err)
{
    if (!strcmp(disk->merging, disk->path))
        return xw_beside_swap(disk, copy, err);
    if (rename(copy, disk->merging) == 0)
        return xw_file_sync_folder_of(AT_FDCWD, disk->merging, err);
    return xw_error_set_errno(err, "disk %s: '%s' cannot take the place of '%s'", disk->vdev, copy,
                              disk->merging);
}

static int start_merge(struct xw_store_disk *disk, const char *child, const struct below *below,
                       struct xw_store_progress *progress, struct xw_error *err)
{
    char copy[PATH_MAX];
    int rc;

    xw_beside_name(disk, ".new", copy);
    snprintf(disk->merging, sizeof(disk->merging), "%s", child);
    rc = copy_image(disk, child, copy, err);
    xw_kill_point("qcow2/copied");
    if (!rc)
        rc = start_rebase(disk, copy, below, err);
    progress->wait_fd = disk->child.pidfd;
    if (rc)
        xw_beside_remove(disk, copy, NULL);
    return rc ? rc : 1;
}

static int go_on_merging(struct xw_store_disk *disk, struct xw_store_progress *progress,
                         struct xw_error *err)
{
    char copy[PATH_MAX];
    int rc = check_rebase(disk, progress, err);

    if (rc == 1)
        return 1;
    xw_beside_name(disk, ".new", copy);
    if (!rc)
        rc = sync_copy(disk, copy, err);
    xw_kill_point("qcow2/copy-synced");
    if (!rc)
        rc = check_unchanged(disk, err);
    if (!rc)
        rc = replace(disk, copy, err);
    if (rc)
        xw_beside_unswap(disk, copy, NULL);
    return rc ? rc : 1;
}

/*
 * A kill while the copy took the image's place may have left the old image, or the copy under its
 * former name where the image was put back. The copy itself is of no use after a kill: the VM may
 * have run since.
 */
static int finish_swap(const struct xw_store_disk *disk, struct xw_error *err)
{
    char copy[PATH_MAX];

    xw_beside_name(disk, ".new", copy);
    return access(copy, F_OK) == 0 ? xw_beside_unswap(disk, copy, err)
                                   : xw_beside_swap(disk, copy, err);
}

static int refuse_stranger(const struct xw_store_disk *disk, const char *child,
                           struct xw_error *err)
{
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' has been made on top of '%s', by somebody else: it would be "
                        "worth nothing without that; remove or rebase it first",
                        disk->vdev, child, disk->data);
}

/* A guest has it open that is not the one of this VM: it can only be left alone. */
static int check_user(const struct xw_store_disk *disk, const char *child, bool *open,
                      struct xw_error *err)
{
    struct xw_file_user user;
    int rc = xw_file_user(child, &user, err);

    *open = rc > 0;
    if (rc < 0 || !*open || disk->running)
        return rc < 0 ? rc : 0;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' is open in %s (%d), and no domain is known for it",
                        disk->vdev, child, user.name, (int)user.pid);
}

/*
 * The format of what is below has to be written into the image again: QEMU would guess it
 * otherwise, and a guest can make a raw image look like any other. An older image may lack it; then
 * it is a qcow2 image, or somebody has to say what it is.
 */
static int find_below(const struct xw_store_disk *disk, struct below *ret, struct xw_error *err)
{
    struct xw_qcow2_header header, other;
    char path[PATH_MAX];
    int rc = xw_qcow2_header_read(disk->data, &header, err);

    if (rc)
        return rc;
    memcpy(ret->name, header.backing, sizeof(ret->name));
    memcpy(ret->format, header.backing_format, sizeof(ret->format));
    if (!ret->name[0] || ret->format[0])
        return 0;
    if (ret->name[0] == '/')
        snprintf(path, sizeof(path), "%s", ret->name);
    else if (snprintf(path, sizeof(path), "%.*s/%s",
                      (int)(strrchr(disk->data, '/') - disk->data), disk->data,
                      ret->name) >= PATH_MAX)
        return xw_error_set(err, ENAMETOOLONG, "disk %s: '%.80s...'", disk->vdev, path);
    if (xw_qcow2_header_read(path, &other, NULL))
        return xw_error_set(err, ENOTSUP,
                            "disk %s: '%s' stands on '%s' and does not say of what format that is: "
                            "'qemu-img rebase -u -F FORMAT' it first",
                            disk->vdev, disk->data, ret->name);
    memcpy(ret->format, "qcow2", sizeof("qcow2"));
    return 0;
}

static int merge(struct xw_store_disk *disk, const char *child,
                 struct xw_store_progress *progress, struct xw_error *err)
{
    struct below below;
    bool open;
    int rc = find_below(disk, &below, err);

    if (!rc)
        rc = check_user(disk, child, &open, err);
    if (rc)
        return rc;
    return open ? xw_qcow2_live_start(disk, child, below.name, progress, err)
                : start_merge(disk, child, &below, progress, err);
}

/* Those of QEMU itself, made before ours: they are in the image that is removed in the end. */
static int check_internal(const struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_qcow2_header header;
    int rc = xw_qcow2_header_read(disk->data, &header, err);

    if (rc || header.snapshots == 0)
        return rc;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' holds %" PRIu32
                        " snapshots made by 'qemu-img snapshot', which "
                        "would be lost with it: delete those first ('qemu-img snapshot -d')",
                        disk->vdev, disk->data, header.snapshots);
}

int xw_qcow2_drop_check(struct xw_store_disk *disk, struct xw_error *err)
{
    char child[PATH_MAX] = "";
    int rc;

    if (access(disk->data, F_OK) < 0 && errno == ENOENT)
        return 0;
    rc = check_internal(disk, err);
    if (!rc)
        rc = find_child(disk, child, err);
    if (rc || !child[0] || is_ours(disk, child))
        return rc;
    return refuse_stranger(disk, child, err);
}

int xw_qcow2_drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                  struct xw_error *err)
{
    char child[PATH_MAX], left[PATH_MAX];
    int rc;

    *progress = (struct xw_store_progress){.wait_fd = -1};
    if (access(disk->data, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (disk->child.pid)
        return go_on_merging(disk, progress, err);
    rc = disk->qemu ? xw_qcow2_live_go_on(disk, progress, err) : 0;
    if (!rc)
        rc = check_internal(disk, err);
    if (!rc)
        rc = finish_swap(disk, err);
    if (!rc)
        rc = find_child(disk, child, err);
    if (rc)
        return rc;
    if (child[0])
        return is_ours(disk, child) ? merge(disk, child, progress, err)
                                    : refuse_stranger(disk, child, err);
    xw_beside_name(disk, ".new", left);
    rc = xw_beside_remove(disk, left, err);
    xw_beside_name(disk, ".old", left);
    if (!rc)
        rc = xw_beside_remove(disk, left, err);
    if (!rc)
        rc = xw_beside_remove(disk, disk->data, err);
    if (!rc)
        rc = xw_qcow2_sweep(disk, err);
    xw_kill_point("qcow2/dropped");
    return rc ? rc : xw_file_sync_folder_of(AT_FDCWD, disk->path, err);
}
