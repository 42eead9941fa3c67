/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A revert that was cut off: undone while nothing has changed, else finished, the guest's restart
 * included. */
#include <errno.h>
#include <string.h>

#include "host/standstill.h"
#include "snapshot/recover.h"
#include "snapshot/swap.h"

#define STANDSTILL_LIMIT_MS 60000

/* It is this guest that was to be restarted: the old one, or what its toolstack has made of it
 * since. */
static bool is_to_restart(const struct xw_session *session)
{
    const json_t *args = xw_journal_args(session->journal);
    const char *uuid = json_string_value(json_object_get(args, "uuid"));

    return json_is_true(json_object_get(args, "running")) && session->subject.running && uuid &&
           !strcmp(uuid, session->subject.uuid);
}

/* The very domain that was held then. */
static bool is_old_guest(const struct xw_session *session)
{
    const json_t *args = xw_journal_args(session->journal);
    const char *boot = json_string_value(json_object_get(args, "boot"));
    char now[XW_BOOT_ID_SIZE];

    xw_swap_boot_id(now);
    return is_to_restart(session) && boot && !strcmp(boot, now) &&
           json_integer_value(json_object_get(args, "domid")) == session->subject.domid;
}

/* Some disks have been put back, and one still waits. */
static bool is_mixture(const struct xw_store_disk *disks)
{
    for (; disks; disks = disks->next) {
        if (disks->store->revert_waits && disks->store->revert_waits(disks))
            return true;
    }
    return false;
}

static int hold_guest(const struct xw_session *session, struct xw_store_disk *disks,
                      struct xw_standstill *standstill, struct xw_error *err)
{
    int rc = xw_standstill_prepare(standstill, session->subject.domid, STANDSTILL_LIMIT_MS, err);

    if (!rc)
        rc = xw_standstill_begin(standstill, err);
    for (; disks && !rc; disks = disks->next)
        disks->held = disks->running;
    return rc;
}

/*
 * The guard has reset the guest when the command was killed, and the toolstack may have started it
 * again by now: on what was at the paths then. Where that changes now, it is reset once more. Any
 * other guest on the disks is one that somebody has started since: the stores refuse to take them
 * from it.
 */
static int finish(struct xw_session *session, const struct xw_snapshot *target,
                  struct xw_store_disk *disks, struct xw_error *err)
{
    struct xw_standstill standstill = XW_STANDSTILL_INIT;
    bool old = is_old_guest(session),
         restart = is_to_restart(session) && (old || is_mixture(disks));
    int rc = restart ? hold_guest(session, disks, &standstill, err) : 0;

    /* Started again on a mixture, it may have written to what was put back: that is made anew. */
    if (!rc && restart && !old)
        rc = xw_swap_prepare(disks, err);
    if (!rc)
        rc = xw_swap_all(session, target, disks, err);
    if (!rc && restart)
        rc = xw_standstill_reset(&standstill, err);
    xw_standstill_release(&standstill);
    if (!rc)
        rc = xw_swap_settle(disks, err);
    return rc ? rc : xw_journal_done(session->journal, err);
}

int xw_recover_revert(struct xw_session *session, struct xw_error *err)
{
    struct xw_store_disk *disks = NULL;
    struct xw_snapshot *target = NULL;
    int rc = xw_recover_snapshot(session, &target, err);

    if (!rc)
        rc = xw_session_disks_of(session, target, &disks, err);
    if (!rc && (!xw_journal_find(session->journal, "swapping") || xw_swap_has_not_begun(disks)))
        rc = xw_swap_undo(session, disks, err);
    else if (!rc)
        rc = finish(session, target, disks, err);
    xw_store_disk_free(disks);
    xw_snapshot_free(target);
    return rc;
}
