/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose a line of the serial console is, and what it says; for lab/crash*.c only. */
#ifndef XW_LAB_CRASH_LINE_H
#define XW_LAB_CRASH_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lab_line_owner {
    LAB_LINE_DOM0, /* or nobody's: firmware, a crash kernel */
    LAB_LINE_GUEST,
    LAB_LINE_XEN,
};

/* text: without prefix, timestamp and line end; inside the raw line, not terminated. */
struct lab_line {
    enum lab_line_owner owner;
    const char *text;
    size_t length;
};

/* raw: one line of the console, with its line end if it has come. */
struct lab_line lab_line_read(const char *raw, size_t length);

bool lab_line_starts(const struct lab_line *line, const char *prefix);

/* Where `wanted` begins in the line; NULL when it is not in it. */
const char *lab_line_find(const struct lab_line *line, const char *wanted);

/* Nothing but stars, 20 or more. */
bool lab_line_is_stars(const struct lab_line *line);

/* "Panic on CPU n:"; *ret_cpu is left alone when it is not. */
bool lab_line_is_panic(const struct lab_line *line, int *ret_cpu);

/* The number after a prefix and blanks: "CPU:    3". 0 to 65535, -1 when there is none. */
int lab_line_number(const struct lab_line *line, const char *prefix);

/*
 * The first "[<ffff82d040203abc>] R symbol+0x1/0x2" in a line, the way of show_trace() and
 * show_registers(); the letter may be missing. False when there is none.
 */
bool lab_line_location(const struct lab_line *line, uint64_t *ret_address, char *symbol,
                       size_t symbol_size);

/* What a panic of Xen begins with, well before the banner. */
bool lab_line_opens_report(const struct lab_line *line);

/* Before registers that are no crash: those of a guest, a warning, a debug key. */
bool lab_line_opens_other_dump(const struct lab_line *line);

/* What may stand between the registers and the banner. */
bool lab_line_continues_report(const struct lab_line *line);

#endif
