/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a new snapshot is to be: its name, its disks and who keeps them, all that can be refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/random.h"
#include "host/agent-channel.h"
#include "host/domain-config.h"
#include "snapshot/beside.h"
#include "snapshot/create.h"
#include "snapshot/freeze.h"
#include "snapshot/mirror.h"

/* Not worth a search beyond: a VM with so many snapshots has other troubles. */
#define MOST_NUMBERS 1000000

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int choose_name(const struct xw_session *session, const struct xw_snapshot_create *request,
                       enum xw_create_kind kind, char ret[XW_SNAPSHOT_NAME_SIZE],
                       struct xw_error *err)
{
    static const char *const words[] = {[XW_CREATE_SNAPSHOT] = "snap",
                                        [XW_CREATE_BEFORE_REVERT] = "before-revert",
                                        [XW_CREATE_SAVE] = "saved"};
    const struct xw_snapshot_vm *vm = session->subject.vm;

    if (request->name) {
        int rc = xw_snapshot_name_check(request->name, err);

        if (rc)
            return rc;
        if (xw_snapshot_find(vm, request->name))
            return xw_error_set(err, EEXIST,
                                "'%s' has a snapshot '%s' already; choose another name",
                                session->subject.name, request->name);
        snprintf(ret, XW_SNAPSHOT_NAME_SIZE, "%s", request->name);
        return 0;
    }
    for (int i = 1; i < MOST_NUMBERS; i++) {
        snprintf(ret, XW_SNAPSHOT_NAME_SIZE, "%s-%d", words[kind], i);
        if (!xw_snapshot_find(vm, ret))
            return 0;
    }
    return xw_error_set(err, EEXIST, "'%s': all names for snapshots are taken",
                        session->subject.name);
}

static bool is_wanted(const struct xw_snapshot_create *request, const char *vdev)
{
    if (!request->vdevs)
        return true;
    for (size_t i = 0; request->vdevs[i]; i++) {
        if (!strcmp(request->vdevs[i], vdev))
            return true;
    }
    return false;
}

/* Every disk that was asked for is there. */
static int check_wanted(const struct xw_session *session, const struct xw_snapshot_create *request,
                        struct xw_error *err)
{
    for (size_t i = 0; request->vdevs && request->vdevs[i]; i++) {
        const struct xw_store_disk *disk = session->subject.disks;

        while (disk && strcmp(disk->vdev, request->vdevs[i]) != 0)
            disk = disk->next;
        if (!disk)
            return xw_error_set(err, ENOENT, "'%s' has no disk '%s' that can be written",
                                session->subject.name, request->vdevs[i]);
    }
    return 0;
}

static int add_disk(struct xw_create *create, struct xw_store_disk ***at,
                    struct xw_snapshot_disk ***record_at, const struct xw_store_disk *from,
                    bool internal, struct xw_error *err)
{
    struct xw_store_disk *disk =
        xw_store_disk_new(from->vdev, from->path, from->format, from->backend);
    struct xw_snapshot_disk *record = calloc(1, sizeof(*record));
    int rc;

    if (!disk || !record) {
        xw_store_disk_free(disk);
        free(record);
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", from->vdev);
    }
    **at = disk;
    *at = &disk->next;
    **record_at = record;
    *record_at = &record->next;
    disk->linked = from->linked;
    disk->running = from->running;
    disk->internal = internal;
    memcpy(disk->id, create->snapshot->id, sizeof(disk->id));
    rc = xw_store_choose(disk, err);
    if (!rc)
        rc = disk->store->place(disk, err);
    if (rc)
        return rc;
    record->vdev = strdup(disk->vdev);
    record->path = strdup(disk->path);
    record->format = strdup(disk->format);
    record->store = strdup(disk->store->name);
    record->data = strdup(disk->data);
    record->size = disk->size;
    if (record->vdev && record->path && record->format && record->store && record->data)
        return 0;
    return xw_error_set(err, ENOMEM, "disk %s: out of memory", from->vdev);
}

/*
 * A guest may have one image as two disks. Of one path both go on with what is made; by two hard
 * links one of them would go on to write to what is kept.
 */
static int check_apart(const struct xw_session *session, const struct xw_create *create,
                       struct xw_error *err)
{
    for (const struct xw_store_disk *disk = create->disks; disk; disk = disk->next) {
        for (const struct xw_store_disk *other = disk->next; other; other = other->next) {
            if (!strcmp(disk->path, other->path))
                return xw_error_set(err, EINVAL,
                                    "disks %s and %s are both '%s': keep one of them, by --disk",
                                    disk->vdev, other->vdev, disk->path);
        }
        for (const struct xw_store_disk *other = session->subject.disks; other;
             other = other->next) {
            if (strcmp(disk->path, other->path) != 0 &&
                xw_beside_is_one_file(disk->path, other->path))
                return xw_error_set(err, ENOTSUP,
                                    "disks %s and %s are hard links to one file, '%s' and '%s': "
                                    "give both disks the same path",
                                    disk->vdev, other->vdev, disk->path, other->path);
        }
    }
    return 0;
}

static int choose_disks(const struct xw_session *session, const struct xw_snapshot_create *request,
                        struct xw_create *create, struct xw_error *err)
{
    struct xw_snapshot_disk **record_at = &create->snapshot->disks;
    struct xw_store_disk **at = &create->disks;
    int rc = check_wanted(session, request, err);

    for (const struct xw_store_disk *disk = session->subject.disks; disk && !rc;
         disk = disk->next) {
        if (is_wanted(request, disk->vdev))
            rc = add_disk(create, &at, &record_at, disk, request->internal, err);
    }
    if (rc || create->disks)
        return rc ? rc : check_apart(session, create, err);
    if (!session->subject.has_disks)
        return xw_error_set(err, ENOENT,
                            "'%s' does not run, and its configuration file is not known: give that "
                            "in place of the name",
                            session->subject.name);
    return xw_error_set(err, ENOENT,
                        "'%s' has no disk that can be written: there is nothing to keep",
                        session->subject.name);
}

/* QEMU keeps no snapshot of a disk that it mirrors, and would say so late. */
static int check_mirrors(const struct xw_session *session, const struct xw_create *create,
                         struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    int rc = 0;

    for (const struct xw_store_disk *disk = create->disks; disk && !rc; disk = disk->next) {
        if (disk->running && disk->store->add_actions)
            rc = xw_mirror_refuse(session->snapshots, subject->domid, subject->uuid, disk->vdev,
                                  err);
    }
    return rc;
}

/* Without a standstill only what is one action is one point in time. */
int xw_create_check_one_action(const struct xw_create *create, struct xw_error *err)
{
    const struct xw_store_disk *first = create->disks;

    for (const struct xw_store_disk *disk = first->next; disk; disk = disk->next) {
        if (!disk->running || (disk->store->add_actions && first->store->add_actions))
            continue;
        return xw_error_set(err, EINVAL,
                            "disks %s and %s cannot be kept at one point in time while the guest "
                            "runs: use --quiesce pause",
                            first->vdev, disk->vdev);
    }
    return 0;
}

static int check_agent(struct xw_host *host, uint32_t domid, struct xw_error *err)
{
    xw_auto_free char *path = NULL;
    int rc = xw_domain_check_awake(host, domid, err);

    return rc ? rc : xw_agent_channel_path(host, domid, &path, err);
}

static int check_quiesce(const struct xw_session *session, const struct xw_create *create,
                         struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    struct xw_host *host = session->snapshots->host;
    int rc;

    if (create->quiesce == XW_QUIESCE_NONE)
        return xw_create_check_one_action(create, err);
    if (!subject->running || create->quiesce == XW_QUIESCE_PAUSE)
        return 0;
    rc = create->quiesce == XW_QUIESCE_AGENT
             ? check_agent(host, subject->domid, err)
             : xw_domain_check_suspend(host, subject->domid, subject->type, err);
    if (rc)
        xw_error_prefix(err, "'%s' cannot be %s (--quiesce pause can do without)", subject->name,
                        create->quiesce == XW_QUIESCE_AGENT ? "frozen" : "suspended");
    return rc;
}

/* Memory is of use only with all disks as they were at that instant. */
static int check_memory(const struct xw_session *session, const struct xw_snapshot_create *request,
                        struct xw_error *err)
{
    int rc;

    if (!request->memory)
        return 0;
    if (request->quiesce != XW_QUIESCE_PAUSE)
        return xw_error_set(err, EINVAL,
                            "the guest is suspended for its memory: leave out --quiesce");
    if (!session->subject.running)
        return xw_error_set(err, EINVAL, "'%s' does not run: it has no memory to keep",
                            session->subject.name);
    if (request->vdevs)
        return xw_error_set(err, EINVAL,
                            "memory can only be kept with all disks: leave out either of the two");
    if (request->stop_copy)
        return 0;
    rc = xw_domain_check_live(session->snapshots->host, session->subject.type, err);
    if (rc == -ENOTSUP)
        xw_error_prefix(err, "'%s' (--no-live does that)", session->subject.name);
    return rc;
}

static enum xw_consistency consistency_of(const struct xw_session *session,
                                          enum xw_create_kind kind,
                                          const struct xw_create *create)
{
    if (!session->subject.running)
        return XW_CONSISTENCY_OFFLINE;
    if (create->memory)
        return kind == XW_CREATE_SAVE ? XW_CONSISTENCY_SUSPENDED : XW_CONSISTENCY_MEMORY;
    switch (create->quiesce) {
    case XW_QUIESCE_NONE:
        return XW_CONSISTENCY_CRASH;
    case XW_QUIESCE_SUSPEND:
        return XW_CONSISTENCY_SUSPENDED;
    case XW_QUIESCE_AGENT:
        return XW_CONSISTENCY_FROZEN;
    default:
        return XW_CONSISTENCY_PAUSED;
    }
}

int xw_create_plan(const struct xw_session *session, const struct xw_snapshot_create *request,
                   enum xw_create_kind kind, struct xw_create *ret, struct xw_error *err)
{
    struct xw_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    int rc;

    *ret = (struct xw_create){.snapshot = snapshot,
                              .quiesce = request->quiesce,
                              .agent_timeout_ms = request->agent_timeout_ms
                                                      ? request->agent_timeout_ms
                                                      : XW_FREEZE_TIMEOUT_MS,
                              .memory = request->memory,
                              .live = !request->stop_copy};
    if (!snapshot)
        return xw_error_set(err, ENOMEM, "a snapshot of '%s': out of memory",
                            session->subject.name);
    rc = request->description ? xw_snapshot_description_check(request->description, err) : 0;
    if (rc)
        return rc;
    snapshot->description = strdup(request->description ? request->description : "");
    rc = choose_name(session, request, kind, snapshot->name, err);
    if (!rc)
        rc = xw_random_hex(snapshot->id, XW_SNAPSHOT_ID_SIZE - 1, err);
    if (!rc)
        rc = choose_disks(session, request, ret, err);
    if (!rc)
        rc = check_mirrors(session, ret, err);
    if (!rc)
        rc = check_quiesce(session, ret, err);
    if (!rc)
        rc = check_memory(session, request, err);
    if (!rc && !session->subject.running)
        rc = xw_subject_check_idle(session->snapshots, &session->subject, err);
    if (rc)
        return rc;
    memcpy(snapshot->parent, session->subject.vm->current, sizeof(snapshot->parent));
    snapshot->created_ms = now_ms();
    snapshot->standstill_us = -1;
    snapshot->automatic = kind == XW_CREATE_BEFORE_REVERT;
    snapshot->consistency = consistency_of(session, kind, ret);
    return 0;
}

void xw_create_free(struct xw_create *create)
{
    xw_snapshot_free(create->snapshot);
    xw_store_disk_free(create->disks);
    json_decref(create->actions);
    *create = (struct xw_create){0};
}
