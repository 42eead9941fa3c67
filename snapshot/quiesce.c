/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/quiesce.h"

#include "snapshot/freeze.h"
#include "snapshot/memory.h"

int xw_quiesce_start(struct xw_session *session, struct xw_create *create, struct xw_error *err)
{
    bool suspend = create->quiesce == XW_QUIESCE_SUSPEND;
    int rc;

    if (!session->subject.running ||
        (!create->memory && !suspend && create->quiesce != XW_QUIESCE_AGENT))
        return 0;
    /* libxl itself needs QEMU now; and nobody should wait for an agent. */
    xw_session_disconnect(session, create->disks);
    if (create->memory)
        rc = xw_memory_start(session, create->snapshot->id, create->target, create->live,
                             &create->saving, err);
    else if (suspend)
        rc = xw_memory_suspend(session, &create->saving, err);
    else
        rc = xw_freeze_start(session, create->agent_timeout_ms, &create->freezing, err);
    return rc ? rc : 1;
}

int xw_quiesce_step(struct xw_create *create, struct xw_error *err)
{
    return create->saving ? xw_memory_step(create->saving, err)
                          : xw_freeze_finish(create->freezing, err);
}

int xw_create_wait_fd(const struct xw_create *create)
{
    if (create->saving)
        return xw_memory_fd(create->saving);
    return create->freezing ? xw_freeze_fd(create->freezing) : -1;
}

void xw_quiesce_end(struct xw_create *create)
{
    xw_memory_free(create->saving);
    create->saving = NULL;
    xw_freeze_free(create->freezing);
    create->freezing = NULL;
}
