/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/recover.h"

#include <errno.h>
#include <string.h>

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

int xw_recover(struct xw_session *session, struct xw_error *err)
{
    const char *pending = xw_journal_pending(session->journal);
    bool finished, converted = pending && !strcmp(pending, "convert");
    int rc;

    if (!pending || (session->postpones && !strcmp(pending, "delete")))
        return 0;
    session->recovered++;
    if (!strcmp(pending, "create"))
        rc = xw_recover_create(session, &finished, err);
    else if (!strcmp(pending, "revert"))
        rc = xw_recover_revert(session, err);
    else if (!strcmp(pending, "delete"))
        rc = xw_recover_delete(session, err);
    else if (converted)
        rc = xw_recover_convert(session, err);
    else
        rc = xw_error_set(err, EPROTONOSUPPORT,
                          "the journal of '%s' has an unfinished '%s', of a later version of "
                          "xenwright; use that one",
                          session->subject.name, pending);
    if (!rc)
        rc = xw_session_reload(session, err);
    if (rc && rc != -EPROTONOSUPPORT)
        xw_error_prefix(err, "an interrupted '%s' of snapshots of '%s' cannot be put right yet",
                        pending, session->subject.name);
    return !rc && converted ? -ESTALE : rc;
}
