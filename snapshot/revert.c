/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Back to a snapshot. What is to be in place of each disk is made beside it; then, when nobody writes
 * any more, put there by a rename. A guest that runs is held first, and reset at the end: the toolstack
 * that keeps it starts it again, and opens what is at the same path by then.
 *
 * The journal's step "swapping" is the point of no return: before it, all is undone; after it, all is
 * finished, the reset included.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/operation.h"
#include "base/spawn.h"
#include "host/domain-config.h"
#include "snapshot/create.h"
#include "snapshot/memory.h"
#include "snapshot/recover.h"

#define STANDSTILL_LIMIT_MS 60000

/* The toolstack takes the old domain down, then makes the new one: xl waits 2 s between the two. */
#define RESTART_MS 180000
#define POLL_NS 100000000

/* 'xl restore' reads all of the memory. */
#define XL_MS 1800000

struct revert {
    struct xw_operation operation; /* first */
    struct xw_session session;
    struct xw_standstill standstill;
    char *domain, *name;
    bool discard_current, restart, no_memory, dry_run;
    bool resume; /* from the memory in the snapshot */
    struct xw_snapshot_reverted *reverted;
    char kept[XW_SNAPSHOT_NAME_SIZE];
    struct xw_snapshot *target;
    struct xw_store_disk *disks;
    int timer; /* -1: not waiting for the guest to be started again */
    int64_t deadline;
    int64_t new_domid;
};

static int for_each(struct xw_store_disk *disks,
                    int (*call)(struct xw_store_disk *disk, struct xw_error *err),
                    struct xw_error *err)
{
    int rc = 0;

    for (; disks && !rc; disks = disks->next)
        rc = call(disks, err);
    return rc;
}

static int prepare_one(struct xw_store_disk *disk, struct xw_error *err)
{
    return disk->store->revert_prepare(disk, err);
}

static int swap_one(struct xw_store_disk *disk, struct xw_error *err)
{
    return disk->store->revert_swap(disk, err);
}

static int undo_one(struct xw_store_disk *disk, struct xw_error *err)
{
    return disk->store->revert_undo(disk, err);
}

/* Its data is there, and is no disk that the VM has lost. */
static int check_one(struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_snapshot_space space;
    int rc = disk->store->space(disk, &space, err);

    if (!rc && space.missing)
        rc = xw_error_set(err, ENOENT, "disk %s: what the snapshot kept of it is gone: '%s'",
                          disk->vdev, disk->data);
    return rc;
}

static int check_disks_are_present(const struct revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;

    for (const struct xw_store_disk *disk = revert->disks; disk && subject->has_disks;
         disk = disk->next) {
        const struct xw_store_disk *present = subject->disks;

        while (present && strcmp(present->path, disk->path) != 0)
            present = present->next;
        if (!present)
            return xw_error_set(err, ENOENT,
                                "disk %s: '%s' is in the snapshot, but is no disk of '%s' any more; "
                                "attach it again first",
                                disk->vdev, disk->path, subject->name);
    }
    return 0;
}

static int check_guest(const struct revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;
    bool restarts = false;
    int rc;

    if (!subject->running)
        return xw_subject_check_idle(revert->session.snapshots, subject, err);
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
static int plan_resume(struct revert *revert, struct xw_error *err)
{
    xw_auto_free char *path = NULL;

    revert->resume = revert->target->memory_bytes && !revert->no_memory;
    if (!revert->resume)
        return 0;
    if (!revert->session.snapshots->host)
        return xw_error_set(err, ENODEV, "no Xen runs here to resume '%s' on; --no-memory puts back "
                                         "the disks only", revert->session.subject.name);
    path = xw_memory_path(&revert->session, revert->target->id);
    if (path && access(path, R_OK) == 0)
        return 0;
    return xw_error_set_errno(err, "the memory in snapshot '%s' ('%s') cannot be read; --no-memory puts "
                                   "back the disks only", revert->target->name, path ? path : "");
}

/* Everything that can be refused. */
static int plan(struct revert *revert, struct xw_error *err)
{
    const struct xw_snapshot *found;
    int rc = xw_session_snapshot(&revert->session, revert->name, &found, err);

    if (!rc)
        rc = xw_snapshot_read(revert->session.snapshots, revert->session.subject.vm->id, found->id,
                              &revert->target, err);
    if (!rc)
        rc = xw_session_disks_of(&revert->session, revert->target, &revert->disks, err);
    if (!rc)
        rc = plan_resume(revert, err);
    if (!rc)
        rc = check_disks_are_present(revert, err);
    if (!rc)
        rc = for_each(revert->disks, check_one, err);
    return rc ? rc : check_guest(revert, err);
}

static int hold(struct revert *revert, struct xw_error *err)
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

/* The present state as a snapshot, of all disks that the VM has. */
static int keep(struct revert *revert, struct xw_error *err)
{
    const struct xw_snapshot_create request = {.quiesce = XW_QUIESCE_PAUSE};
    struct xw_create create = {0};
    int rc;

    if (revert->discard_current)
        return 0;
    rc = xw_create_plan(&revert->session, &request, true, &create, err);
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

static int begin(struct revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;
    xw_auto_json json_t *args = json_pack(
        "{s:o, s:b, s:I, s:s}", "snapshot", xw_snapshot_json(revert->target), "running",
        subject->running, "domid", (json_int_t)subject->domid, "uuid", subject->uuid);

    if (!args)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", subject->name);
    return xw_journal_begin(revert->session.journal, "revert", args, err);
}

/* After the point of no return; also what a later command does where this one is killed. */
static int swap_all(struct xw_session *session, const struct xw_snapshot *target,
                    struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = for_each(disks, swap_one, err);

    return rc ? rc : xw_session_set_current(session, target->id, err);
}

static int undo(struct xw_session *session, struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = for_each(disks, undo_one, err);

    return rc ? rc : xw_journal_done(session->journal, err);
}

static int swap(struct revert *revert, struct xw_error *err)
{
    struct xw_session *session = &revert->session;
    int rc = begin(revert, err);

    if (rc)
        return rc;
    rc = for_each(revert->disks, prepare_one, err);
    if (!rc && session->subject.running)
        rc = xw_standstill_arm(&revert->standstill, err);
    if (!rc)
        rc = xw_journal_step(session->journal, "swapping", NULL, err);
    if (!rc)
        return swap_all(session, revert->target, revert->disks, err);
    undo(session, revert->disks, NULL);
    if (session->subject.running)
        xw_standstill_end(&revert->standstill, NULL, NULL);
    return rc;
}

/* Is there a domain other than the old one with this uuid? */
static int find_new_domain(const struct revert *revert, int64_t *ret, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;
    struct xw_domain *domains = NULL;
    int rc = xw_domain_list(revert->session.snapshots->host, &domains, err);

    *ret = -1;
    for (const struct xw_domain *domain = domains; domain; domain = domain->next) {
        if (domain->domid != subject->domid && !strcmp(domain->uuid, subject->uuid) &&
            domain->name[0] && !(domain->flags & XW_DOMAIN_PAUSED))
            *ret = domain->domid;
    }
    xw_domain_free(domains);
    return rc;
}

static int start_waiting(struct revert *revert, struct xw_error *err)
{
    const struct itimerspec often = {.it_value = {.tv_nsec = POLL_NS},
                                     .it_interval = {.tv_nsec = POLL_NS}};

    revert->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (revert->timer < 0 || timerfd_settime(revert->timer, 0, &often, NULL) < 0)
        return xw_error_set_errno(err, "a timer");
    revert->deadline = xw_deadline(RESTART_MS);
    xw_operation_report(&revert->operation, "waiting for the guest to be started again", 0, 0);
    return xw_operation_wait_for(&revert->operation, revert->timer, err);
}

/* The toolstack unpauses the new domain last of all. 1: not there yet. */
static int wait_for_restart(struct revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;
    uint64_t ticks;
    int rc;

    if (read(revert->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        return xw_error_set_errno(err, "a timer");
    rc = find_new_domain(revert, &revert->new_domid, err);
    if (rc || revert->new_domid >= 0)
        return rc;
    if (xw_deadline_left(revert->deadline) > 0)
        return 1;
    return xw_error_set(err, ETIMEDOUT,
                        "'%s' is reverted, but its toolstack has not started it again: 'xl destroy "
                        "%" PRIu32 "' it, and create it",
                        subject->name, subject->domid);
}

static int run_xl(const struct revert *revert, const char *verb, const char *what,
                  struct xw_error *err)
{
    const char *const argv[] = {"xl", verb, what, NULL};
    const struct xw_spawn spawn = {.argv = argv, .timeout_ms = XL_MS};
    int rc = xw_spawn_check(&spawn, NULL, err);

    if (rc)
        xw_error_prefix(err, "the disks of '%s' are reverted, but 'xl %s %s' failed",
                        revert->session.subject.name, verb, what);
    return rc;
}

/* The old guest goes; the one in the snapshot takes its place, kept by xl as after 'xl restore'. */
static int resume(struct revert *revert, struct xw_error *err)
{
    const struct xw_subject *subject = &revert->session.subject;
    xw_auto_free char *path = xw_memory_path(&revert->session, revert->target->id);
    char domid[16];
    int rc = path ? 0 : xw_error_set(err, ENOMEM, "'%s': out of memory", subject->name);

    snprintf(domid, sizeof(domid), "%" PRIu32, subject->domid);
    if (!rc && subject->running)
        rc = run_xl(revert, "destroy", domid, err);
    if (!rc)
        rc = xw_journal_done(revert->session.journal, err);
    return rc ? rc : run_xl(revert, "restore", path, err);
}

static int find_resumed(struct revert *revert, struct xw_error *err)
{
    struct xw_domain *domain = NULL;
    int rc = xw_domain_find(revert->session.snapshots->host, revert->session.subject.name, &domain,
                            err);

    if (!rc)
        revert->new_domid = domain->domid;
    xw_domain_free(domain);
    return rc;
}

/* All that is short. 1: the guest is being started again. */
static int run(struct revert *revert, struct xw_error *err)
{
    int rc = plan(revert, err);

    if (rc || revert->dry_run)
        return rc;
    rc = hold(revert, err);
    if (!rc)
        rc = keep(revert, err);
    if (!rc)
        rc = swap(revert, err);
    if (!rc && revert->resume) {
        rc = resume(revert, err);
        return rc ? rc : find_resumed(revert, err);
    }
    if (rc || !revert->session.subject.running)
        return rc;
    rc = xw_standstill_reset(&revert->standstill, err);
    if (!rc)
        rc = start_waiting(revert, err);
    return rc ? rc : 1;
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct revert *revert = (struct revert *)operation;
    int rc;

    if (operation->cancelled && revert->timer < 0)
        return xw_error_set(err, ECANCELED, "'%s' was not reverted: cancelled", revert->domain);
    rc = revert->timer < 0 ? run(revert, err) : wait_for_restart(revert, err);
    if (rc == 0 && xw_journal_pending(revert->session.journal))
        rc = xw_journal_done(revert->session.journal, err);
    if (rc == 0 && revert->reverted)
        *revert->reverted = (struct xw_snapshot_reverted){
            .snapshot = revert->target,
            .kept = revert->kept,
            .domid = revert->new_domid,
            .resumed = revert->resume};
    return rc;
}

static void release(struct xw_operation *operation)
{
    struct revert *revert = (struct revert *)operation;

    xw_standstill_release(&revert->standstill);
    xw_session_close(&revert->session);
    xw_snapshot_free(revert->target);
    xw_store_disk_free(revert->disks);
    if (revert->timer >= 0)
        close(revert->timer);
    free(revert->domain);
    free(revert->name);
}

static const struct xw_operation_class class = {.step = step, .release = release};

int xw_snapshot_revert(struct xw_snapshots *snapshots, const struct xw_snapshot_revert *how,
                       struct xw_snapshot_reverted *reverted, struct xw_operation **ret,
                       struct xw_error *err)
{
    struct revert *revert = calloc(1, sizeof(*revert));
    int rc;

    if (!revert)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    rc = xw_operation_init(&revert->operation, &class, err);
    if (rc) {
        free(revert);
        return rc;
    }
    revert->session = (struct xw_session)XW_SESSION_INIT;
    revert->standstill = (struct xw_standstill)XW_STANDSTILL_INIT;
    revert->timer = -1;
    revert->new_domid = -1;
    revert->discard_current = how->discard_current;
    revert->restart = how->restart;
    revert->dry_run = how->dry_run;
    revert->no_memory = how->no_memory;
    revert->reverted = reverted;
    revert->domain = strdup(how->domain);
    revert->name = strdup(how->snapshot);
    rc = revert->domain && revert->name ? 0
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

/* The guest that ran when this was interrupted still does, with what was taken from under it. */
static int reset_old_guest(struct xw_session *session, struct xw_error *err)
{
    const json_t *args = xw_journal_args(session->journal);
    const char *uuid = json_string_value(json_object_get(args, "uuid"));
    const struct xw_subject *subject = &session->subject;
    struct xw_standstill standstill = XW_STANDSTILL_INIT;
    int rc;

    if (!json_is_true(json_object_get(args, "running")) || !subject->running || !uuid ||
        strcmp(uuid, subject->uuid) != 0 ||
        json_integer_value(json_object_get(args, "domid")) != subject->domid)
        return 0;
    rc = xw_standstill_prepare(&standstill, subject->domid, STANDSTILL_LIMIT_MS, err);
    if (!rc)
        rc = xw_standstill_begin(&standstill, err);
    if (!rc)
        rc = xw_standstill_reset(&standstill, err);
    xw_standstill_release(&standstill);
    return rc;
}

int xw_recover_revert(struct xw_session *session, struct xw_error *err)
{
    struct xw_store_disk *disks = NULL;
    struct xw_snapshot *target = NULL;
    int rc = xw_recover_snapshot(session, &target, err);

    if (!rc)
        rc = xw_session_disks_of(session, target, &disks, err);
    if (!rc && !xw_journal_find(session->journal, "swapping")) {
        rc = undo(session, disks, err);
    } else if (!rc) {
        for (struct xw_store_disk *disk = disks; disk; disk = disk->next)
            disk->held = disk->running; /* it is about to be reset */
        rc = swap_all(session, target, disks, err);
        if (!rc)
            rc = reset_old_guest(session, err);
        if (!rc)
            rc = xw_journal_done(session->journal, err);
    }
    xw_store_disk_free(disks);
    xw_snapshot_free(target);
    return rc;
}
