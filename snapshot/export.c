/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk of a snapshot, copied to a file that stands on its own. What is copied is frozen: whatever
 * the guest does meanwhile goes elsewhere. Only the snapshot itself is locked, against its
 * deletion.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "snapshot/image-program.h"
#include "snapshot/session.h"

struct export {
    struct xw_operation operation; /* first */
    struct xw_session session;
    struct xw_lock lock;
    struct xw_store_disk *disks, *disk; /* those of the snapshot, and the one that is copied */
    struct xw_image_program copying;
    char *path, *part; /* the file, and what it is called while it is not whole */
    const char *format;
};

static int choose_disk(struct export *export, const char *vdev, struct xw_error *err)
{
    struct xw_store_disk *disk = export->disks;

    if (!vdev && disk && disk->next)
        return xw_error_set(err, EINVAL, "the snapshot has several disks: say which one by --disk");
    while (disk && vdev && strcmp(disk->vdev, vdev) != 0)
        disk = disk->next;
    export->disk = disk;
    return disk ? 0 : xw_error_set(err, ENOENT, "the snapshot has no disk '%s'", vdev ? vdev : "");
}

static int start_copy(struct export *export, struct xw_error *err)
{
    const struct xw_store_disk *disk = export->disk;
    const char *inside = disk->store->inside ? disk->store->inside(disk) : NULL;
    const char *const argv[] = {"qemu-img", "convert",      "-f",       disk->format, "-O",
                                export->format, disk->data, export->part, NULL};
    const char *const inner[] = {"qemu-img", "convert",  "-f",         disk->format, "-O",
                                 export->format, "-l",   inside,       disk->path,   export->part,
                                 NULL};
    int rc = disk->store->expose ? disk->store->expose(export->disk, true, err) : 0;

    return rc ? rc : xw_image_program_start(&export->copying, &export->operation,
                                            inside ? inner : argv, err);
}

/* In nobody's place. FAT has no links, and NFS no such rename. */
static int give_name(const struct export *export, struct xw_error *err)
{
    if (renameat2(AT_FDCWD, export->part, AT_FDCWD, export->path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL || link(export->part, export->path) < 0)
        return xw_error_set_errno(err, "'%s'", export->path);
    unlink(export->part);
    return 0;
}

/* The whole file gets its name; one that has come to be there meanwhile is not touched. */
static int finish(struct export *export, struct xw_error *err)
{
    xw_auto_close int fd = open(export->part, O_RDWR | O_CLOEXEC);
    int rc;

    if (fd < 0 || fsync(fd) < 0)
        return xw_error_set_errno(err, "'%s'", export->part);
    rc = give_name(export, err);
    return rc ? rc : xw_file_sync_folder_of(AT_FDCWD, export->path, err);
}

static int check_copy(struct export *export, struct xw_error *err)
{
    int status;

    if (xw_image_program_check(&export->copying, &status)) {
        xw_image_program_report(&export->operation, "copying", export->part, export->disk->size);
        return 1;
    }
    if (status != 0)
        return xw_error_set(err, EIO, "disk %s: '%s' could not be copied to '%s' (see above)",
                            export->disk->vdev, export->disk->data, export->path);
    return finish(export, err);
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct export *export = (struct export *)operation;
    int rc;

    if (operation->cancelled)
        rc = xw_error_set(err, ECANCELED, "'%s' was not written: cancelled", export->path);
    else
        rc = export->copying.child.pid ? check_copy(export, err) : start_copy(export, err);
    if (rc < 0) {
        xw_image_program_stop(&export->copying);
        if (export->part)
            unlink(export->part);
    }
    return rc;
}

static void release(struct xw_operation *operation)
{
    struct export *export = (struct export *)operation;

    if (export->disk && export->disk->store->expose)
        export->disk->store->expose(export->disk, false, NULL);
    xw_lock_release(&export->lock);
    xw_session_close(&export->session);
    xw_store_disk_free(export->disks);
    xw_image_program_stop(&export->copying);
    free(export->path);
    free(export->part);
}

static const struct xw_operation_class class = {.step = step, .release = release};

static int open_target(struct export *export, const char *path, struct xw_error *err)
{
    const char *folder = path[0] == '/' ? "" : "./"; /* or it may look like an option, or a URL */
    xw_auto_close int fd = -1;
    struct stat st;

    if (!(export->path = strdup(path)) || asprintf(&export->part, "%s%s.part", folder, path) < 0) {
        export->part = NULL;
        return xw_error_set(err, ENOMEM, "'%s': out of memory", path);
    }
    if (lstat(path, &st) == 0)
        return xw_error_set(err, EEXIST, "'%s' is there already", path);
    fd = open(export->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return 0;
    /* It is somebody else's, or that of an export that was killed: not ours to remove. */
    free(export->part);
    export->part = NULL;
    if (errno == EEXIST)
        return xw_error_set(err, EEXIST,
                            "'%s.part' is there already, of an export that was killed perhaps: "
                            "remove it",
                            path);
    return xw_error_set_errno(err, "'%s.part'", path);
}

/* Exports share a snapshot; its deletion wants it alone. */
static int lock_snapshot(struct export *export, const char *id, struct xw_error *err)
{
    char path[2 * XW_SNAPSHOT_ID_SIZE + 8];

    snprintf(path, sizeof(path), "%s/%s/lock", export->session.subject.vm->id, id);
    return xw_lock_take(&export->lock, export->session.snapshots->dirfd, path, XW_LOCK_SHARED, 0,
                        err);
}

static int begin(struct export *export, struct xw_snapshots *snapshots,
                 const struct xw_snapshot_export *how, struct xw_error *err)
{
    const struct xw_snapshot *snapshot;
    int rc = xw_session_peek(&export->session, snapshots, how->domain, false, err);

    if (!rc)
        rc = xw_session_snapshot(&export->session, how->snapshot, &snapshot, err);
    if (!rc)
        rc = xw_session_disks_of(&export->session, snapshot, &export->disks, err);
    if (!rc)
        rc = choose_disk(export, how->vdev, err);
    if (!rc)
        rc = lock_snapshot(export, snapshot->id, err);
    return rc ? rc : open_target(export, how->path, err);
}

int xw_snapshot_export(struct xw_snapshots *snapshots, const struct xw_snapshot_export *how,
                       struct xw_operation **ret, struct xw_error *err)
{
    struct export *export = calloc(1, sizeof(*export));
    int rc;

    if (!export)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->path);
    rc = xw_operation_init(&export->operation, &class, err);
    if (rc) {
        free(export);
        return rc;
    }
    export->session = (struct xw_session)XW_SESSION_INIT;
    export->lock = (struct xw_lock)XW_LOCK_INIT;
    export->format = how->raw ? "raw" : "qcow2";
    export->copying = (struct xw_image_program)XW_IMAGE_PROGRAM_INIT;
    rc = begin(export, snapshots, how, err);
    if (rc)
        xw_operation_free(&export->operation);
    else
        *ret = &export->operation;
    return rc;
}
