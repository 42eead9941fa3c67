/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lab/control.h"
#include "lab/lab.h"
#include "lab/save.h"

/* The lab's record, if it has one that can be read. */
static bool read_record(const struct lab_hold *hold, struct lab_record *ret)
{
    return lab_record_read(hold->place, hold->name, ret, NULL) == 0;
}

/* Remove the lab, or all of it but its saved states. */
static int remove_remains(struct lab_hold *hold, struct xw_error *err)
{
    struct lab_record record;
    bool any;
    int rc = lab_save_any(hold->place, hold->name, &any, err);

    if (rc)
        return rc;
    if (!any || !read_record(hold, &record))
        return xw_file_remove_tree(hold->place->labs, hold->name, err);
    record.pid = 0;
    rc = lab_record_write(hold->place, &record, err);
    lab_record_free(&record);
    if (!rc)
        lab_save_tidy(hold->place, hold->name);
    return rc;
}

int lab_down_held(struct lab_hold *hold, struct xw_error *err)
{
    struct lab_record record;
    pid_t pid = 0;
    int rc = 0;

    if (read_record(hold, &record)) {
        pid = record.pid;
        lab_record_free(&record);
    }
    /* What is pending is on its way to the same end, and each step bears being done twice. */
    if (!xw_journal_pending(hold->journal))
        rc = xw_journal_begin(hold->journal, "down", NULL, err);
    if (!rc)
        rc = lab_control_end(hold->place, hold->name, pid, err);
    if (!rc)
        rc = xw_journal_step(hold->journal, "ended", NULL, err);
    if (!rc)
        rc = remove_remains(hold, err);
    if (!rc)
        rc = xw_journal_done(hold->journal, err);
    return rc;
}

int lab_down(const struct lab_place *place, const char *name, struct xw_error *err)
{
    struct lab_hold hold;
    int rc = lab_check_known(place, name, err);

    if (rc)
        return rc;
    rc = lab_hold(place, name, -1, &hold, err);
    if (rc)
        return rc;
    /* Putting it right may have been all there was to do. */
    if (faccessat(place->labs, name, F_OK, 0) == 0)
        rc = lab_down_held(&hold, err);
    lab_let_go(&hold);
    return rc;
}
