/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/freeze.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "host/agent-channel.h"

/* Programs in the guest that write wait for that long, so it is far less than for one that is held.
 */
#define FROZEN_LIMIT_MS 10000

struct xw_freeze {
    struct xw_standstill guard;
    bool ended; /* as it should */
};

int xw_freeze_start(struct xw_session *session, int timeout_ms, struct xw_freeze **ret,
                    struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    struct xw_freeze *freeze = calloc(1, sizeof(*freeze));
    xw_auto_free char *path = NULL;
    int rc;

    if (!freeze)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", subject->name);
    freeze->guard = (struct xw_standstill)XW_STANDSTILL_INIT;
    rc = xw_agent_channel_path(session->snapshots->host, subject->domid, &path, err);
    if (!rc)
        rc = xw_standstill_prepare(&freeze->guard, subject->domid, FROZEN_LIMIT_MS, err);
    if (!rc)
        rc = xw_standstill_freeze(&freeze->guard, path, timeout_ms, FROZEN_LIMIT_MS, err);
    if (rc)
        xw_freeze_free(freeze);
    else
        *ret = freeze;
    return rc;
}

int xw_freeze_fd(const struct xw_freeze *freeze)
{
    return freeze->guard.fd;
}

int xw_freeze_finish(struct xw_freeze *freeze, struct xw_error *err)
{
    return xw_standstill_frozen(&freeze->guard, err);
}

struct xw_standstill *xw_freeze_guard(struct xw_freeze *freeze)
{
    return &freeze->guard;
}

int xw_freeze_thaw(struct xw_freeze *freeze, struct xw_error *err)
{
    int rc = xw_standstill_thaw(&freeze->guard, err);

    freeze->ended = !rc;
    return rc;
}

void xw_freeze_free(struct xw_freeze *freeze)
{
    if (!freeze)
        return;
    if (freeze->ended)
        xw_standstill_release(&freeze->guard);
    else
        xw_standstill_abandon(&freeze->guard);
    free(freeze);
}
