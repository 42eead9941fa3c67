/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest goes to another host with its disks: they are mirrored to it, then the guest is sent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/operation.h"
#include "host/domain-config.h"
#include "snapshot/migrate-send.h"
#include "snapshot/mirror.h"
#include "snapshot/subject.h"

struct migrate {
    struct xw_operation operation; /* first */
    struct xw_snapshots *snapshots;
    struct xw_subject subject;
    char *host, *program;
    uint64_t limit;
    struct xw_migrated *migrated;
    bool dry_run;

    const struct xw_store_disk *next; /* the disk to be mirrored next */
    struct xw_operation *mirroring;
    struct xw_mirror_started started;
    struct xw_mirror *mirrors; /* all of them; of one that ran before, created_ms is 0 */

    struct xw_send *send; /* once all are in step */
};

static int copy_mirror(struct migrate *migrate, struct xw_error *err)
{
    struct xw_mirror *copy;
    int rc = xw_mirror_read(migrate->snapshots, migrate->started.mirror->id, &copy, err);

    if (rc)
        return rc;
    if (migrate->started.running)
        copy->created_ms = 0;
    copy->next = migrate->mirrors;
    migrate->mirrors = copy;
    return 0;
}

static int start_mirror(struct migrate *migrate, struct xw_error *err)
{
    xw_auto_free char *target = NULL;
    struct xw_mirror_start how = {.domain = migrate->subject.name,
                                  .vdev = migrate->next->vdev,
                                  .format = migrate->next->format,
                                  .limit = migrate->limit,
                                  .wait = true,
                                  .dry_run = migrate->dry_run};
    int rc;

    if (asprintf(&target, "%s:%s", migrate->host, migrate->next->path) < 0) {
        target = NULL;
        return xw_error_set(err, ENOMEM, "'%s': out of memory", migrate->subject.name);
    }
    how.target = target;
    rc = xw_mirror_start(migrate->snapshots, &how, &migrate->started, &migrate->mirroring, err);
    if (!rc)
        rc = xw_operation_wait_for(&migrate->operation, xw_operation_fd(migrate->mirroring), err);
    return rc ? rc : 1;
}

static int go_on_mirroring(struct migrate *migrate, struct xw_error *err)
{
    struct xw_operation_state state;
    int rc = xw_operation_step(migrate->mirroring, err);

    xw_operation_state(migrate->mirroring, &state);
    xw_operation_report(&migrate->operation, state.step, state.done, state.total);
    if (rc > 0)
        return rc;
    if (!rc && !migrate->dry_run)
        rc = copy_mirror(migrate, err);
    if (!rc)
        rc = xw_operation_wait_for(&migrate->operation, -1, err);
    xw_operation_free(migrate->mirroring);
    migrate->mirroring = NULL;
    migrate->next = migrate->next->next;
    return rc ? rc : 1;
}

/*
 * The mirrors that were made for nothing go, and their images, unless somebody there may have
 * opened them. One that was there before stays, for its owner to see.
 */
static void undo(struct migrate *migrate)
{
    for (struct xw_mirror *mirror = migrate->mirrors; mirror; mirror = mirror->next) {
        struct xw_mirror_place place;

        if (!mirror->created_ms)
            continue;
        if (!xw_send_is_released(migrate->send) && !xw_mirror_place(mirror->target, &place, NULL)) {
            xw_mirror_target_remove(mirror, &place);
            xw_mirror_place_free(&place);
        }
        xw_mirror_abandon(migrate->snapshots, mirror, NULL);
    }
}

static int start_sending(struct migrate *migrate, struct xw_error *err)
{
    const struct xw_send_how how = {.snapshots = migrate->snapshots,
                                    .mirrors = migrate->mirrors,
                                    .domid = migrate->subject.domid,
                                    .host = migrate->host,
                                    .program = migrate->program};
    int rc = xw_send_start(&how, &migrate->send, err);

    if (!rc)
        rc = xw_operation_wait_for(&migrate->operation, xw_send_fd(migrate->send), err);
    xw_operation_report(&migrate->operation, "sending the guest", 0, 0);
    return rc ? rc : 1;
}

static int go_on_sending(struct migrate *migrate, struct xw_error *err)
{
    int rc = xw_send_step(migrate->send, migrate->operation.cancelled, err);

    if (rc < 0)
        xw_error_prefix(err, "'%s' was not migrated", migrate->subject.name);
    if (rc)
        return rc;
    if (migrate->migrated)
        migrate->migrated->switch_us = xw_send_switch_us(migrate->send);
    for (const struct xw_mirror *mirror = migrate->mirrors; mirror; mirror = mirror->next)
        xw_mirror_release(migrate->snapshots, mirror);
    return 0;
}

static int take_step(struct migrate *migrate, struct xw_error *err)
{
    if (migrate->send)
        return go_on_sending(migrate, err);
    if (migrate->operation.cancelled)
        return xw_error_set(err, ECANCELED, "'%s' runs on here: cancelled", migrate->subject.name);
    if (migrate->mirroring)
        return go_on_mirroring(migrate, err);
    if (migrate->next)
        return start_mirror(migrate, err);
    return migrate->dry_run ? 0 : start_sending(migrate, err);
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct migrate *migrate = (struct migrate *)operation;
    int rc = take_step(migrate, err);

    if (rc < 0)
        undo(migrate);
    return rc;
}

static void release(struct xw_operation *operation)
{
    struct migrate *migrate = (struct migrate *)operation;

    xw_operation_free(migrate->mirroring);
    xw_send_free(migrate->send);
    xw_mirror_free(migrate->mirrors);
    xw_subject_free(&migrate->subject);
    free(migrate->host);
    free(migrate->program);
}

static const struct xw_operation_class class = {.step = step, .release = release};

/* HVM guests are not taken yet: libxl has their QEMU let go of the disks before we are asked. */
static int check_guest(const struct migrate *migrate, struct xw_error *err)
{
    const struct xw_subject *subject = &migrate->subject;
    int rc;

    if (!subject->running)
        return xw_error_set(err, EINVAL, "'%s' does not run: copy its disks and its configuration",
                            subject->name);
    if (subject->type == XW_DOMAIN_TYPE_HVM)
        return xw_error_set(err, ENOTSUP,
                            "'%s' is an HVM guest, which cannot be migrated with its disks yet: "
                            "shut it down and copy them, or mirror them and start it there",
                            subject->name);
    if (!subject->disks)
        return xw_error_set(err, EINVAL,
                            "'%s' has no disk that can be written: 'xl migrate' does "
                            "it",
                            subject->name);
    rc = xw_domain_check_live(migrate->snapshots->host, subject->type, err);
    if (rc == -ENOTSUP)
        xw_error_prefix(err, "'%s' cannot be migrated while it runs", subject->name);
    return rc;
}

/* The configuration that goes along with the guest names the format too. */
static int check_disks(const struct migrate *migrate, struct xw_error *err)
{
    int rc = 0;

    for (const struct xw_store_disk *disk = migrate->subject.disks; disk && !rc;
         disk = disk->next) {
        rc = xw_mirror_check_disk(&migrate->subject, disk->vdev, err);
        if (!rc && strcmp(disk->format, "raw") != 0 && strcmp(disk->format, "qcow2") != 0)
            rc = xw_error_set(err, ENOTSUP,
                              "disk %s: an image of format '%s' cannot be mirrored as such: "
                              "convert it to qcow2 while the guest is off",
                              disk->vdev, disk->format);
    }
    return rc;
}

static int prepare(struct migrate *migrate, const struct xw_migrate *how, struct xw_error *err)
{
    int rc;

    migrate->host = strdup(how->host);
    migrate->program = strdup(how->program);
    if (!migrate->host || !migrate->program)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    if (strchr(how->host, ':') || strchr(how->host, '/') || strchr(how->program, '\''))
        return xw_error_set(err, EINVAL, "'%s' cannot be the name of a host", how->host);
    rc = xw_subject_find(migrate->snapshots, how->domain, &migrate->subject, err);
    if (!rc)
        rc = check_guest(migrate, err);
    if (!rc)
        rc = check_disks(migrate, err);
    migrate->next = migrate->subject.disks;
    for (const struct xw_store_disk *disk = migrate->next; disk && migrate->migrated;
         disk = disk->next)
        migrate->migrated->disks++;
    return rc;
}

int xw_migrate_storage(struct xw_snapshots *snapshots, const struct xw_migrate *how,
                       struct xw_migrated *migrated, struct xw_operation **ret,
                       struct xw_error *err)
{
    struct migrate *migrate = calloc(1, sizeof(*migrate));
    int rc;

    if (!migrate)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    rc = xw_operation_init(&migrate->operation, &class, err);
    if (rc) {
        free(migrate);
        return rc;
    }
    migrate->snapshots = snapshots;
    migrate->limit = how->limit;
    migrate->dry_run = how->dry_run;
    migrate->migrated = migrated;
    if (migrated)
        *migrated = (struct xw_migrated){0};
    rc = prepare(migrate, how, err);
    if (rc) {
        migrate->next = NULL;
        xw_operation_free(&migrate->operation);
    } else {
        *ret = &migrate->operation;
    }
    return rc;
}
