/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be refused of a revert, before anything is changed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/domain-config.h"
#include "snapshot/memory.h"
#include "snapshot/revert.h"

/* What the snapshot kept is there. */
static int check_data(struct xw_store_disk *disks, struct xw_error *err)
{
    struct xw_snapshot_space space = {0};
    int rc = 0;

    for (; disks && !rc; disks = disks->next) {
        rc = disks->store->space(disks, &space, err);
        if (!rc && space.missing)
            rc = xw_error_set(err, ENOENT, "disk %s: what the snapshot kept of it is gone: '%s'",
                              disks->vdev, disks->data);
    }
    return rc;
}

/* What the stores have against it. */
static int check_stores(struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = 0;

    for (; disks && !rc; disks = disks->next)
        rc = disks->store->revert_check ? disks->store->revert_check(disks, err) : 0;
    return rc;
}

static int check_disks_are_present(const struct xw_revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;

    for (const struct xw_store_disk *disk = revert->disks; disk && subject->has_disks;
         disk = disk->next) {
        const struct xw_store_disk *present = subject->disks;

        while (present && strcmp(present->path, disk->path) != 0)
            present = present->next;
        if (!present)
            return xw_error_set(
                err, ENOENT,
                "disk %s: '%s' is in the snapshot, but is no disk of '%s' any more; "
                "attach it again first",
                disk->vdev, disk->path, subject->name);
    }
    return 0;
}

static int check_guest(const struct xw_revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;
    bool restarts = false;
    int rc;

    if (!subject->running) {
        rc = xw_subject_check_idle(revert->session.snapshots, subject, err);
        return rc ? rc : xw_disks_check_idle(revert->session.snapshots, revert->disks, err);
    }
    if (revert->resume)
        return 0;
    if (!revert->restart)
        return xw_error_set(err, EBUSY,
                            "'%s' runs: shut it down, or have it restarted from the snapshot by "
                            "--restart",
                            subject->name);
    rc = xw_domain_config(revert->session.snapshots->host, subject->domid, NULL, &restarts, err);
    if (!rc && !restarts)
        rc = xw_error_set(err, EBUSY,
                          "'%s' is configured not to start again at a reboot (on_reboot): shut it "
                          "down, revert, and create it",
                          subject->name);
    return rc;
}

/* Is the guest to go on from memory? Not without a Xen to run it. */
static int plan_resume(struct xw_revert *revert, struct xw_error *err)
{
    revert->resume = revert->memory || (revert->target->memory_bytes && !revert->no_memory);
    if (!revert->resume)
        return 0;
    if (revert->memory)
        return 0;
    if (!revert->session.snapshots->host)
        return xw_error_set(err, ENODEV,
                            "no Xen runs here to resume '%s' on; --no-memory puts back "
                            "the disks only",
                            revert->session.subject.name);
    revert->memory = xw_memory_path(&revert->session, revert->target->id);
    if (revert->memory && access(revert->memory, R_OK) == 0)
        return 0;
    return xw_error_set_errno(err,
                              "the memory in snapshot '%s' ('%s') cannot be read; --no-memory puts "
                              "back the disks only",
                              revert->target->name, revert->memory ? revert->memory : "");
}

/* Everything that can be refused. */
int xw_revert_plan(struct xw_revert *revert, struct xw_error *err)
{
    const struct xw_snapshot *found;
    int rc = xw_session_snapshot(&revert->session, revert->name, &found, err);

    if (!rc)
        rc = xw_snapshot_read(revert->session.snapshots, revert->session.subject.vm->id, found->id,
                              &revert->target, err);
    if (!rc)
        rc = xw_session_disks_of(&revert->session, revert->target, &revert->disks, err);
    /* Nobody knows what disks it has now. Those of the snapshot are where they were. */
    if (!rc && !revert->session.subject.has_disks)
        rc = xw_session_disks_of(&revert->session, revert->target, &revert->session.subject.disks,
                                 err);
    if (!rc)
        rc = plan_resume(revert, err);
    if (!rc)
        rc = check_disks_are_present(revert, err);
    if (!rc)
        rc = check_data(revert->disks, err);
    if (!rc)
        rc = check_guest(revert, err);
    return rc ? rc : check_stores(revert->disks, err);
}
