/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * 'vm save': a snapshot of the disks with the memory of that instant, which goes to a file of the
 * caller's, and not to the snapshot's folder.
 *
 *     FILE.ID.part   written, while the guest is suspended at the end; the disks are taken
 *     FILE           hashed, flushed, renamed: from here on the save is done
 *     the guest      is destroyed; with `checkpoint` it goes on, before the file is flushed
 *
 * Until the rename a failure undoes all, and the guest goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "snapshot/creation.h"
#include "snapshot/restart.h"
#include "snapshot/saved.h"

struct save {
    struct xw_creation creation; /* first */
    struct xw_memory_target target;
    struct xw_buffer tail;
    struct xw_vm_saved *saved;
    char *path, *part; /* absolute */
    bool checkpoint, paused, force;
    bool stays;          /* the guest has not been destroyed */
    uint64_t bytes;      /* of the file, once it is whole */
    struct xw_error why; /* it should have been */
};

/* Where the file will be: the folder without links, or the file that is there without any. */
static int resolve(struct save *save, const char *path, struct xw_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    xw_auto_free char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    xw_auto_free char *real = folder ? realpath(folder, NULL) : NULL;
    struct stat st;

    if (lstat(path, &st) == 0) {
        save->path = realpath(path, NULL);
        return save->path ? 0 : xw_error_set_errno(err, "'%s'", path);
    }
    if (!name[0] || !strcmp(name, ".") || !strcmp(name, ".."))
        return xw_error_set(err, EISDIR, "'%s' is a folder: give the name of a file in it", path);
    if (!real)
        return xw_error_set_errno(err, "'%s'", folder ? folder : path);
    if (asprintf(&save->path, "%s/%s", strcmp(real, "/") != 0 ? real : "", name) >= 0)
        return 0;
    save->path = NULL;
    return xw_error_set(err, ENOMEM, "'%s': out of memory", path);
}

/* A file that is there is not one of the VM's own disks, nor anything that a rename would not
 * replace. */
static int check_present(const struct save *save, struct xw_error *err)
{
    struct stat st, disk;

    if (stat(save->path, &st) < 0)
        return errno == ENOENT ? 0 : xw_error_set_errno(err, "'%s'", save->path);
    if (S_ISDIR(st.st_mode))
        return xw_error_set(err, EISDIR, "'%s' is a folder: give the name of a file in it",
                            save->path);
    if (!S_ISREG(st.st_mode))
        return xw_error_set(err, EINVAL, "'%s' is not a regular file", save->path);
    for (const struct xw_store_disk *at = save->creation.session.subject.disks; at; at = at->next) {
        if (stat(at->path, &disk) == 0 && disk.st_dev == st.st_dev && disk.st_ino == st.st_ino)
            return xw_error_set(err, EINVAL, "'%s' is the VM's disk %s", save->path, at->vdev);
    }
    if (save->force)
        return 0;
    return xw_error_set(err, EEXIST, "'%s' is there already: --force replaces it", save->path);
}

/* In place, and never in that of a file that nobody wanted to lose. */
static int put_in_place(const struct save *save, struct xw_error *err)
{
    int rc = save->force ? rename(save->part, save->path) : link(save->part, save->path);

    if (rc < 0)
        return xw_error_set_errno(err, "'%s' cannot get the name '%s'", save->part, save->path);
    xw_kill_point("save/renamed");
    if (!save->force)
        unlink(save->part);
    return xw_file_sync_folder_of(AT_FDCWD, save->path, err);
}

static int commit(struct save *save, struct xw_error *err)
{
    int fd = xw_memory_file(save->creation.create.saving);
    struct stat st;
    int rc;

    xw_kill_point("save/written");
    rc = xw_saved_seal(fd, save->part, err);
    if (!rc && fstat(fd, &st) < 0)
        rc = xw_error_set_errno(err, "'%s'", save->part);
    if (rc)
        return rc;
    save->bytes = (uint64_t)st.st_size;
    xw_kill_point("save/sealed");
    return put_in_place(save, err);
}

/*
 * The file is there, so nothing is undone any more. A guest that cannot be destroyed goes on: the
 * caller resumes whatever is left suspended.
 */
static void destroy(struct save *save)
{
    struct xw_memory *memory = save->creation.create.saving;

    if (xw_restart_destroy(&save->creation.session.subject, &save->why)) {
        save->stays = true;
        return;
    }
    xw_kill_point("save/destroyed");
    xw_memory_gone(memory);
}

static int end(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    struct save *save = (struct save *)((char *)create - offsetof(struct xw_creation, create));
    int rc = 0;

    (void)session;
    save->stays = save->checkpoint;
    if (save->checkpoint)
        rc = xw_memory_resume(create->saving, save->paused, create->snapshot, err);
    if (!rc)
        rc = commit(save, err);
    if (!rc && !save->checkpoint)
        destroy(save);
    return rc;
}

static int plan(struct save *save, const struct xw_vm_save *how, struct xw_error *err)
{
    struct xw_creation *creation = &save->creation;
    struct xw_create *create = &creation->create;
    xw_auto_free char *description = NULL;
    struct xw_snapshot_create request = {.domain = how->domain,
                                         .name = how->name,
                                         .memory = true,
                                         .stop_copy = how->stop_copy || !how->checkpoint};
    int rc = resolve(save, how->path, err);

    if (!rc && !xw_record_can_hold(save->path))
        rc = xw_error_set(err, ENOTSUP, "'%s': its path has to be UTF-8", save->path);
    if (!rc)
        rc = check_present(save, err);
    if (!rc && asprintf(&description, "with its memory in %s", save->path) < 0)
        rc = xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    request.description = description;
    if (!rc)
        rc = xw_create_plan(&creation->session, &request, XW_CREATE_SAVE, create, err);
    if (rc)
        return rc;
    save->part = xw_saved_part(save->path, create->snapshot->id);
    if (!save->part)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    rc = xw_saved_tail(&creation->session, create->snapshot, &save->tail, err);
    save->target = (struct xw_memory_target){
        .path = save->part, .tail = save->tail.data, .tail_size = save->tail.length};
    create->target = &save->target;
    create->file = save->path;
    create->end = end;
    return rc;
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct save *save = (struct save *)operation;
    int rc = xw_creation_step(operation, err);

    if (rc)
        return rc;
    if (save->why.code)
        return xw_error_set(err, save->why.code,
                            "the file is whole, but the guest could not be destroyed, and runs on "
                            "(%s)",
                            save->why.message);
    if (save->saved)
        *save->saved = (struct xw_vm_saved){.snapshot = save->creation.create.snapshot,
                                            .path = save->path,
                                            .bytes = save->bytes,
                                            .stays = save->stays};
    return 0;
}

static void release(struct xw_operation *operation)
{
    struct save *save = (struct save *)operation;

    xw_creation_release(operation);
    xw_buffer_free(&save->tail);
    free(save->path);
    free(save->part);
}

static const struct xw_operation_class class = {.step = step, .release = release};

int xw_vm_save(struct xw_snapshots *snapshots, const struct xw_vm_save *how,
               struct xw_vm_saved *saved, struct xw_operation **ret, struct xw_error *err)
{
    const struct xw_snapshot_create about = {.domain = how->domain, .dry_run = how->dry_run};
    struct save *save = calloc(1, sizeof(*save));
    int rc;

    if (!save)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    rc = xw_operation_init(&save->creation.operation, &class, err);
    if (rc) {
        free(save);
        return rc;
    }
    xw_buffer_init(&save->tail, XW_XL_SAVE_MOST_DATA);
    save->why = (struct xw_error)XW_ERROR_INIT;
    save->saved = saved;
    save->checkpoint = how->checkpoint || how->paused;
    save->paused = how->paused;
    save->force = how->force;
    rc = xw_creation_open(&save->creation, snapshots, &about, err);
    if (!rc)
        rc = plan(save, how, err);
    if (rc)
        xw_operation_free(&save->creation.operation);
    else
        *ret = &save->creation.operation;
    return rc;
}
