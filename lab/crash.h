/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A crash of the hypervisor, read from the console of its host.
 *
 * The serial console carries three voices: lines of Xen, which begin with "(XEN) "; lines of
 * guests, to which Xen gives the prefix "(d1) "; and whatever dom0 writes, unprefixed and at any
 * moment, so that a line of Xen may follow half a line of dom0. Xen sends "\n" as "\r\n". What dom0
 * writes through a terminal has a "\r" of its own before that, so an old log shown in dom0 is not
 * taken for a crash. Root in dom0 can still send any bytes at all.
 *
 * A crash is Xen's banner in full (xen/drivers/char/console.c, panic()): a line of stars, "Panic on
 * CPU n:", the reason, a line of stars. Registers alone are none; Xen prints them for guests, for
 * warnings and for debug keys as well. Two ends have no banner: that of dom0 ("Hardware Dom0
 * crashed", xen/common/shutdown.c) and debug key C where a crash kernel takes over.
 */
#ifndef XW_LAB_CRASH_H
#define XW_LAB_CRASH_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <xenwright/error.h>

enum lab_crash_kind {
    LAB_CRASH_PANIC,        /* Xen gave up by itself */
    LAB_CRASH_PAGE_FAULT,   /* touched memory that is not there */
    LAB_CRASH_TRAP,         /* another fatal exception: invalid opcode, general protection, … */
    LAB_CRASH_ASSERTION,    /* ASSERT() */
    LAB_CRASH_BUG,          /* BUG() */
    LAB_CRASH_DOUBLE_FAULT, /* stack overflow, mostly */
    LAB_CRASH_NMI,          /* a non-maskable interrupt, with nmi=fatal */
    LAB_CRASH_WATCHDOG,     /* a processor was stuck */
    LAB_CRASH_DEBUG_KEY,    /* debug key C, with a crash kernel loaded */
    LAB_CRASH_DOM0,         /* the kernel of dom0 crashed and Xen went down with it */
};

/* "panic", "page-fault", "trap", "assertion", "bug", "double-fault", "nmi", … */
const char *lab_crash_kind_name(enum lab_crash_kind kind);

struct lab_crash_frame {
    uint64_t address;
    char symbol[160]; /* "do_domctl+0x12/0x345"; "" when Xen gave none */
};

#define LAB_CRASH_FRAMES 64

struct lab_crash_report {
    enum lab_crash_kind kind;
    char reason[512]; /* one line */
    int cpu;          /* -1: not told */
    uint64_t rip;     /* 0: not told */
    char symbol[160]; /* of rip; "" when there is none */
    struct lab_crash_frame frames[LAB_CRASH_FRAMES];
    size_t frame_count;
    char *text; /* the console from the first sign of trouble on; printable lines */
};

enum lab_crash_state {
    LAB_CRASH_NONE,
    LAB_CRASH_SUSPECTED, /* signs of one; more has to come */
    LAB_CRASH_REPORTED,  /* certain and complete; nothing is read any more */
};

struct lab_crash_scan;

/* Bounded memory: the newest 256 KiB of a report. Free with lab_crash_scan_free (NULL is fine). */
int lab_crash_scan_new(struct lab_crash_scan **ret, struct xw_error *err);
void lab_crash_scan_free(struct lab_crash_scan *scan);

/* Takes the next bytes of the console, in pieces of any size. */
enum lab_crash_state lab_crash_feed(struct lab_crash_scan *scan, const void *bytes, size_t size);

/* Nothing has come for this long: the report will not get any longer. */
#define LAB_CRASH_QUIET_MS 300

/* To be called after such a pause. A suspected crash becomes a reported one where that will do. */
enum lab_crash_state lab_crash_quiet(struct lab_crash_scan *scan);

/* The report of a scan that says REPORTED (else -ENOENT). Free with lab_crash_report_free. */
int lab_crash_report_get(const struct lab_crash_scan *scan, struct lab_crash_report *ret,
                         struct xw_error *err);
void lab_crash_report_free(struct lab_crash_report *report);

/*
 * {"kind", "reason", "cpu", "rip", "symbol", "backtrace": [{"address", "symbol"}], "text"}; what is
 * not known is null. Addresses are strings of 16 hex digits. The caller json_decref()s *ret.
 */
int lab_crash_report_json(const struct lab_crash_report *report, json_t **ret,
                          struct xw_error *err);

#endif
