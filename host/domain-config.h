/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of a running domain, as libxl keeps it. */
#ifndef XENWRIGHT_HOST_DOMAIN_CONFIG_H
#define XENWRIGHT_HOST_DOMAIN_CONFIG_H

#include <stdbool.h>

#include <xenwright/domain.h>

/*
 * libxl's JSON of it (libxl_domain_config, brought up to date with the devices of now), the
 * caller's to free; and whether a reboot of the guest has its toolstack start it again (on_reboot).
 * Either may be NULL.
 */
int xw_domain_config(struct xw_host *host, uint32_t domid, char **json, bool *restarts,
                     struct xw_error *err);

/*
 * Whether a domain of this type can be saved while it runs: a PV guest takes shadow paging for
 * that, which a Xen may be built without. -ENOTSUP says so.
 */
int xw_domain_check_live(struct xw_host *host, enum xw_domain_type type, struct xw_error *err);

/* -EBUSY: the domain is paused, so that nothing in it can do what it is asked for. */
int xw_domain_check_awake(struct xw_host *host, uint32_t domid, struct xw_error *err);

/*
 * Whether the domain's kernel takes part in suspending it. -ENOTSUP: an HVM guest has no PV driver
 * for it, and libxl would stop it from outside. -EBUSY: it is paused.
 */
int xw_domain_check_suspend(struct xw_host *host, uint32_t domid, enum xw_domain_type type,
                            struct xw_error *err);

#endif
