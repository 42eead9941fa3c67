/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in dom0 the agent in a guest is reached. */
#ifndef XENWRIGHT_HOST_AGENT_CHANNEL_H
#define XENWRIGHT_HOST_AGENT_CHANNEL_H

#include <stdint.h>

#include <xenwright/host.h>

/*
 * The socket of the domain's channel "org.qemu.guest_agent.0" (xl.cfg(5), xen-pv-channel(7)), the
 * caller's to free. -ENOENT: it has none; -ENOTSUP: one that is no socket. Messages say what to put
 * into its configuration.
 */
int xw_agent_channel_path(struct xw_host *host, uint32_t domid, char **path, struct xw_error *err);

#endif
