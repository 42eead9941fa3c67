/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "lab/control.h"
#include "lab/lab.h"
#include "lab/save-files.h"
#include "lab/save.h"

/* The record of a lab that is down, as its newest saved state has it that can be read. */
static int remake_record(struct lab_hold *hold, struct lab_record *ret)
{
    xw_auto_json json_t *rows = NULL;
    int rc = lab_save_list(hold->place, hold->name, &rows, NULL);

    for (size_t i = json_array_size(rows); !rc && i-- > 0;) {
        const char *tag = json_string_value(json_object_get(json_array_get(rows, i), "tag"));

        if (lab_save_read(hold->place, hold->name, tag, ret, NULL, NULL))
            continue;
        xw_log(XW_LOG_WARNING, "lab '%s': its record cannot be read; it is made again from that of "
               "its saved state '%s'", hold->name, tag);
        return 0;
    }
    return rc ? rc : -EBADMSG;
}

/* What is left is a lab that is down. A record of a later version is left alone. */
static int keep_saved(struct lab_hold *hold, struct xw_error *err)
{
    struct lab_record record;
    int rc = lab_record_read(hold->place, hold->name, &record, NULL);

    if (rc && rc != -EPROTONOSUPPORT)
        rc = remake_record(hold, &record);
    if (rc) {
        xw_log(XW_LOG_WARNING,
               "lab '%s': its record cannot be read nor made again, so it stays with "
               "its saved states as it is; 'xenwright lab forget %s --all', then 'xenwright lab "
               "down %s' remove it",
               hold->name, hold->name, hold->name);
        return 0;
    }
    record.pid = 0;
    rc = lab_record_write(hold->place, &record, err);
    lab_record_free(&record);
    if (!rc)
        lab_save_tidy(hold->place, hold->name);
    return rc;
}

/* Remove the lab, or all of it but its saved states. */
static int remove_remains(struct lab_hold *hold, struct xw_error *err)
{
    bool any;
    int rc = lab_save_any(hold->place, hold->name, &any, err);

    if (rc)
        return rc;
    return any ? keep_saved(hold, err) : xw_file_remove_tree(hold->place->labs, hold->name, err);
}

int lab_down_held(struct lab_hold *hold, struct xw_error *err)
{
    struct lab_record record;
    pid_t pid = 0;
    int rc = 0;

    if (lab_record_read(hold->place, hold->name, &record, NULL) == 0) {
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
