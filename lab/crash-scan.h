/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a scan, shared by crash.c (fills it) and crash-report.c (reads it). */
#ifndef XW_LAB_CRASH_SCAN_H
#define XW_LAB_CRASH_SCAN_H

#include <stdbool.h>

#include "lab/crash-line.h"
#include "lab/crash.h"

enum lab_crash_phase {
    PHASE_WATCH,
    PHASE_STARS,  /* a line of stars */
    PHASE_NAMED,  /* "Panic on CPU n:" */
    PHASE_REASON, /* at least one line after it */
    PHASE_CLOSED, /* the second line of stars; what Xen does next is still to come */
    PHASE_KEY,    /* debug key C; Xen goes on unless a crash kernel took over */
    PHASE_DONE,
};

struct lab_crash_scan {
    enum lab_crash_phase phase;
    enum lab_crash_kind kind; /* in PHASE_DONE: LAB_CRASH_PANIC stands for all with a banner */
    int cpu;
    bool other_dump; /* the next registers are not those of a crash */
    bool marked;     /* text[mark] begins what may become the report */
    size_t mark;
    size_t line_length;
    size_t length;
    char line[4096];
    char text[256 * 1024]; /* raw lines of everyone */
};

#endif
