/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record of a VM, found again whatever its name or uuid is by now: a VM is known by its disks
 * first, for it is their content that is kept. An xl guest without uuid= gets another at each
 * start.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/random.h"
#include "snapshot/subject.h"

/* The ids of the VMs of STATE, one after another. */
static int for_each_vm(const struct xw_snapshots *snapshots,
                       int (*call)(void *opaque, const char *id, struct xw_error *err),
                       void *opaque, struct xw_error *err)
{
    int fd = snapshots->dirfd >= 0
                 ? openat(snapshots->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                 : -1;
    xw_auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    int rc = 0;

    while (dir && !rc && (entry = readdir(dir))) {
        if (xw_snapshot_is_id(entry->d_name))
            rc = call(opaque, entry->d_name, err);
    }
    return rc;
}

static void insert(struct xw_snapshot_vm **at, struct xw_snapshot_vm *vm)
{
    while (*at && strcmp((*at)->name, vm->name) <= 0)
        at = &(*at)->next;
    vm->next = *at;
    *at = vm;
}

struct listing {
    const struct xw_snapshots *snapshots;
    struct xw_snapshot_vm *vms;
};

/* Stands for one whose vm.json cannot be read: it goes by its id. */
static struct xw_snapshot_vm *unreadable(const char *id)
{
    struct xw_snapshot_vm *vm = calloc(1, sizeof(*vm));

    if (!vm)
        return NULL;
    memcpy(vm->id, id, sizeof(vm->id));
    vm->name = strdup(id);
    vm->config = strdup("");
    vm->damaged = 1;
    if (vm->name && vm->config)
        return vm;
    xw_snapshot_vm_free(vm);
    return NULL;
}

static int list_one(void *opaque, const char *id, struct xw_error *err)
{
    struct listing *listing = opaque;
    struct xw_snapshot_vm *vm = NULL;
    json_t *disks = NULL;
    int rc = xw_vm_read(listing->snapshots, id, &vm, &disks, NULL);

    json_decref(disks);
    if (rc == -ENOENT)
        return 0; /* it is being made, or has just been removed */
    if (rc && !(vm = unreadable(id)))
        return xw_error_set(err, ENOMEM, "'%s': out of memory", id);
    rc = xw_vm_read_snapshots(listing->snapshots, vm, NULL);
    if (rc == -ENOENT) {
        xw_snapshot_vm_free(vm);
        return 0;
    }
    vm->damaged += rc ? 1 : 0;
    insert(&listing->vms, vm);
    return 0;
}

static int list_domain(struct xw_snapshots *snapshots, const char *domain,
                       struct xw_snapshot_vm **ret, struct xw_error *err)
{
    struct xw_subject subject;
    int rc = xw_subject_find(snapshots, domain, &subject, err);

    if (!rc && !subject.vm)
        rc = xw_error_set(err, ENOENT,
                          "'%s' has no snapshots; 'xenwright snapshot create %s' makes one", domain,
                          domain);
    if (!rc)
        rc = xw_vm_read_snapshots(snapshots, subject.vm, err);
    if (!rc) {
        *ret = subject.vm;
        subject.vm = NULL;
    }
    xw_subject_free(&subject);
    return rc;
}

int xw_snapshot_list(struct xw_snapshots *snapshots, const char *domain,
                     struct xw_snapshot_vm **ret, struct xw_error *err)
{
    struct listing listing = {.snapshots = snapshots};
    int rc;

    if (domain)
        return list_domain(snapshots, domain, ret, err);
    rc = for_each_vm(snapshots, list_one, &listing, err);
    if (rc)
        xw_snapshot_vm_free(listing.vms);
    else
        *ret = listing.vms;
    return rc;
}

const struct xw_snapshot *xw_snapshot_find(const struct xw_snapshot_vm *vm, const char *name)
{
    const struct xw_snapshot *snapshot;

    for (snapshot = vm->snapshots; snapshot; snapshot = snapshot->next) {
        if (!strcmp(snapshot->name, name))
            return snapshot;
    }
    for (snapshot = vm->snapshots; snapshot; snapshot = snapshot->next) {
        if (!strcmp(snapshot->id, name))
            return snapshot;
    }
    return NULL;
}

/* What is found by name; `rival` is a second one of that name. */
struct search {
    const struct xw_snapshots *snapshots;
    const char *name;
    char *id;
    char rival[XW_SNAPSHOT_ID_SIZE];
};

static int search_one(void *opaque, const char *id, struct xw_error *err)
{
    struct search *search = opaque;
    struct xw_snapshot_vm *vm = NULL;
    json_t *disks = NULL;
    bool found;

    (void)err;
    xw_vm_read(search->snapshots, id, &vm, &disks, NULL);
    found = vm && !strcmp(vm->name, search->name);
    if (found)
        memcpy(search->id[0] ? search->rival : search->id, id, XW_SNAPSHOT_ID_SIZE);
    xw_snapshot_vm_free(vm);
    json_decref(disks);
    return 0;
}

int xw_vm_find(const struct xw_snapshots *snapshots, const char *name, char id[XW_SNAPSHOT_ID_SIZE],
               struct xw_error *err)
{
    struct search search = {.snapshots = snapshots, .name = name, .id = id};
    int rc;

    id[0] = '\0';
    if (xw_snapshot_is_id(name) && snapshots->dirfd >= 0 &&
        faccessat(snapshots->dirfd, name, F_OK, 0) == 0) {
        memcpy(id, name, XW_SNAPSHOT_ID_SIZE);
        return 0;
    }
    rc = for_each_vm(snapshots, search_one, &search, err);
    if (!rc && search.rival[0])
        return xw_error_set(err, EEXIST,
                            "two VMs that have snapshots are called '%s': name one by its "
                            "configuration file, or by its id, %s or %s",
                            name, id, search.rival);
    return rc || id[0] ? rc : -ENOENT;
}

static bool shares_disk(const struct xw_subject *subject, json_t *disks)
{
    json_t *disk;
    size_t i;

    json_array_foreach(disks, i, disk)
    {
        const char *path = json_string_value(json_object_get(disk, "path"));

        for (const struct xw_store_disk *ours = subject->disks; path && ours; ours = ours->next) {
            if (!strcmp(ours->path, path))
                return true;
        }
    }
    return false;
}

/* The VM that has its disks; `rival` is a second one that has some of them too. */
struct match {
    const struct xw_snapshots *snapshots;
    const struct xw_subject *subject;
    struct xw_snapshot_vm *by_disk, *by_uuid, *rival;
    json_t *by_disk_disks, *by_uuid_disks;
};

static int match_one(void *opaque, const char *id, struct xw_error *err)
{
    struct match *match = opaque;
    struct xw_snapshot_vm *vm;
    json_t *disks;

    (void)err;
    if (xw_vm_read(match->snapshots, id, &vm, &disks, NULL))
        return 0;
    if (shares_disk(match->subject, disks)) {
        if (!match->by_disk) {
            match->by_disk = vm;
            match->by_disk_disks = disks;
            return 0;
        }
        xw_snapshot_vm_free(match->rival);
        match->rival = vm;
    } else if (!match->by_uuid && vm->uuid[0] && !strcmp(vm->uuid, match->subject->uuid)) {
        match->by_uuid = vm;
        match->by_uuid_disks = disks;
        return 0;
    } else {
        xw_snapshot_vm_free(vm);
    }
    json_decref(disks);
    return 0;
}

int xw_subject_match(const struct xw_snapshots *snapshots, struct xw_subject *subject,
                     struct xw_error *err)
{
    struct match match = {.snapshots = snapshots, .subject = subject};
    int rc = for_each_vm(snapshots, match_one, &match, err);

    if (!rc && match.rival)
        rc = xw_error_set(err, EEXIST,
                          "'%s' has disks of two VMs that have snapshots, '%s' (%s) and '%s' (%s): "
                          "delete the snapshots of one of them first",
                          subject->name, match.by_disk->name, match.by_disk->id, match.rival->name,
                          match.rival->id);
    if (!rc && match.by_disk) {
        subject->vm = match.by_disk;
        subject->vm_disks = match.by_disk_disks;
        match.by_disk = NULL;
        match.by_disk_disks = NULL;
    } else if (!rc && match.by_uuid) {
        subject->vm = match.by_uuid;
        subject->vm_disks = match.by_uuid_disks;
        match.by_uuid = NULL;
        match.by_uuid_disks = NULL;
    }
    xw_snapshot_vm_free(match.by_disk);
    xw_snapshot_vm_free(match.by_uuid);
    xw_snapshot_vm_free(match.rival);
    json_decref(match.by_disk_disks);
    json_decref(match.by_uuid_disks);
    return rc;
}

static void add_disk(json_t *disks, const char *vdev, const char *path)
{
    json_t *disk;
    size_t i;

    json_array_foreach(disks, i, disk)
    {
        const char *other = json_string_value(json_object_get(disk, "path"));

        if (other && !strcmp(other, path))
            return;
    }
    json_array_append_new(disks, json_pack("{s:s, s:s}", "vdev", vdev, "path", path));
}

/* Those that it has, and those that its snapshots have: it is known by any of them. */
static json_t *disks_of(const struct xw_subject *subject)
{
    json_t *disks = json_array();

    for (const struct xw_store_disk *disk = subject->disks; disk; disk = disk->next)
        add_disk(disks, disk->vdev, disk->path);
    for (const struct xw_snapshot *at = subject->vm->snapshots; at; at = at->next) {
        for (const struct xw_snapshot_disk *disk = at->disks; disk; disk = disk->next)
            add_disk(disks, disk->vdev, disk->path);
    }
    return disks;
}

static int replace(char **at, const char *text, struct xw_error *err)
{
    char *copy = strdup(text);

    if (!copy)
        return xw_error_set(err, ENOMEM, "the record of a VM: out of memory");
    free(*at);
    *at = copy;
    return 0;
}

int xw_subject_update(struct xw_snapshots *snapshots, struct xw_subject *subject,
                      struct xw_error *err)
{
    struct xw_snapshot_vm *vm = subject->vm;
    xw_auto_json json_t *before = vm->name ? xw_vm_json(vm, subject->vm_disks) : NULL;
    xw_auto_json json_t *after = NULL;
    int rc = replace(&vm->name, subject->name, err);

    if (!rc && (subject->config || !vm->config))
        rc = replace(&vm->config, subject->config ? subject->config : "", err);
    if (rc)
        return rc;
    if (subject->uuid[0])
        memcpy(vm->uuid, subject->uuid, sizeof(vm->uuid));
    if (subject->has_disks) {
        json_decref(subject->vm_disks);
        subject->vm_disks = disks_of(subject);
    }
    after = xw_vm_json(vm, subject->vm_disks);
    if (before && after && json_equal(before, after))
        return 0;
    return xw_vm_write(snapshots, vm, subject->vm_disks, err);
}

int xw_subject_remember(struct xw_snapshots *snapshots, struct xw_subject *subject,
                        struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = xw_snapshots_make_state(snapshots, err);

    if (!rc)
        rc = xw_snapshots_lock(snapshots, NULL, &lock, err);
    /* Another command may have made it meanwhile. */
    if (!rc)
        rc = xw_subject_match(snapshots, subject, err);
    if (rc || subject->vm) {
        xw_lock_release(&lock);
        return rc;
    }
    subject->vm = calloc(1, sizeof(*subject->vm));
    rc = subject->vm ? xw_random_hex(subject->vm->id, XW_SNAPSHOT_ID_SIZE - 1, err)
                     : xw_error_set(err, ENOMEM, "the record of a VM: out of memory");
    if (!rc)
        rc = xw_subject_update(snapshots, subject, err);
    if (rc && subject->vm)
        xw_vm_forget(snapshots, subject->vm->id, NULL);
    xw_lock_release(&lock);
    return rc;
}
