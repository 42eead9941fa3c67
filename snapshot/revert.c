/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Back to a snapshot. What is to be in place of each disk is made beside it; then, when nobody
 * writes any more, put there by a rename. A guest that runs is held first, and reset at the end:
 * the toolstack that keeps it starts it again, and opens what is at the same path by then.
 *
 * The journal's step "swapping" is the point of no return: before it, all is undone; after it, all
 * is finished, the reset included. But while the first disk has not been swapped nothing has
 * changed, and the VM may be started, and go on as it was: then it is undone too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/create.h"
#include "snapshot/recover.h"
#include "snapshot/revert.h"
#include "snapshot/swap.h"

#define STANDSTILL_LIMIT_MS 60000

static int hold(struct xw_revert *revert, struct xw_error *err)
{
    int rc;

    if (!revert->session.subject.running)
        return 0;
    rc = xw_standstill_prepare(&revert->standstill, revert->session.subject.domid,
                               STANDSTILL_LIMIT_MS, err);
    if (!rc)
        rc = xw_standstill_begin(&revert->standstill, err);
    for (struct xw_store_disk *disk = revert->disks; disk && !rc; disk = disk->next)
        disk->held = disk->running;
    return rc;
}

/* What the VM calls the disks now that are to be put back; ends with NULL. NULL: out of memory. */
static const char **present_names(const struct xw_revert *revert)
{
    size_t count = 0;
    const char **names;

    for (const struct xw_store_disk *disk = revert->disks; disk; disk = disk->next)
        count++;
    names = calloc(count + 1, sizeof(*names));
    count = 0;
    for (const struct xw_store_disk *disk = revert->disks; disk && names; disk = disk->next) {
        const struct xw_store_disk *present = revert->session.subject.disks;

        while (present && strcmp(present->path, disk->path) != 0)
            present = present->next;
        names[count++] = present ? present->vdev : disk->vdev;
    }
    return names;
}

/* The present state as a snapshot, of those disks that are put back. */
static int keep(struct xw_revert *revert, struct xw_error *err)
{
    xw_auto_free const char **names = NULL;
    struct xw_snapshot_create request = {.quiesce = XW_QUIESCE_PAUSE};
    struct xw_create create = {0};
    int rc;

    if (revert->discard_current)
        return 0;
    request.vdevs = names = present_names(revert);
    if (!names)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", revert->domain);
    rc = xw_create_plan(&revert->session, &request, XW_CREATE_BEFORE_REVERT, &create, err);
    if (!rc) {
        create.standstill = revert->session.subject.running ? &revert->standstill : NULL;
        rc = xw_create_run(&revert->session, &create, err);
    }
    if (!rc)
        memcpy(revert->kept, create.snapshot->name, sizeof(revert->kept));
    else
        xw_error_prefix(err, "the present state cannot be kept first");
    xw_create_free(&create);
    return rc;
}

static int begin(struct xw_revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;
    char boot[XW_BOOT_ID_SIZE];
    xw_auto_json json_t *args = NULL;

    xw_swap_boot_id(boot);
    args = json_pack("{s:o, s:b, s:I, s:s, s:s}",
                     "snapshot", xw_snapshot_json(revert->target),
                     "running", subject->running,
                     "domid", (json_int_t)subject->domid,
                     "uuid", subject->uuid,
                     "boot", boot);

    if (!args)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", subject->name);
    return xw_journal_begin(revert->session.journal, "revert", args, err);
}

static int swap(struct xw_revert *revert, struct xw_error *err)
{
    struct xw_session *session = &revert->session;
    int rc = begin(revert, err);

    if (rc)
        return rc;
    rc = xw_swap_prepare(revert->disks, err);
    if (!rc && session->subject.running)
        rc = xw_standstill_arm(&revert->standstill, err);
    if (!rc)
        rc = xw_journal_step(session->journal, "swapping", NULL, err);
    if (!rc) {
        rc = xw_swap_all(session, revert->target, revert->disks, err);
        if (!rc)
            return 0;
        if (!xw_swap_has_not_begun(revert->disks)) {
            xw_session_tell_pending(session, err);
            return rc;
        }
    }
    xw_swap_undo(session, revert->disks, NULL);
    if (session->subject.running)
        xw_standstill_end(&revert->standstill, NULL, NULL);
    return rc;
}

/* What becomes of the guest, once its disks are put back. 1: it is awaited; 0: there is none. */
static int bring_back(struct xw_revert *revert, struct xw_error *err)
{
    struct xw_host *host = revert->session.snapshots->host;
    const struct xw_subject *subject = &revert->session.subject;
    int rc;

    if (!subject->running && !revert->resume)
        return 0;
    if (!revert->resume) {
        xw_operation_report(&revert->operation, "waiting for the guest to be started again", 0, 0);
        rc = xw_standstill_reset(&revert->standstill, err);
        return rc ? rc : xw_restart_await(&revert->guest, host, subject, err);
    }
    xw_operation_report(&revert->operation, "restoring memory", 0, 0);
    rc = xw_restart_restore(&revert->guest, host, subject, revert->memory, revert->paused, err);
    if (rc || !xw_journal_pending(revert->session.journal))
        return rc;
    rc = xw_swap_settle(revert->disks, err);
    /* The disks must not be put back once more under the guest that goes on now. */
    return rc ? rc : xw_journal_done(revert->session.journal, err);
}

/* Puts the disks back, a guest that runs on them is held meanwhile. */
static int put_back(struct xw_revert *revert, struct xw_error *err)
{
    int rc = hold(revert, err);

    if (!rc)
        rc = keep(revert, err);
    return rc ? rc : swap(revert, err);
}

/* All that is short. 1: the guest is being started again. */
static int run(struct xw_revert *revert, struct xw_error *err)
{
    int rc = revert->as_they_are ? 0 : put_back(revert, err);

    if (!rc)
        rc = bring_back(revert, err);
    if (rc || xw_restart_fd(&revert->guest) < 0)
        return rc;
    rc = xw_operation_wait_for(&revert->operation, xw_restart_fd(&revert->guest), err);
    revert->awaits_guest = true;
    return rc ? rc : 1;
}

int xw_revert_go(struct xw_revert *revert, struct xw_error *err)
{
    struct xw_journal *journal = revert->session.journal;
    int rc;

    if (revert->operation.cancelled && !revert->awaits_guest)
        return xw_error_set(err, ECANCELED, "'%s' was not reverted: cancelled", revert->domain);
    if (revert->operation.cancelled && revert->guest.xl.pid)
        return xw_error_set(err, ECANCELED, "'%s' is reverted, and 'xl restore' goes on by itself",
                            revert->domain);
    rc = revert->awaits_guest ? xw_restart_step(&revert->guest, err) : run(revert, err);
    if (rc == 0 && xw_journal_pending(journal))
        rc = xw_swap_settle(revert->disks, err);
    if (rc == 0 && xw_journal_pending(journal))
        rc = xw_journal_done(journal, err);
    return rc;
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct xw_revert *revert = (struct xw_revert *)operation;
    bool begun = revert->awaits_guest;
    int rc = begun || operation->cancelled ? 0 : xw_revert_plan(revert, err);

    if (!rc && (!revert->dry_run || operation->cancelled))
        rc = xw_revert_go(revert, err);
    if (rc < 0 && rc != -ECANCELED && begun && revert->resume)
        xw_error_prefix(err, "the disks of '%s' are reverted, but", revert->session.subject.name);
    if (rc == 0 && revert->reverted)
        *revert->reverted = (struct xw_snapshot_reverted){.snapshot = revert->target,
                                                          .kept = revert->kept,
                                                          .domid = revert->guest.domid,
                                                          .resumed = revert->resume};
    return rc;
}

void xw_revert_init(struct xw_revert *revert)
{
    revert->session = (struct xw_session)XW_SESSION_INIT;
    revert->standstill = (struct xw_standstill)XW_STANDSTILL_INIT;
    revert->guest = (struct xw_restart)XW_RESTART_INIT;
}

void xw_revert_release(struct xw_operation *operation)
{
    struct xw_revert *revert = (struct xw_revert *)operation;

    xw_restart_free(&revert->guest);
    xw_standstill_release(&revert->standstill);
    xw_session_close(&revert->session);
    xw_snapshot_free(revert->target);
    xw_store_disk_free(revert->disks);
    free(revert->memory);
    free(revert->domain);
    free(revert->name);
}

static const struct xw_operation_class class = {.step = step, .release = xw_revert_release};

int xw_snapshot_revert(struct xw_snapshots *snapshots, const struct xw_snapshot_revert *how,
                       struct xw_snapshot_reverted *reverted, struct xw_operation **ret,
                       struct xw_error *err)
{
    struct xw_revert *revert = calloc(1, sizeof(*revert));
    int rc;

    if (!revert)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    rc = xw_operation_init(&revert->operation, &class, err);
    if (rc) {
        free(revert);
        return rc;
    }
    xw_revert_init(revert);
    revert->discard_current = how->discard_current;
    revert->restart = how->restart;
    revert->dry_run = how->dry_run;
    revert->no_memory = how->no_memory;
    revert->reverted = reverted;
    revert->domain = strdup(how->domain);
    revert->name = strdup(how->snapshot);
    rc = revert->domain && revert->name
             ? 0
             : xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    if (!rc)
        rc = (how->dry_run ? xw_session_peek : xw_session_open)(&revert->session, snapshots,
                                                                how->domain, false, err);
    if (rc)
        xw_operation_free(&revert->operation);
    else
        *ret = &revert->operation;
    return rc;
}
