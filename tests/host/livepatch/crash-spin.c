/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * No end, and interrupts are off: Xen says nothing any more.
 *
 * Not in the hook itself, during which Xen ignores NMIs too (arch_livepatch_mask), but in a timer
 * soon after it. On processor 0, since no other gets NMIs from outside.
 */
#define NAME "xenwright-crash-spin"
#include "payload.h"

#define SOON_NS 10000000

/* Xen's own (xen/include/xen/timer.h, time.h). */
void init_timer(void *timer, void (*function)(void *), void *data, unsigned int cpu);
void set_timer(void *timer, long expires_ns);
long get_s_time(void);

/* Larger than struct timer has been in any release. */
static char timer[512] __attribute__((aligned(64)));

CRASH xenwright_crash_spin(void *data);
CRASH xenwright_crash_spin(void *data)
{
    (void)data;
    __asm__ volatile("cli");
    for (;;)
        __asm__ volatile("pause");
}

static void start_timer(void)
{
    init_timer(timer, xenwright_crash_spin, 0, 0);
    set_timer(timer, get_s_time() + SOON_NS);
}

ON_LOAD(start_timer);
