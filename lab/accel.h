/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether hardware virtualisation serves for a lab on this machine.
 *
 * /dev/kvm that opens says little: inside of another virtual machine, KVM may run nothing, or offer
 * processors without what Xen needs. So it is tried: a few instructions are run, and the processor
 * on offer must have long mode, SSE2, SSE3, and SVM or VMX (PVH and HVM guests of the lab's Xen).
 */
#ifndef XW_LAB_ACCEL_H
#define XW_LAB_ACCEL_H

#include <stdbool.h>
#include <xenwright/error.h>

enum lab_accel_kind {
    LAB_ACCEL_TCG, /* QEMU translates every instruction: always works, many times slower */
    LAB_ACCEL_KVM,
};

struct lab_accel {
    enum lab_accel_kind kind;
    char reason[256]; /* one line: why TCG, or what speaks for KVM */
    bool fresh;       /* found out just now, not read from the cache: the time to tell the user */
};

/* "tcg" or "kvm", as QEMU's -accel calls them. */
const char *lab_accel_kind_name(enum lab_accel_kind kind);

/*
 * XENWRIGHT_ACCEL=tcg|kvm decides where it is set (-EINVAL for other values). Else the answer is
 * taken from accel.json in the folder cache_dirfd; it holds for one boot, one kernel and one state
 * of the device. Else it is tried, which takes some milliseconds (5 s at most), and written there,
 * unless the time was over or it could not be tried. A cache that is damaged or cannot be written
 * does no harm.
 */
int lab_accel_find(int cache_dirfd, struct lab_accel *ret, struct xw_error *err);

#endif
