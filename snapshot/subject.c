/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/subject.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenwright/xlconfig.h>

#include "base/cleanup.h"
#include "snapshot/lvm.h"
#include "snapshot/rbd.h"

void xw_subject_free(struct xw_subject *subject)
{
    free(subject->name);
    free(subject->config);
    xw_store_disk_free(subject->disks);
    xw_snapshot_vm_free(subject->vm);
    json_decref(subject->vm_disks);
    memset(subject, 0, sizeof(*subject));
}

/*
 * The file that a disk's name leads to. For files links are followed, since what is renamed and
 * made beside it is the file. A block device keeps a name: that of LVM or RBD is a link to one that
 * changes; of the names that it has, it is always the same one. A name without a slash in front is
 * beneath /dev, as the block script has it. What is not there (yet: a revert may have been
 * interrupted) is fine here.
 */
int xw_subject_resolve(const char *vdev, const char *target, char out[PATH_MAX],
                       struct xw_error *err)
{
    char given[PATH_MAX];
    struct stat st = {0};

    if (snprintf(given, sizeof(given), "%s%s", target[0] == '/' ? "" : "/dev/",
                 target) >= PATH_MAX)
        return xw_error_set(err, ENAMETOOLONG, "disk %s: '%.80s...'", vdev, target);
    if (stat(given, &st) < 0 && errno != ENOENT)
        return xw_error_set_errno(err, "disk %s: '%s'", vdev, given);
    if (S_ISREG(st.st_mode))
        return realpath(given, out)
                   ? 0
                   : xw_error_set_errno(err, "disk %s: '%s'", vdev, given);
    memcpy(out, given, strlen(given) + 1);
    xw_lvm_canonical(out);
    xw_rbd_canonical(out);
    return 0;
}

/* Is the file in another folder than the name that libxl has for it? */
static bool is_elsewhere(const char *target, const char *path)
{
    size_t length = (size_t)(strrchr(path, '/') - path);
    char folder[PATH_MAX], real[PATH_MAX];

    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(target, '/') - target + 1), target);
    return realpath(folder, real) &&
           (strncmp(real, path, length ? length : 1) != 0 || real[length ? length : 1] != '\0');
}

static int add_disk(struct xw_subject *subject, struct xw_store_disk ***at,
                    const struct xw_disk *disk, struct xw_error *err)
{
    char path[PATH_MAX];
    int rc;

    if (disk->readonly || disk->cdrom || !disk->target[0])
        return 0;
    if (disk->backend_domid != 0 || disk->backend_domain[0])
        return xw_error_set(err, ENOTSUP,
                            "disk %s is served by a driver domain, not by this one: its snapshots "
                            "can only be made there",
                            disk->vdev);
    rc = xw_subject_resolve(disk->vdev, disk->target, path, err);
    if (!rc && !xw_record_can_hold(path))
        rc = xw_error_set(err, ENOTSUP, "disk %s: its path is not UTF-8: '%s'", disk->vdev, path);
    if (rc)
        return rc;
    **at = xw_store_disk_new(disk->vdev, path, disk->format, disk->backend);
    if (!**at)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", disk->vdev);
    (**at)->linked = disk->target[0] == '/' && is_elsewhere(disk->target, path);
    (**at)->running = subject->running;
    *at = &(**at)->next;
    return 0;
}

static int add_disks(struct xw_subject *subject, const struct xw_disk *disks, struct xw_error *err)
{
    struct xw_store_disk **at = &subject->disks;
    int rc = 0;

    for (; disks && !rc; disks = disks->next)
        rc = add_disk(subject, &at, disks, err);
    subject->has_disks = true;
    return rc;
}

static int take_domain(struct xw_host *host, const struct xw_domain *domain,
                       struct xw_subject *subject, struct xw_error *err)
{
    struct xw_disk *disks = NULL;
    int rc = xw_domain_disks(host, domain->domid, &disks, err);

    if (rc)
        return rc;
    free(subject->name);
    subject->name = strdup(domain->name);
    memcpy(subject->uuid, domain->uuid, sizeof(subject->uuid));
    subject->running = true;
    subject->domid = domain->domid;
    subject->type = domain->type;
    rc = subject->name ? add_disks(subject, disks, err)
                       : xw_error_set(err, ENOMEM, "domain '%s': out of memory", domain->name);
    xw_disk_free(disks);
    return rc;
}

/* The domain that was made from this configuration: of that name, or that uuid. */
static int find_running(struct xw_host *host, const struct xw_xlconfig *config,
                        struct xw_subject *subject, struct xw_error *err)
{
    struct xw_domain *domains = NULL;
    int rc = xw_domain_list(host, &domains, err);

    for (const struct xw_domain *domain = domains; domain && !rc; domain = domain->next) {
        if (!strcmp(domain->name, config->name) ||
            (config->uuid[0] && !strcmp(domain->uuid, config->uuid))) {
            rc = take_domain(host, domain, subject, err);
            break;
        }
    }
    xw_domain_free(domains);
    return rc;
}

static int take_config(struct xw_snapshots *snapshots, const char *path,
                       struct xw_subject *subject, struct xw_error *err)
{
    struct xw_xlconfig *config;
    int rc = xw_xlconfig_read(path, &config, err);

    if (rc)
        return rc;
    subject->config = realpath(path, NULL);
    if (!subject->config)
        rc = xw_error_set_errno(err, "'%s'", path);
    else if (!xw_record_can_hold(subject->config) || !xw_record_can_hold(config->name))
        rc = xw_error_set(err, ENOTSUP, "'%s': its path and name= have to be UTF-8", path);
    if (!rc && snapshots->host)
        rc = find_running(snapshots->host, config, subject, err);
    if (!rc && !subject->running) {
        subject->name = strdup(config->name);
        memcpy(subject->uuid, config->uuid, sizeof(subject->uuid));
        subject->type = config->type;
        rc = subject->name ? add_disks(subject, config->disks, err)
                           : xw_error_set(err, ENOMEM, "'%s': out of memory", path);
    }
    xw_xlconfig_free(config);
    return rc;
}

static bool has_disk(json_t *disks, const char *path)
{
    json_t *disk;
    size_t i;

    json_array_foreach(disks, i, disk)
    {
        const char *other = json_string_value(json_object_get(disk, "path"));

        if (other && !strcmp(other, path))
            return true;
    }
    return false;
}

/* Does the domain have one of the record's disks? */
static int has_disk_of(struct xw_host *host, const struct xw_domain *domain, json_t *disks,
                       bool *ret, struct xw_error *err)
{
    struct xw_disk *list = NULL;
    char path[PATH_MAX];
    int rc = xw_domain_disks(host, domain->domid, &list, err);

    *ret = false;
    for (const struct xw_disk *disk = list; disk && !rc && !*ret; disk = disk->next)
        *ret = !disk->readonly && disk->target[0] &&
               xw_subject_resolve(disk->vdev, disk->target, path, NULL) == 0 &&
               has_disk(disks, path);
    xw_disk_free(list);
    return rc;
}

static int take_domain_with(struct xw_host *host, json_t *disks, struct xw_subject *subject,
                            struct xw_error *err)
{
    struct xw_domain *domains = NULL;
    int rc = xw_domain_list(host, &domains, err);

    for (const struct xw_domain *domain = domains; domain && !rc; domain = domain->next) {
        bool found = false;

        /* A domain that ends meanwhile has no disks any more. */
        if (has_disk_of(host, domain, disks, &found, NULL) || !found)
            continue;
        rc = take_domain(host, domain, subject, err);
        break;
    }
    xw_domain_free(domains);
    return rc;
}

/*
 * Another VM's configuration may be in the file by now. It is still this VM's where it has a disk,
 * the name or the uuid of it.
 */
static bool is_config_of_another(const struct xw_subject *subject)
{
    const struct xw_snapshot_vm *vm = subject->vm;

    for (const struct xw_store_disk *disk = subject->disks; disk; disk = disk->next) {
        if (has_disk(subject->vm_disks, disk->path))
            return false;
    }
    return strcmp(subject->name, vm->name) != 0 &&
           (!vm->uuid[0] || strcmp(subject->uuid, vm->uuid) != 0);
}

static void forget_config(struct xw_subject *subject)
{
    struct xw_subject rest = {.vm = subject->vm, .vm_disks = subject->vm_disks};

    subject->vm = NULL;
    subject->vm_disks = NULL;
    xw_subject_free(subject);
    *subject = rest;
}

int xw_subject_of_vm(struct xw_snapshots *snapshots, const char *vm, struct xw_subject *ret,
                     struct xw_error *err)
{
    int rc;

    memset(ret, 0, sizeof(*ret));
    rc = xw_vm_read(snapshots, vm, &ret->vm, &ret->vm_disks, err);
    if (!rc && snapshots->host)
        rc = take_domain_with(snapshots->host, ret->vm_disks, ret, err);
    if (!rc && !ret->running && ret->vm->config[0] && access(ret->vm->config, F_OK) == 0)
        rc = take_config(snapshots, ret->vm->config, ret, err);
    if (!rc && ret->config && is_config_of_another(ret))
        forget_config(ret);
    if (!rc && !ret->name && !(ret->name = strdup(ret->vm->name)))
        rc = xw_error_set(err, ENOMEM, "'%s': out of memory", ret->vm->name);
    return rc;
}

/* One that is known by its snapshots. */
static int take_known(struct xw_snapshots *snapshots, const char *name,
                      struct xw_subject *subject, struct xw_error *err)
{
    char id[XW_SNAPSHOT_ID_SIZE];
    int rc = xw_vm_find(snapshots, name, id, err);

    if (!rc)
        return xw_subject_of_vm(snapshots, id, subject, err);
    if (rc != -ENOENT)
        return rc;
    return xw_error_set(err, ENOENT,
                        "'%s' is no domain that runs, no configuration file, and no VM that has "
                        "snapshots; for a VM that does not run give its configuration file",
                        name);
}

int xw_subject_find(struct xw_snapshots *snapshots, const char *domain,
                    struct xw_subject *ret, struct xw_error *err)
{
    struct xw_domain *found = NULL;
    bool file = strchr(domain, '/');
    struct stat st;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (!file && snapshots->host)
        xw_domain_find(snapshots->host, domain, &found, NULL);
    if (!file && !found)
        file = stat(domain, &st) == 0 && !S_ISDIR(st.st_mode);
    if (found)
        rc = take_domain(snapshots->host, found, ret, err);
    else
        rc = (file ? take_config : take_known)(snapshots, domain, ret, err);
    xw_domain_free(found);
    return rc || ret->vm ? rc : xw_subject_match(snapshots, ret, err);
}
