/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/agent-channel.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <xenwright/xenstore.h>

#include "base/cleanup.h"

#define CHANNEL "org.qemu.guest_agent.0"
#define REMEDY                                                                      \
    "put 'connection=socket,name=" CHANNEL ",path=/run/...' into 'channel' of its " \
    "configuration (xl.cfg(5))"

static int get(struct xw_xenstore *xs, uint32_t domid, const char *console, const char *key,
               char **value)
{
    char path[160];

    snprintf(path, sizeof(path), "/libxl/%" PRIu32 "/device/console/%.20s/%s", domid, console, key);
    return xw_xenstore_read(xs, XW_XENSTORE_NOW, path, PATH_MAX - 1, value, NULL, NULL);
}

/* 1: it is that channel; 0: another console. */
static int look_at(struct xw_xenstore *xs, uint32_t domid, const char *console, char **ret,
                   struct xw_error *err)
{
    xw_auto_free char *name = NULL, *connection = NULL;

    if (get(xs, domid, console, "name", &name) || strcmp(name, CHANNEL) != 0)
        return 0;
    if (get(xs, domid, console, "connection", &connection) || strcmp(connection, "socket") != 0 ||
        get(xs, domid, console, "path", ret))
        return xw_error_set(err, ENOTSUP, "its channel " CHANNEL " is no socket: " REMEDY);
    return 1;
}

int xw_agent_channel_path(struct xw_host *host, uint32_t domid, char **path, struct xw_error *err)
{
    xw_auto_free char **consoles = NULL;
    struct xw_xenstore *xs;
    char folder[64];
    size_t count = 0;
    int rc = xw_host_xenstore(host, &xs, err);

    if (rc)
        return rc;
    /* libxl's own copy, which the guest cannot write to. */
    snprintf(folder, sizeof(folder), "/libxl/%" PRIu32 "/device/console", domid);
    if (xw_xenstore_directory(xs, XW_XENSTORE_NOW, folder, &consoles, &count, NULL))
        count = 0;
    for (size_t i = 0; i < count && !rc; i++)
        rc = look_at(xs, domid, consoles[i], path, err);
    if (rc)
        return rc < 0 ? rc : 0;
    return xw_error_set(err, ENOENT, "it has no channel " CHANNEL ": " REMEDY);
}
