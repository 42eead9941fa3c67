/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domain-config.h"

#include <errno.h>
#include <inttypes.h>

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
