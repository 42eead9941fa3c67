/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was found out about KVM, and what follows from it; for lab/accel*.c and their tests. */
#ifndef XW_LAB_ACCEL_KVM_H
#define XW_LAB_ACCEL_KVM_H

#include <stdbool.h>

#include "lab/accel.h"

/* How far the trial came. In this order; what fails is the step after. */
enum lab_kvm_step {
    LAB_KVM_NOTHING,
    LAB_KVM_OPENED,  /* the device */
    LAB_KVM_SPOKEN,  /* API version 12, list of features */
    LAB_KVM_CREATED, /* a virtual machine with a processor */
    LAB_KVM_RUN,     /* instructions ran and gave the right result */
};

struct lab_kvm_facts {
    enum lab_kvm_step reached;
    int error;    /* errno of the step that failed; 0: it answered something wrong */
    bool too_slow; /* the time was over */
    bool not_tried; /* there was no process or no memory to try it with */
    bool long_mode, sse2, sse3, svm, vmx; /* from LAB_KVM_SPOKEN on */
};

/* Tries `device` in a process of its own, so that nothing can hang or harm this one. */
void lab_kvm_probe(const char *device, int timeout_ms, struct lab_kvm_facts *ret);

/* KVM only when all is well; the reason names the first thing that is not. */
void lab_kvm_judge(const char *device, const struct lab_kvm_facts *facts, struct lab_accel *ret);

struct lab_accel_source {
    const char *device;
    void (*probe)(const char *device, int timeout_ms, struct lab_kvm_facts *ret);
};

/* lab_accel_find for any device and any way of trying it. */
int lab_accel_find_by(const struct lab_accel_source *source, int cache_dirfd,
                      struct lab_accel *ret, struct xw_error *err);

#endif
