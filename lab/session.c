/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/session.h"

#define CHANNEL_TIMEOUT_MS 60000
#define HELLO_TIMEOUT_MS 60000

static int greet(const struct lab_place *place, const struct lab_record *record,
                 struct lab_session *session, struct xw_error *err)
{
    int rc = lab_channel_take(place, record->name, CHANNEL_TIMEOUT_MS, &session->channel, err);

    if (rc)
        return rc;
    rc = lab_client_start_hello(session->channel.client, HELLO_TIMEOUT_MS, err);
    if (!rc)
        rc = lab_watch_drive(session->watch, session->channel.client, err);
    if (rc)
        lab_channel_release(&session->channel);
    return rc;
}

int lab_session_open(const struct lab_place *place, const struct lab_record *record,
                     struct lab_session *ret, struct xw_error *err)
{
    int rc = lab_watch_open(place, record->name, record->pid, &ret->watch, err);

    if (rc)
        return rc;
    rc = greet(place, record, ret, err);
    if (rc)
        lab_watch_free(ret->watch);
    return rc;
}

void lab_session_close(struct lab_session *session)
{
    lab_channel_release(&session->channel);
    lab_watch_free(session->watch);
}
