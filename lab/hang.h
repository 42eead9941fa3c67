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
#define LAB_REGISTERS 15

struct lab_vcpu {
    unsigned index;
    uint64_t rip, rsp;
    uint64_t registers[LAB_REGISTERS]; /* the general ones but rsp */
    uint64_t flags;                    /* RFLAGS */
    unsigned cpl; /* 0: hypervisor, or the kernel of a guest that runs in hardware */
    bool halted;
    bool wants_time; /* its thread in QEMU runs, or waits for the host to let it run */
    uint64_t cpu_ms; /* processor time that thread has had so far */
    uint64_t timer;  /* what its local APIC's timer was last set to (initial count) */
};

/* All virtual processors at one moment. */
struct lab_vcpus {
    size_t count;
    struct lab_vcpu at[LAB_VCPUS];
};

/*
 * Reads the monitor's answer (QEMU 7.2 to 10); wants_time, cpu_ms and timer are not in it and
 * become 0. -EBADMSG where it is not one: no processor in it, a field missing, more than LAB_VCPUS
 * of them.
 */
int lab_hang_parse(const char *text, size_t length, struct lab_vcpus *ret, struct xw_error *err);

/* The timer's initial count out of the answer to "info lapic N". -EBADMSG where it is not in it. */
int lab_hang_parse_timer(const char *text, size_t length, uint64_t *ret, struct xw_error *err);

#define LAB_HANG_INTERVAL_MS 100

/*
 * With interrupts off nothing can take the processor from Xen. So many samples in a row must show
 * that, on the same stretch of stack, with the timer not set anew and all but a few registers the
 * same: a Xen that works may well be met waiting for a lock each time it is looked at, above all on
 * a busy machine, but then it is another lock, or another turn of it, each time. What it may wait
 * for is a processor that is at work in Xen; not one that sleeps, is stuck or waits in one spot as
 * well, or is met outside of Xen more than once with some work of its own done in between. And so
 * much processor time must have gone by: a machine that is paused or gets no time from its busy
 * host stands still as well. The NMI is the end of it; so better a hang too few than one too many.
 */
#define LAB_HANG_SAMPLES 8
#define LAB_HANG_CPU_MS 400
#define LAB_HANG_OTHER_CPU_MS 20 /* two ticks of the kernel's account of time */
#define LAB_HANG_CHANGING 3      /* registers that may change: what a loop counts with */
#define LAB_HANG_STACK_BYTES 64

/*
 * With interrupts on, a loop over a few instructions that goes on for this long; scrubbing the
 * memory of a large guest looks the same until it is done.
 */
#define LAB_HANG_LOOP_SAMPLES 150
#define LAB_HANG_LOOP_CPU_MS 10000
#define LAB_HANG_LOOP_BYTES 256

struct lab_hang {
    unsigned vcpu;
    uint64_t low, high; /* the lowest and the highest rip seen */
    bool interrupts_off;
};

/*
 * Whether Xen spins: one processor that was inside Xen's code, running, in all of the newest
 * samples. samples[count - 1] is the newest. *ret is filled when it says true.
 */
bool lab_hang_judge(const struct lab_vcpus *samples, size_t count, struct lab_hang *ret);

/* Whether any processor runs inside Xen at this moment: reason enough to look again soon. */
bool lab_hang_is_suspicious(const struct lab_vcpus *sample);

#endif
