/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The moment at which a machine can be saved. */
#ifndef LAB_SAVE_STOP_H
#define LAB_SAVE_STOP_H

#include <stdbool.h>

#include "host/qmp.h"
#include "lab/record.h"

/*
 * Stops the machine where no processor runs a guest in hardware (SVM): QEMU 7.2 writes the state of
 * one that does, and then refuses to load it under translation ("vCPU set in guest-mode
 * inconsistent with migrated kernel nested state", cpu_post_load in its target/i386/machine.c).
 * Under KVM any moment will do. -EBUSY: there was none for a while. The machine runs after a
 * failure.
 */
int lab_save_stop(struct xw_qmp *qmp, const struct lab_record *record, struct xw_error *err);

/*
 * Whether the answer to the monitor's "info registers -a" shows a processor in such a guest. Its
 * interrupt descriptor table is the guest's own then; else it is Xen's, in the part of the address
 * space that Xen keeps for itself (0xffff800000000000 to 0xffff87ffffffffff; Xen's asm/config.h).
 */
bool lab_save_in_guest(const char *registers);

#endif
