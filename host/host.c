/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <xenwright/host.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenwright/xenstore.h>

#include "host/connection.h"

struct xw_host {
    struct xw_xen_log log;
    libxl_ctx *libxl;
    struct xw_xenstore *xenstore;
};

/* The first line of a small file of the kernel; "" where there is no such file. */
static void read_fact(const char *root, const char *path, char *line, size_t size)
{
    char full[PATH_MAX];
    ssize_t got = -1;
    int fd;

    snprintf(full, sizeof(full), "%s%s", root, path);
    fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        got = read(fd, line, size - 1);
        close(fd);
    }
    line[got > 0 ? got : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

int xw_host_probe(const char *root, struct xw_error *err)
{
    static const char advice[] = "run this on one, or in a lab: 'xenwright lab up'";
    char fact[64];
    char control[PATH_MAX];

    read_fact(root, "/sys/hypervisor/type", fact, sizeof(fact));
    if (strcmp(fact, "xen"))
        return xw_error_set(err, ENODEV, "this machine is not a Xen dom0 (no Xen is running "
                            "here); %s", advice);

    /* "control_d" in a dom0, empty in other domains, absent where xenfs is not mounted. */
    snprintf(control, sizeof(control), "%s/proc/xen/capabilities", root);
    read_fact(root, "/proc/xen/capabilities", fact, sizeof(fact));
    if (!access(control, R_OK) && !strstr(fact, "control_d"))
        return xw_error_set(err, EPERM, "this machine is a Xen guest, not a Xen dom0; %s", advice);

    snprintf(control, sizeof(control), "%s/dev/xen/privcmd", root);
    if (!access(control, R_OK | W_OK))
        return 0;
    if (errno == EACCES)
        return xw_error_set(err, EACCES, "Xen cannot be controlled by this user (%s: %s); run "
                            "this as root", control, strerror(EACCES));
    return xw_error_set_errno(err, "Xen cannot be controlled from here (load the module "
                              "xen-privcmd): %s", control);
}

int xw_host_open(struct xw_host **ret, struct xw_error *err)
{
    struct xw_host *host;
    int failed = xw_host_probe("", err);

    if (failed)
        return failed;
    host = calloc(1, sizeof(*host));
    if (!host)
        return xw_error_set(err, ENOMEM, "no memory for a handle to the host");
    xw_xen_log_init(&host->log);
    *ret = host;
    return 0;
}

void xw_host_close(struct xw_host *host)
{
    if (!host)
        return;
    xw_xenstore_close(host->xenstore);
    libxl_ctx_free(host->libxl);
    free(host);
}

struct xw_xen_log *xw_host_log(struct xw_host *host)
{
    return &host->log;
}

int xw_host_xenstore(struct xw_host *host, struct xw_xenstore **ret, struct xw_error *err)
{
    int failed = host->xenstore ? 0 : xw_xenstore_open(&host->xenstore, err);

    if (!failed)
        *ret = host->xenstore;
    return failed;
}

int xw_host_libxl(struct xw_host *host, libxl_ctx **ret, struct xw_error *err)
{
    xw_xen_log_reset(&host->log);
    if (!host->libxl) {
        struct xw_xenstore *xs;
        /* libxl would wait for ever for a xenstored that has died; our own connection does not. */
        int rc = xw_host_xenstore(host, &xs, err);

        if (rc)
            return rc;
        rc = libxl_ctx_alloc(&host->libxl, LIBXL_VERSION, 0, &host->log.logger);
        if (rc) {
            host->libxl = NULL;
            return xw_xen_log_error(&host->log, xw_libxl_errno(rc), err, "cannot open libxl");
        }
    }
    *ret = host->libxl;
    return 0;
}
