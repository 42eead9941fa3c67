/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A member of a structure that is not there. */
#define NAME "xenwright-crash-fault"
#include "payload.h"

CRASH xenwright_crash_fault(void);
CRASH xenwright_crash_fault(void)
{
    /* By hand: a compiler may make anything of a NULL pointer that it sees through. */
    __asm__ volatile("movl $1, 0x10(%0)" : : "r"(0L) : "memory");
}

ON_LOAD(xenwright_crash_fault);
