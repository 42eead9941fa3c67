/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transport over a vchan: two rings in memory that a guest shares with dom0. */
#ifndef LAB_TRANSPORT_VCHAN_H
#define LAB_TRANSPORT_VCHAN_H

#include "lab/transport.h"

/* Makes a vchan for dom0 to connect to and announces it beneath `path` in xenstore, which may be
 * relative to the calling domain's own part.  It outlives its clients: a read of 0 says that none
 * is there.  Returns NULL with errno set. */
struct lab_transport *lab_transport_vchan_server(const char *path);

/* The event channel of a server, as announced in PATH/event-channel. */
unsigned lab_transport_vchan_port(const struct lab_transport *transport);

/* For a server whose domain was suspended and lives on as another one: its grants and its event
 * channel are gone.  Closing leaves the descriptors open for ever, because Linux does not bear it
 * otherwise (BUG in evtchn_unbind_from_user(), seen with 6.12). */
void lab_transport_vchan_give_up(struct lab_transport *transport);

/* Connects to the vchan that `domain` announces beneath `path`, an absolute one.  Returns NULL
 * with errno set. */
struct lab_transport *lab_transport_vchan_client(int domain, const char *path);

#endif
