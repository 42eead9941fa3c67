/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hypervisor that says nothing and does nothing: seen from outside, by its processors.
 *
 * QEMU's monitor command "info registers -a" shows them all, as text only; sampled every 100 ms it
 * tells a Xen that spins from one that is busy. An NMI (QMP inject-nmi, Xen started with nmi=fatal)
 * then has Xen print its own backtrace.
 */
#ifndef XW_LAB_HANG_H
#define XW_LAB_HANG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenwright/error.h>

#define LAB_VCPUS 64

struct lab_vcpu {
    unsigned index;
    uint64_t rip;
    uint64_t flags; /* RFLAGS */
    unsigned cpl;   /* 0: hypervisor, or the kernel of a guest that runs in hardware */
    bool halted;
};

/* All virtual processors at one moment. */
struct lab_vcpus {
    size_t count;
    struct lab_vcpu at[LAB_VCPUS];
};

/*
 * Reads the monitor's answer (QEMU 7.2 to 10). -EBADMSG where it is not one: no processor in it, a
 * field missing, more than LAB_VCPUS of them.
 */
int lab_hang_parse(const char *text, size_t length, struct lab_vcpus *ret, struct xw_error *err);

#define LAB_HANG_INTERVAL_MS 100

/* With interrupts off nothing can take the processor from Xen: one second of it is enough. */
#define LAB_HANG_SAMPLES 10

/* With interrupts on a loop over a few instructions is waited out: scrubbing memory looks the same. */
#define LAB_HANG_LOOP_SAMPLES 50
#define LAB_HANG_LOOP_BYTES 256

struct lab_hang {
    unsigned vcpu;
    uint64_t low, high; /* the lowest and the highest rip seen */
    bool interrupts_off;
};

/*
 * Whether Xen spins: one processor that was inside Xen's code, running, in each of the newest
 * samples. samples[count - 1] is the newest; fewer than LAB_HANG_SAMPLES never are a hang. *ret is
 * filled when it says true.
 */
bool lab_hang_judge(const struct lab_vcpus *samples, size_t count, struct lab_hang *ret);

/* Whether any processor runs inside Xen at this moment: reason enough to look again soon. */
bool lab_hang_is_suspicious(const struct lab_vcpus *sample);

/*
 * Whether this is a Xen that has given up: every processor inside it, and all but one at most
 * halted with interrupts off (machine_halt(), and smp_send_stop() before a restart). What a console
 * says of a crash can be confirmed with it.
 */
bool lab_hang_is_stopped(const struct lab_vcpus *sample);

#endif
