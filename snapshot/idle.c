/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM that does not run: does anything else have its disks open? */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <xenwright/domain.h>

#include "host/file-users.h"
#include "snapshot/subject.h"

static bool is_same(const struct stat *a, const char *path)
{
    struct stat b;

    if (path[0] != '/' || stat(path, &b) < 0)
        return false;
    if (S_ISBLK(a->st_mode))
        return S_ISBLK(b.st_mode) && a->st_rdev == b.st_rdev;
    return a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

static int check_domain(struct xw_host *host, const struct xw_domain *domain,
                        const struct xw_store_disk *disk, const struct stat *st,
                        struct xw_error *err)
{
    struct xw_disk *disks = NULL;
    int rc = 0;

    if (xw_domain_disks(host, domain->domid, &disks, NULL))
        return 0; /* it ends just now */
    for (const struct xw_disk *other = disks; other && !rc; other = other->next) {
        if (is_same(st, other->target))
            rc = xw_error_set(err, EBUSY, "disk %s: '%s' is in use by the domain '%s' (its %s)",
                              disk->vdev, disk->path, domain->name, other->vdev);
    }
    xw_disk_free(disks);
    return rc;
}

static int check_disk(const struct xw_snapshots *snapshots, const struct xw_domain *domains,
                      const struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_file_user user;
    struct stat st;
    int rc = 0;

    /* One that is gone is in nobody's use: what was kept of it can be deleted. */
    if (stat(disk->path, &st) < 0)
        return errno == ENOENT
                   ? 0
                   : xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->path);
    for (; domains && !rc; domains = domains->next)
        rc = check_domain(snapshots->host, domains, disk, &st, err);
    if (!rc)
        rc = xw_file_user(disk->path, &user, err);
    if (rc <= 0)
        return rc;
    return xw_error_set(err, EBUSY, "disk %s: '%s' is in use by %s%s (%d)", disk->vdev, disk->path,
                        user.pid ? "" : "the loop device ", user.name, (int)user.pid);
}

int xw_disks_check_idle(const struct xw_snapshots *snapshots, const struct xw_store_disk *disks,
                        struct xw_error *err)
{
    struct xw_domain *domains = NULL;
    int rc = snapshots->host ? xw_domain_list(snapshots->host, &domains, err) : 0;

    for (; disks && !rc; disks = disks->next)
        rc = check_disk(snapshots, domains, disks, err);
    xw_domain_free(domains);
    return rc;
}

int xw_subject_check_idle(const struct xw_snapshots *snapshots, const struct xw_subject *subject,
                          struct xw_error *err)
{
    return xw_disks_check_idle(snapshots, subject->disks, err);
}
