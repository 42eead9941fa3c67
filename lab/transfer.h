/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine's state to and from a file, by QEMU's migration (docs/devel/migration of QEMU).
 *
 * With `without_memory` the stream leaves out memory that is a shared file (capability
 * x-ignore-shared): that file then is the other half of the state. A stream can only be loaded by
 * the same version of QEMU in a machine of the same shape.
 *
 * The bytes pass through us over a socket: QEMU's own ways to write to a file differ from
 * version to version.
 */
#ifndef LAB_TRANSFER_H
#define LAB_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "host/qmp.h"

typedef void lab_transfer_progress(void *opaque, uint64_t bytes);

/* Write the state of the stopped machine into fd. progress may be NULL. -EIO when QEMU cannot. */
int lab_transfer_save(struct xw_qmp *qmp, int fd, bool without_memory,
                      lab_transfer_progress *progress, void *opaque, struct xw_error *err);

/* Load a state into a machine that waits for it (-incoming defer). It is then stopped. */
int lab_transfer_load(struct xw_qmp *qmp, int fd, bool without_memory,
                      lab_transfer_progress *progress, void *opaque, struct xw_error *err);

#endif
