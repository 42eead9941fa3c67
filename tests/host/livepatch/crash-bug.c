/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BUG(): an invalid instruction, and a frame that tells Xen whose it is (xen/include/xen/bug.h). */
#define NAME "xenwright-crash-bug"
#include "payload.h"

#define LINE 77 /* below 128, so that it goes into line_lo alone */

CRASH xenwright_crash_bug(void);
CRASH xenwright_crash_bug(void)
{
    /* In the frame each displacement has 24 bits and the rest belongs to the line's number. */
    __asm__ volatile("1: ud2\n"
                     ".pushsection .bug_frames.2, \"a\", @progbits\n"
                     ".balign 4\n"
                     "2: .long 1b - 2b\n"
                     ".long (3f - 2b) + (" STRING(LINE) " << 24)\n"
                     ".popsection\n"
                     ".pushsection .rodata.str1.1, \"aMS\", @progbits, 1\n"
                     "3: .asciz \"crash-bug.c\"\n"
                     ".popsection\n");
}

ON_LOAD(xenwright_crash_bug);
