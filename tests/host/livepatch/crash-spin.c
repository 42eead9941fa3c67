/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No end, and interrupts are off: Xen says nothing any more. */
#define NAME "xenwright-crash-spin"
#include "payload.h"

CRASH xenwright_crash_spin(void);
CRASH xenwright_crash_spin(void)
{
    for (;;)
        __asm__ volatile("pause");
}

ON_LOAD(xenwright_crash_spin);
