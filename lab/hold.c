/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holding a lab: its lock, its journal, and the repair of what was interrupted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "lab/control.h"
#include "lab/lab.h"
#include "lab/save.h"

/* Finish or undo what the journal says was begun. */
static int put_right(struct lab_hold *hold, struct xw_error *err)
{
    const char *operation = xw_journal_pending(hold->journal);
    int rc;

    if (!operation)
        return 0;
    if (strcmp(operation, "up") == 0) {
        xw_log(XW_LOG_WARNING,
               "lab '%s' was being brought up when xenwright was killed: taking away "
               "what there is of it",
               hold->name);
        rc = lab_control_end(hold->place, hold->name, 0, err);
        if (!rc)
            rc = lab_down_held(hold, err);
    } else if (strcmp(operation, "down") == 0) {
        xw_log(XW_LOG_WARNING, "lab '%s' was being taken down when xenwright was killed: going on",
               hold->name);
        rc = lab_down_held(hold, err);
    } else {
        rc = lab_save_put_right(hold, err);
    }
    return rc;
}

int lab_hold(const struct lab_place *place, const char *name, int timeout_ms, struct lab_hold *ret,
             struct xw_error *err)
{
    char path[LAB_NAME_MAX + 32];
    int rc = lab_name_check("lab", name, err);

    *ret = (struct lab_hold){.place = place, .lock = XW_LOCK_INIT};
    if (rc)
        return rc;
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(path, sizeof(path), ".lock-%s", name);
    rc = xw_lock_take(&ret->lock, place->labs, path, XW_LOCK_EXCLUSIVE, timeout_ms, err);
    if (rc)
        return rc;
    snprintf(path, sizeof(path), ".journal-%s", name);
    rc = xw_journal_open(place->labs, path, &ret->journal, err);
    if (rc == -EBADMSG) {
        /* Without the journal only the surest thing is safe: the lab's remains are taken away
         * whole. */
        xw_log(XW_LOG_WARNING, "lab '%s': its journal is damaged: it will be taken down", name);
        unlinkat(place->labs, path, 0);
        rc = xw_journal_open(place->labs, path, &ret->journal, err);
        if (!rc)
            rc = lab_down_held(ret, err);
    }
    if (!rc)
        rc = put_right(ret, err);
    if (rc)
        lab_let_go(ret);
    return rc;
}

void lab_let_go(struct lab_hold *hold)
{
    char path[LAB_NAME_MAX + 32];

    /* A lab that is gone leaves no files: the lock can bear the loss of its file (base/lock.h). */
    if (hold->journal && !xw_journal_pending(hold->journal) &&
        faccessat(hold->place->labs, hold->name, F_OK, 0) < 0) {
        snprintf(path, sizeof(path), ".journal-%s", hold->name);
        unlinkat(hold->place->labs, path, 0);
        snprintf(path, sizeof(path), ".lock-%s", hold->name);
        unlinkat(hold->place->labs, path, 0);
    }
    xw_journal_close(hold->journal);
    hold->journal = NULL;
    xw_lock_release(&hold->lock);
}

/* Take hold of each lab for a moment. */
static void put_right_each(const struct lab_place *place, char **names)
{
    for (char **name = names; *name; name++) {
        struct xw_error why = XW_ERROR_INIT;
        struct lab_hold hold;
        int rc;

        if (lab_name_check("lab", *name, NULL))
            continue;
        rc = lab_hold(place, *name, 0, &hold, &why);
        if (rc == 0)
            lab_let_go(&hold);
        else if (rc != -EBUSY)
            xw_log(XW_LOG_WARNING, "%s", why.message);
    }
}

int lab_put_right_all(const struct lab_place *place, struct xw_error *err)
{
    char **names;
    int rc = lab_names_of_journals(place, &names, err);

    if (rc)
        return rc;
    put_right_each(place, names);
    lab_names_free(names);
    return 0;
}
