/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guard/freeze.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"

#define ANSWER_MS 10000 /* to what an agent does at once */

/* An agent that hangs while it freezes takes a thaw only after that. */
#define AT_LAST_MS 300000
#define TRY_AGAIN_MS 1000

static void disconnect(struct guard_freeze *freeze)
{
    xw_guest_agent_close(freeze->agent);
    freeze->agent = NULL;
}

static int connect_agent(struct guard_freeze *freeze, struct xw_error *err)
{
    if (freeze->agent)
        return 0;
    return xw_guest_agent_open(&freeze->agent, freeze->order.path, ANSWER_MS, err);
}

int guard_thaw(struct guard_freeze *freeze, struct xw_error *err)
{
    int64_t count = 0;
    int rc = freeze->frozen ? connect_agent(freeze, err) : 0;

    if (rc || !freeze->frozen)
        return rc;
    rc = xw_guest_agent_thaw(freeze->agent, ANSWER_MS, &count, err);
    if (rc == -ECONNRESET || rc == -EPROTO)
        disconnect(freeze); /* the next attempt is on another connection */
    if (rc)
        return rc;
    freeze->frozen = false;
    disconnect(freeze);
    if (count > 0)
        return 0;
    return xw_error_set(err, ESTALE,
                        "somebody else thawed the guest's file systems before all was done");
}

/* The agent was told to freeze, and has failed at it, or is not heard of any more. */
static int undo(struct guard_freeze *freeze, int rc, struct xw_error *err)
{
    int thawed = guard_thaw(freeze, NULL);

    if (thawed && thawed != -ESTALE)
        xw_error_prefix(err,
                        "the guest's file systems may be frozen (for the next %d minutes "
                        "they are thawed as soon as its agent answers)",
                        AT_LAST_MS / 60000);
    return rc;
}

int guard_freeze(struct guard_freeze *freeze, struct xw_error *err)
{
    int64_t count = 0;
    bool frozen = false;
    int rc = connect_agent(freeze, err);

    if (!rc)
        rc = xw_guest_agent_status(freeze->agent, ANSWER_MS, &frozen, err);
    if (!rc && frozen)
        rc = xw_error_set(err, EBUSY, "its file systems are frozen already, by somebody else");
    if (rc) {
        disconnect(freeze);
        return rc;
    }
    freeze->frozen = true;
    rc = xw_guest_agent_freeze(freeze->agent, freeze->order.timeout_ms, &count, err);
    if (!rc && count == 0)
        rc = xw_error_set(err, ENODATA, "its agent found no file system that it can freeze");
    freeze->until_ms = xw_clock_ms() + freeze->order.limit_ms;
    return rc ? undo(freeze, rc, err) : 0;
}

void guard_thaw_at_last(struct guard_freeze *freeze)
{
    int64_t deadline = xw_deadline(AT_LAST_MS);

    while (freeze->frozen && guard_thaw(freeze, NULL) && freeze->frozen &&
           xw_deadline_left(deadline) > 0)
        usleep(TRY_AGAIN_MS * 1000);
    if (freeze->frozen && freeze->agent)
        xw_guest_agent_leave_thaw(freeze->agent);
    disconnect(freeze);
}
