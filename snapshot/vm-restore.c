/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * 'vm restore': the guest goes on from a file of 'vm save', once it is certain that its disks are
 * as they were then; where they are not, they are put back first, if that is wanted.
 *
 *     check the file   all of it is what was written; the snapshot of that instant is there
 *     check the disks  each holds what the snapshot has: the store knows, or they are compared
 *     put back         as a revert does, with its journal
 *     xl restore
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
#include "base/json.h"
#include "snapshot/image-program.h"
#include "snapshot/revert.h"
#include "snapshot/saved.h"

struct restore {
    struct xw_revert revert; /* first */
    struct xw_saved saved;
    struct xw_saved_check check;
    struct xw_vm_restored *restored;
    bool revert_disks;
    struct xw_store_disk *disk; /* the one that is looked at */
    struct xw_image_program comparing; /* it with its snapshot */
    int (*next)(struct restore *restore, struct xw_error *err); /* 1: call again; 0: that is all */
};

/* What runs now, and would be in its way. */
static int check_domains(const struct restore *restore, struct xw_error *err)
{
    struct xw_host *host = restore->revert.session.snapshots->host;
    const struct xw_subject *subject = &restore->revert.session.subject;
    struct xw_domain *domains = NULL;
    int rc;

    if (subject->running)
        return xw_error_set(err, EBUSY,
                            "'%s' runs (domain %u): shut it down first, what it has written since "
                            "is lost otherwise",
                            subject->name, (unsigned int)subject->domid);
    rc = host ? xw_domain_list(host, &domains, err) : 0;
    for (const struct xw_domain *at = domains; at && !rc; at = at->next) {
        if (!strcmp(at->name, restore->saved.name) || !strcmp(at->uuid, restore->saved.uuid))
            rc = xw_error_set(err, EEXIST,
                              "a domain of that %s runs already: '%s' (domain %u); shut it down, "
                              "or rename it, first",
                              strcmp(at->name, restore->saved.name) ? "uuid" : "name", at->name,
                              (unsigned int)at->domid);
    }
    xw_domain_free(domains);
    return rc;
}

/* The VM as it was saved: its configuration file may say something else by now. */
static int take_subject(struct restore *restore, struct xw_error *err)
{
    struct xw_subject *subject = &restore->revert.session.subject;
    char *name = strdup(restore->saved.name);
    struct xw_store_disk **at = &subject->disks;

    if (!name)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", restore->saved.name);
    free(subject->name);
    subject->name = name;
    memcpy(subject->uuid, restore->saved.uuid, sizeof(subject->uuid));
    xw_store_disk_free(subject->disks);
    subject->disks = NULL;
    for (const struct xw_snapshot_disk *disk = restore->saved.snapshot->disks; disk;
         disk = disk->next) {
        *at = xw_store_disk_new(disk->vdev, disk->path, disk->format, "");
        if (!*at)
            return xw_error_set(err, ENOMEM, "disk %s: out of memory", disk->vdev);
        at = &(*at)->next;
    }
    subject->has_disks = true;
    return 0;
}

static bool is_saved(const struct restore *restore, const char *path)
{
    const struct xw_snapshot_disk *disk = restore->saved.snapshot->disks;

    while (disk && strcmp(disk->path, path) != 0)
        disk = disk->next;
    return disk;
}

/* One of libxl's disks: what it would open now. */
static int check_opened(const struct restore *restore, const json_t *json, struct xw_error *err)
{
    const char *vdev = json_string_value(json_object_get(json, "vdev"));
    const char *target = json_string_value(json_object_get(json, "pdev_path"));
    const json_t *readwrite = json_object_get(json, "readwrite");
    char path[PATH_MAX];
    int rc;

    if (!vdev || !target || !target[0] || json_integer_value(readwrite) == 0 ||
        json_is_true(json_object_get(json, "is_cdrom")) ||
        json_integer_value(json_object_get(json, "is_cdrom")))
        return 0;
    rc = xw_subject_resolve(vdev, target, path, err);
    if (rc || is_saved(restore, path))
        return rc;
    return xw_error_set(err, ESTALE,
                        "disk %s: '%s' leads to '%s' now, which is none of the disks that were "
                        "saved: put back the link or the file that was there",
                        vdev, target, path);
}

/* The configuration in the file names the same disks as our part of it does, by today's links. */
static int check_config(const struct restore *restore, struct xw_error *err)
{
    const struct xw_saved *saved = &restore->saved;
    xw_auto_json json_t *config = NULL;
    json_t *disk;
    size_t i;
    int rc = xw_json_parse(saved->config, strlen(saved->config), restore->revert.memory, NULL,
                           &config, err);

    json_array_foreach(json_object_get(config, "disks"), i, disk)
    {
        if (!rc)
            rc = check_opened(restore, disk, err);
    }
    return rc;
}

static int begin(struct restore *restore, struct xw_error *err);
static int check_file(struct restore *restore, struct xw_error *err);
static int check_disk(struct restore *restore, struct xw_error *err);
static int go(struct restore *restore, struct xw_error *err);

static int begin(struct restore *restore, struct xw_error *err)
{
    struct xw_revert *revert = &restore->revert;
    int rc = check_domains(restore, err);

    if (!rc)
        rc = take_subject(restore, err);
    if (!rc)
        rc = check_config(restore, err);
    if (!rc)
        rc = xw_revert_plan(revert, err);
    restore->disk = revert->disks;
    restore->next = check_file;
    return rc ? rc : 1;
}

static int check_file(struct restore *restore, struct xw_error *err)
{
    struct xw_revert *revert = &restore->revert;
    int rc = xw_saved_check(&restore->check, &restore->saved, revert->memory, err);

    xw_operation_report(&revert->operation, "checking the file", restore->check.at,
                        restore->saved.size);
    if (rc == 0)
        restore->next = check_disk;
    return rc < 0 ? rc : 1;
}

static int check_size(const struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_store_disk *now = xw_store_disk_new(disk->vdev, disk->path, disk->format, "");
    int rc = now ? disk->store->claims(now, err)
                 : xw_error_set(err, ENOMEM, "disk %s: out of memory", disk->vdev);

    if (rc == -EMEDIUMTYPE || (!rc && strcmp(now->path, disk->path) != 0))
        rc = xw_error_set(err, ESTALE, "disk %s: '%s' is something else than it was when saved",
                          disk->vdev, disk->path);
    if (!rc && now->size != disk->size)
        rc = xw_error_set(err, ESTALE,
                          "disk %s: '%s' has another size than when it was saved (%ju bytes, was "
                          "%ju): the guest would not know of that",
                          disk->vdev, disk->path, (uintmax_t)now->size, (uintmax_t)disk->size);
    xw_store_disk_free(now);
    return rc;
}

static int refuse(const struct restore *restore, struct xw_error *err)
{
    return xw_error_set(err, ESTALE,
                        "disk %s: '%s' has been written to since the memory was saved, and the two "
                        "do not belong together any more; --revert-disks puts the disks back to "
                        "that instant first",
                        restore->disk->vdev, restore->disk->path);
}

static void stop_comparing(struct restore *restore)
{
    xw_image_program_stop(&restore->comparing);
    if (restore->disk && restore->disk->store->expose)
        restore->disk->store->expose(restore->disk, false, NULL);
}

/* A device past the page cache: in that could be blocks from before the guest's own writes. */
static int start_comparing(struct restore *restore, struct xw_error *err)
{
    struct xw_store_disk *disk = restore->disk;
    struct stat st;
    bool device = stat(disk->path, &st) == 0 && S_ISBLK(st.st_mode);
    const char *const argv[] = {"qemu-img", "compare", "-q", "-T", device ? "none" : "writeback",
                                "-f", disk->format, "-F", disk->format, disk->path, disk->data,
                                NULL};
    int rc = disk->store->expose ? disk->store->expose(disk, true, err) : 0;

    xw_operation_report(&restore->revert.operation, "comparing a disk with its snapshot", 0, 0);
    if (!rc)
        rc = xw_image_program_start(&restore->comparing, &restore->revert.operation, argv, err);
    if (rc < 0)
        stop_comparing(restore);
    return rc;
}

/* qemu-img(1): 0: the same, 1: not, above: it cannot tell. */
static int end_comparing(struct restore *restore, struct xw_error *err)
{
    const struct xw_store_disk *disk = restore->disk;
    int status, rc;

    if (xw_image_program_check(&restore->comparing, &status) == 1)
        return 1;
    rc = xw_operation_wait_for(&restore->revert.operation, -1, err);
    stop_comparing(restore);
    if (rc)
        return rc;
    if (status == 1)
        return refuse(restore, err);
    if (status != 0)
        return xw_error_set(err, EIO, "disk %s: '%s' cannot be compared with '%s' (see above)",
                            disk->vdev, disk->path, disk->data);
    restore->disk = disk->next;
    return 1;
}

/* A piece for one disk; the disks are put back together, so the first that has changed decides. */
static int check_disk(struct restore *restore, struct xw_error *err)
{
    struct xw_store_disk *disk = restore->disk;
    int rc;

    if (restore->comparing.child.pid)
        return end_comparing(restore, err);
    if (!disk) {
        restore->revert.as_they_are = true;
        restore->next = go;
        return 1;
    }
    rc = check_size(disk, err);
    if (rc)
        return rc;
    if (disk->store->unchanged && disk->store->unchanged(disk)) {
        restore->disk = disk->next;
        return 1;
    }
    if (!restore->revert_disks)
        return start_comparing(restore, err);
    restore->next = go;
    return 1;
}

static int go(struct restore *restore, struct xw_error *err)
{
    struct xw_revert *revert = &restore->revert;
    bool begun = revert->awaits_guest;
    int rc;

    if (revert->dry_run)
        return 0;
    if (!revert->session.snapshots->host)
        return xw_error_set(err, ENODEV, "no Xen runs here to restore '%s' on",
                            restore->saved.name);
    rc = xw_revert_go(revert, err);
    if (rc < 0 && begun && rc != -ECANCELED && !revert->as_they_are)
        xw_error_prefix(err, "the disks are put back, but");
    return rc;
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct restore *restore = (struct restore *)operation;
    struct xw_revert *revert = &restore->revert;
    int rc;

    if (operation->cancelled && restore->next != go)
        return xw_error_set(err, ECANCELED, "'%s' was not restored: cancelled",
                            restore->saved.name);
    rc = restore->next(restore, err);
    if (rc == 0 && restore->restored)
        *restore->restored = (struct xw_vm_restored){.snapshot = revert->target,
                                                     .name = restore->saved.name,
                                                     .kept = revert->kept,
                                                     .reverted = !revert->as_they_are,
                                                     .domid = revert->guest.domid};
    return rc;
}

static void release(struct xw_operation *operation)
{
    struct restore *restore = (struct restore *)operation;

    if (restore->comparing.child.pid)
        stop_comparing(restore);
    xw_saved_check_end(&restore->check);
    xw_saved_free(&restore->saved);
    xw_revert_release(operation);
}

static const struct xw_operation_class class = {.step = step, .release = release};

/* The VM, and the snapshot that has the disks: of this host, or not. */
static int open_session(struct restore *restore, struct xw_snapshots *snapshots,
                        struct xw_error *err)
{
    struct xw_revert *revert = &restore->revert;
    const struct xw_saved *saved = &restore->saved;
    char host[256] = "";
    int rc = -ENOENT;

    gethostname(host, sizeof(host) - 1);
    if (snapshots->dirfd >= 0 && faccessat(snapshots->dirfd, saved->vm, F_OK, 0) == 0)
        rc = (revert->dry_run ? xw_session_peek_vm : xw_session_open_vm)(&revert->session,
                                                                         snapshots, saved->vm, err);
    if (!rc && !xw_snapshot_find(revert->session.subject.vm, revert->name))
        rc = -ENOENT;
    if (rc != -ENOENT)
        return rc;
    if (strcmp(host, saved->host) != 0)
        return xw_error_set(err, EXDEV,
                            "'%s' was saved on the host '%s', which has the snapshot with its "
                            "disks; restore it there",
                            revert->memory, saved->host);
    return xw_error_set(err, ENOENT,
                        "the snapshot '%s' of '%s', which has the disks that belong to '%s', is "
                        "there no more: it was deleted",
                        saved->snapshot->name, saved->name, revert->memory);
}

static int prepare(struct restore *restore, struct xw_snapshots *snapshots,
                   const struct xw_vm_restore *how, struct xw_error *err)
{
    struct xw_revert *revert = &restore->revert;
    int rc;

    revert->memory = realpath(how->path, NULL);
    if (!revert->memory)
        return xw_error_set_errno(err, "'%s'", how->path);
    rc = xw_saved_read(revert->memory, &restore->saved, err);
    if (rc)
        return rc;
    revert->domain = strdup(restore->saved.name);
    revert->name = strdup(restore->saved.snapshot->id);
    if (!revert->domain || !revert->name)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->path);
    return open_session(restore, snapshots, err);
}

int xw_vm_restore(struct xw_snapshots *snapshots, const struct xw_vm_restore *how,
                  struct xw_vm_restored *restored, struct xw_operation **ret, struct xw_error *err)
{
    struct restore *restore = calloc(1, sizeof(*restore));
    int rc;

    if (!restore)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->path);
    rc = xw_operation_init(&restore->revert.operation, &class, err);
    if (rc) {
        free(restore);
        return rc;
    }
    xw_revert_init(&restore->revert);
    restore->check = (struct xw_saved_check)XW_SAVED_CHECK_INIT;
    restore->comparing = (struct xw_image_program)XW_IMAGE_PROGRAM_INIT;
    restore->next = begin;
    restore->restored = restored;
    restore->revert_disks = how->revert_disks;
    restore->revert.discard_current = how->discard_current;
    restore->revert.paused = how->paused;
    restore->revert.dry_run = how->dry_run;
    rc = prepare(restore, snapshots, how, err);
    if (rc)
        xw_operation_free(&restore->revert.operation);
    else
        *ret = &restore->revert.operation;
    return rc;
}
