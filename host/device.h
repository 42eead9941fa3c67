/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libxl's descriptions of disks and vifs turned into ours. */
#ifndef XENWRIGHT_HOST_DEVICE_H
#define XENWRIGHT_HOST_DEVICE_H

#include <xenwright/domain.h>

#include "host/libxl-api.h"

/* A new element, not yet in a chain; NULL: out of memory. devid of a disk is left at 0. */
struct xw_disk *xw_disk_from_libxl(const libxl_device_disk *from);
struct xw_vif *xw_vif_from_libxl(const libxl_device_nic *from);

/*
 * Takes the target and the format of a running disk from the "params" node of its device, which is
 * cut apart for it. -ENOMEM.
 */
int xw_disk_set_params(struct xw_disk *disk, char *params);

/* Puts a copy of `text` (NULL: of "") in place of a string. -ENOMEM leaves the old one. */
int xw_replace_text(char **at, const char *text);

#endif
