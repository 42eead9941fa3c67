/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domain-config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xenwright/xenstore.h>

#include "base/cleanup.h"
#include "host/connection.h"

int xw_domain_config(struct xw_host *host, uint32_t domid, char **json, bool *restarts,
                     struct xw_error *err)
{
    libxl_domain_config config;
    libxl_ctx *libxl;
    int rc = xw_host_libxl(host, &libxl, err);

    if (rc)
        return rc;
    libxl_domain_config_init(&config);
    rc = libxl_retrieve_domain_configuration(libxl, domid, &config, NULL);
    if (rc) {
        rc = xw_xen_log_error(xw_host_log(host), xw_libxl_errno(rc), err,
                              "the configuration of domain %" PRIu32 " cannot be had", domid);
    } else {
        if (restarts)
            *restarts = config.on_reboot == LIBXL_ACTION_ON_SHUTDOWN_RESTART;
        if (json && !(*json = libxl_domain_config_to_json(libxl, &config)))
            rc = xw_error_set(err, ENOMEM, "the configuration of domain %" PRIu32 ": out of memory",
                              domid);
    }
    libxl_domain_config_dispose(&config);
    return rc;
}

int xw_domain_check_live(struct xw_host *host, enum xw_domain_type type, struct xw_error *err)
{
    libxl_physinfo info;
    libxl_ctx *libxl;
    bool shadow;
    int rc = type == XW_DOMAIN_TYPE_PV ? xw_host_libxl(host, &libxl, err) : 0;

    if (rc || type != XW_DOMAIN_TYPE_PV)
        return rc;
    libxl_physinfo_init(&info);
    rc = libxl_get_physinfo(libxl, &info);
    shadow = info.cap_shadow;
    libxl_physinfo_dispose(&info);
    if (rc)
        return xw_xen_log_error(xw_host_log(host), xw_libxl_errno(rc), err,
                                "what this Xen can do cannot be had");
    if (shadow)
        return 0;
    return xw_error_set(
        err, ENOTSUP,
        "this Xen has no shadow paging, so a PV guest must stand still while its memory "
        "is written");
}

int xw_domain_check_awake(struct xw_host *host, uint32_t domid, struct xw_error *err)
{
    libxl_dominfo info;
    libxl_ctx *libxl;
    int rc = xw_host_libxl(host, &libxl, err);

    if (rc)
        return rc;
    libxl_dominfo_init(&info);
    rc = libxl_domain_info(libxl, &info, domid);
    if (rc)
        rc = xw_xen_log_error(xw_host_log(host), xw_libxl_errno(rc), err,
                              "cannot look at domain %" PRIu32, domid);
    else if (info.paused)
        rc = xw_error_set(err, EBUSY, "the guest is paused ('xl unpause' ends that)");
    libxl_dominfo_dispose(&info);
    return rc;
}

int xw_domain_check_suspend(struct xw_host *host, uint32_t domid, enum xw_domain_type type,
                            struct xw_error *err)
{
    xw_auto_free char *value = NULL;
    struct xw_xenstore *xs;
    char path[64];
    int rc = xw_domain_check_awake(host, domid, err);

    if (!rc && type == XW_DOMAIN_TYPE_HVM)
        rc = xw_host_xenstore(host, &xs, err);
    if (rc || type != XW_DOMAIN_TYPE_HVM)
        return rc;
    /* libxl makes it, empty; the guest's driver fills it in (Xen's docs/misc/xenstore-paths.pandoc,
     * ~/control/feature-suspend). */
    snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/control/feature-suspend", domid);
    rc = xw_xenstore_read(xs, XW_XENSTORE_NOW, path, 16, &value, NULL, NULL);
    if (!rc && !strcmp(value, "1"))
        return 0;
    return xw_error_set(err, ENOTSUP,
                        "the guest has no PV driver that suspends it, or has not loaded it yet");
}
