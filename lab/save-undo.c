/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The undoing of a save that failed, or of what was interrupted. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "lab/control.h"
#include "lab/raise.h"
#include "lab/save-files.h"
#include "lab/save.h"

#define QMP_TIMEOUT_MS 30000
#define END_TIMEOUT_MS 500 /* from the loss of its sockets to the end of a killed QEMU */

/*
 * N of disk-N.qcow2. An overlay that was begun by a save has the name of its node from us: its file
 * is shown together with those below it then. The first one is shown plainly.
 */
static int number_of(const char *node, const char *file)
{
    const char *name = strrchr(file, '/');
    int number;

    if (sscanf(node, "disk%d", &number) == 1 && number > 0)
        return number;
    return name && sscanf(name, "/disk-%d.qcow2", &number) == 1 ? number : -1;
}

/* The node that the disk of dom0 is attached to. */
static int find_node(struct xw_qmp *qmp, char *ret, size_t size, struct xw_error *err)
{
    xw_auto_json json_t *node = NULL;
    int rc = xw_qmp_execute(
        qmp, "qom-get",
        json_pack("{s:s, s:s}", "path", "/machine/peripheral/dom0-disk", "property", "drive"),
        QMP_TIMEOUT_MS, &node, err);

    if (!rc && !json_is_string(node))
        rc = xw_error_set(err, EPROTO, "QEMU does not show the disk of dom0");
    if (!rc)
        snprintf(ret, size, "%s", json_string_value(node));
    return rc;
}

/* Not by query-block: it nests what is below a disk, and there may be any number of overlays. */
int lab_save_find_disk(struct xw_qmp *qmp, struct lab_save_disk *ret, struct xw_error *err)
{
    xw_auto_json json_t *nodes = NULL;
    size_t i;
    json_t *entry;
    int rc = find_node(qmp, ret->node, sizeof(ret->node), err);

    if (!rc)
        rc = xw_qmp_execute(qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
                            QMP_TIMEOUT_MS, &nodes, err);
    if (rc)
        return rc;
    json_array_foreach (nodes, i, entry) {
        const char *node, *file;
        json_int_t size;

        if (json_unpack(entry, "{s:s, s:s, s:{s:I}}", "node-name", &node, "file", &file, "image",
                        "virtual-size", &size) != 0 ||
            strcmp(node, ret->node) != 0)
            continue;
        ret->size = (uint64_t)size;
        ret->number = number_of(node, file);
        if (ret->number >= 0)
            return 0;
    }
    return xw_error_set(err, EPROTO, "QEMU does not show the disk of dom0");
}

void lab_save_set_clock(const struct lab_hold *hold, const struct lab_record *record)
{
    if (lab_raise_set_clock(hold->place, record, NULL))
        xw_log(XW_LOG_WARNING, "lab '%s' stood still, and its clock could not be set", hold->name);
}

static int resume_at(struct xw_qmp *qmp, struct lab_save_disk *ret, struct xw_error *err)
{
    int rc;

    xw_qmp_execute(qmp, "migrate_cancel", NULL, QMP_TIMEOUT_MS, NULL, NULL);
    rc = xw_qmp_execute(qmp, "cont", NULL, QMP_TIMEOUT_MS, NULL, err);
    return rc ? rc : lab_save_find_disk(qmp, ret, err);
}

/* Let the machine go on. *ret_disk: N of the overlay it writes to; -1 where its QEMU is gone. */
static int resume(struct lab_hold *hold, int *ret_disk, struct xw_error *err)
{
    struct lab_save_disk disk = {.number = -1};
    struct xw_error why = XW_ERROR_INIT;
    struct xw_qmp *qmp;
    int64_t deadline;
    int rc = lab_is_alive(hold->place, hold->name)
                 ? lab_control_qmp(hold->place, hold->name, &qmp, &why) : -ESRCH;

    if (!rc) {
        rc = resume_at(qmp, &disk, &why);
        xw_qmp_close(qmp);
    }
    deadline = xw_deadline(END_TIMEOUT_MS);
    while (rc && lab_is_alive(hold->place, hold->name)) {
        if (xw_deadline_left(deadline) == 0)
            return xw_error_set(err, -rc, "it may stand still: %s", why.message);
        poll(NULL, 0, 10);
    }
    *ret_disk = rc ? -1 : disk.number;
    return 0;
}

/* The record may say that another overlay is written to. */
static int put_record_right(struct lab_hold *hold, int disk, struct xw_error *err)
{
    struct lab_record record;
    int rc;

    if (disk < 0)
        return 0;
    rc = lab_record_read(hold->place, hold->name, &record, err);
    if (rc)
        return rc;
    if (disk != record.disk) {
        record.disk = disk;
        json_array_append_new(record.chain, json_integer(disk));
        rc = lab_record_write(hold->place, &record, err);
    }
    if (!rc)
        lab_save_set_clock(hold, &record);
    lab_record_free(&record);
    return rc;
}

/* With the machine going on. What is half made goes first: a full disk has room for the rest then.
 */
static int clear(struct lab_hold *hold, int disk, struct xw_error *err)
{
    char path[LAB_SAVE_PATH_MAX];
    int rc;

    lab_save_path(hold->name, ".new", path);
    rc = xw_file_remove_tree(hold->place->labs, path, err);
    if (!rc)
        rc = put_record_right(hold, disk, err);
    if (rc)
        return rc;
    lab_save_tidy(hold->place, hold->name);
    return xw_journal_done(hold->journal, err);
}

int lab_save_undo(struct lab_hold *hold, struct xw_error *err)
{
    int disk;
    int rc = resume(hold, &disk, err);

    return rc ? rc : clear(hold, disk, err);
}

/* A saved state has its name only when it is whole. */
static void tell_of_save(const struct lab_hold *hold, const char *tag)
{
    char path[LAB_SAVE_PATH_MAX];

    lab_save_path(hold->name, tag, path);
    if (xw_journal_find(hold->journal, LAB_SAVE_FAILED))
        xw_log(XW_LOG_WARNING, "lab '%s' could not be saved: it goes on, without the saved state",
               hold->name);
    else if (tag[0] && faccessat(hold->place->labs, path, F_OK, 0) == 0)
        xw_log(XW_LOG_WARNING,
               "lab '%s' was being saved when xenwright was killed: the saved state '%s' "
               "is whole",
               hold->name, tag);
    else
        xw_log(XW_LOG_WARNING,
               "lab '%s' was being saved when xenwright was killed: it goes on, without "
               "the saved state",
               hold->name);
}

int lab_save_put_right(struct lab_hold *hold, struct xw_error *err)
{
    const char *operation = xw_journal_pending(hold->journal);
    const char *tag = json_string_value(json_object_get(xw_journal_args(hold->journal), "tag"));
    struct xw_error why = XW_ERROR_INIT;
    int disk, rc;

    if (strcmp(operation, "forget") == 0)
        return lab_save_go_on_forgetting(hold, tag, err);
    if (strcmp(operation, "restore") == 0) {
        xw_log(XW_LOG_WARNING,
               "lab '%s' was being restored when xenwright was killed: it is down, its "
               "saved states are untouched",
               hold->name);
        return lab_down_held(hold, err);
    }
    tell_of_save(hold, tag ? tag : "");
    if (resume(hold, &disk, &why) == 0) {
        rc = clear(hold, disk, &why);
        if (!rc)
            return 0;
        /* A full disk is no reason to end a lab that goes on; a record that is lost is one. */
        if (rc != -EBADMSG && rc != -ENOENT)
            return xw_error_set(err, -rc, "lab '%s': its save cannot be undone (%s)", hold->name,
                                why.message);
    }
    xw_log(XW_LOG_WARNING, "lab '%s' cannot go on (%s): it is taken down", hold->name, why.message);
    return lab_down_held(hold, err);
}
