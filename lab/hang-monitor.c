/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processors of a lab, through the monitor of its QEMU. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/socket.h"
#include "host/qmp.h"
#include "lab/hang-watch.h"

/* Short: somebody else may have the monitor for long, and whoever watches has other things to do. */
#define MONITOR_MS 200

static int connect_monitor(const struct lab_hang_target *target, struct xw_qmp **ret)
{
    char path[LAB_NAME_MAX + 32];
    int fd = -1;
    int rc;

    snprintf(path, sizeof(path), "%s/watch", target->name);
    rc = xw_socket_connect(target->place->labs, path, MONITOR_MS, &fd, NULL);
    return rc == 0 ? xw_qmp_attach(ret, fd, target->name, MONITOR_MS, NULL) : rc;
}

static int look(void *opaque, struct lab_vcpus *ret)
{
    xw_auto_free char *text = NULL;
    struct xw_qmp *qmp = NULL;
    int rc = connect_monitor(opaque, &qmp);

    if (rc == 0)
        rc = xw_qmp_monitor(qmp, "info registers -a", MONITOR_MS, &text, NULL);
    if (rc == 0)
        rc = lab_hang_parse(text, strlen(text), ret, NULL);
    xw_qmp_close(qmp);
    return rc;
}

static int rouse(void *opaque)
{
    struct xw_qmp *qmp = NULL;
    int rc = connect_monitor(opaque, &qmp);

    if (rc == 0)
        rc = xw_qmp_execute(qmp, "inject-nmi", NULL, MONITOR_MS, NULL, NULL);
    xw_qmp_close(qmp);
    return rc;
}

struct lab_hang_eyes lab_hang_eyes_of(struct lab_hang_target *target)
{
    return (struct lab_hang_eyes){look, rouse, target};
}
