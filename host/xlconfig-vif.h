/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef XENWRIGHT_HOST_XLCONFIG_VIF_H
#define XENWRIGHT_HOST_XLCONFIG_VIF_H

#include <stdint.h>

#include <xenwright/domain.h>

/*
 * One element of vif= (xl-network-configuration(5)): "mac=…,bridge=…". devid is what it has where
 * it does not say. As with xl, keys that are not known here are passed over. -EINVAL names the key.
 */
int xw_xlconfig_parse_vif(const char *spec, uint32_t devid, struct xw_vif **ret,
                          struct xw_error *err);

#endif
