/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMU that libxl started for a guest (device model, or the one that serves its disks), talked
 * to as libxl does: on its socket, one client at a time, under libxl's own lock. While a connection
 * is open, libxl's commands for this guest wait: close it soon.
 */
#ifndef XENWRIGHT_HOST_GUEST_QEMU_H
#define XENWRIGHT_HOST_GUEST_QEMU_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/qmp.h"

struct xw_guest_qemu;

/*
 * Connect to the QEMU of a domain, waiting for the lock and the greeting for up to `timeout_ms`
 * altogether. -ENOENT: it has none. `uuid`: the domain's, of which libxl makes the lock's name.
 */
int xw_guest_qemu_open(uint32_t domid, const char *uuid, int timeout_ms,
                       struct xw_guest_qemu **ret, struct xw_error *err);
void xw_guest_qemu_close(struct xw_guest_qemu *qemu); /* NULL is allowed */

uint32_t xw_guest_qemu_domid(const struct xw_guest_qemu *qemu);
struct xw_qmp *xw_guest_qemu_qmp(const struct xw_guest_qemu *qemu);

/*
 * The block node on which the guest's disk `vdev` stands at present, as QEMU's "query-block" gives
 * it ("inserted"); a new reference. -ENOENT: this QEMU does not serve the disk. -EBUSY: it has it
 * open twice, for the emulated disk and for the PV one, as with an HVM guest before its PV drivers.
 */
int xw_guest_qemu_disk(struct xw_guest_qemu *qemu, const char *vdev, json_t **ret,
                       struct xw_error *err);

/* Whether it has the disk's image open twice. -ENOENT as above. */
int xw_guest_qemu_has_twice(struct xw_guest_qemu *qemu, const char *vdev, bool *ret,
                            struct xw_error *err);

/*
 * The format node (of qcow2, raw, …) on the image file `file`, as QEMU knows that by name, of
 * "query-named-block-nodes"; a new reference. -ENOENT: there is none.
 */
int xw_guest_qemu_image(struct xw_guest_qemu *qemu, const char *file, json_t **ret,
                        struct xw_error *err);

/*
 * The name by which QEMU knows the file of a node ("inserted" of "query-block", or a node of
 * "query-named-block-nodes"): "file" of it, or where that is a "json:" description, as it is for an
 * image whose backing file is not the one in its header, what that holds. "": none.
 */
void xw_guest_qemu_file(const json_t *node, char out[PATH_MAX]);

#endif
