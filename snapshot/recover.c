/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/recover.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "snapshot/record.h"

int xw_recover_snapshot(const struct xw_session *session, struct xw_snapshot **ret,
                        struct xw_error *err)
{
    json_t *record;
    int rc = xw_json_object(xw_journal_args(session->journal), "the journal", "snapshot", &record,
                            err);

    return rc ? rc : xw_snapshot_parse(record, "the journal", ret, err);
}

/* A block device may have no name for a moment; images always have theirs. */
static bool is_gone(const struct xw_snapshot_disk *disk)
{
    return strncmp(disk->path, "/dev/", 5) != 0 && access(disk->path, F_OK) < 0 &&
           errno == ENOENT && access(disk->data, F_OK) < 0 && errno == ENOENT;
}

int xw_recover_check_there(const struct xw_session *session, const struct xw_snapshot *snapshot,
                           bool all, const char *record, struct xw_error *err)
{
    const struct xw_snapshot_disk *gone = NULL;

    for (const struct xw_snapshot_disk *disk = snapshot->disks; disk; disk = disk->next) {
        if (is_gone(disk))
            gone = disk;
        else if (all)
            return 0;
    }
    if (!gone)
        return 0;
    return xw_error_set(err, ENODEV,
                        "disk %s: neither '%s' nor what was kept of it is there: is its file "
                        "system mounted? Where they are gone for good, remove '%s/%s%s%s'",
                        gone->vdev, gone->path, session->snapshots->state, session->subject.vm->id,
                        record[0] ? "/" : "", record);
}

static int check_pending(const struct xw_session *session, bool is_delete, struct xw_error *err)
{
    struct xw_snapshot *snapshot = NULL;
    int rc = xw_recover_snapshot(session, &snapshot, err);

    if (!rc)
        rc = xw_recover_check_there(session, snapshot, is_delete, "", err);
    xw_snapshot_free(snapshot);
    return rc;
}

static int dispatch(struct xw_session *session, const char *pending, struct xw_error *err)
{
    bool finished, is_delete = !strcmp(pending, "delete");
    int rc;

    if (!strcmp(pending, "convert"))
        return xw_recover_convert(session, err);
    if (strcmp(pending, "create") != 0 && strcmp(pending, "revert") != 0 && !is_delete)
        return xw_error_set(err, EPROTONOSUPPORT,
                            "the journal of '%s' has an unfinished '%s', of a later version of "
                            "xenwright; use that one",
                            session->subject.name, pending);
    rc = check_pending(session, is_delete, err);
    if (rc)
        return rc;
    if (is_delete)
        return xw_recover_delete(session, err);
    return !strcmp(pending, "revert") ? xw_recover_revert(session, err)
                                      : xw_recover_create(session, &finished, err);
}

int xw_recover(struct xw_session *session, struct xw_error *err)
{
    const char *pending = xw_journal_pending(session->journal);
    bool converted = pending && !strcmp(pending, "convert");
    int rc;

    if (!pending || (session->postpones && !strcmp(pending, "delete")))
        return 0;
    session->recovered++;
    rc = dispatch(session, pending, err);
    if (!rc)
        rc = xw_session_reload(session, err);
    if (rc && rc != -EPROTONOSUPPORT)
        xw_error_prefix(err, "an interrupted '%s' of snapshots of '%s' cannot be put right yet",
                        pending, session->subject.name);
    return !rc && converted ? -ESTALE : rc;
}
