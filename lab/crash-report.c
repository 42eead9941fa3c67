/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the text of a crash to what a person or a program wants to know about it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "lab/crash-scan.h"

const char *lab_crash_kind_name(enum lab_crash_kind kind)
{
    static const char *const names[] = {
        [LAB_CRASH_PANIC] = "panic",         [LAB_CRASH_PAGE_FAULT] = "page-fault",
        [LAB_CRASH_TRAP] = "trap",           [LAB_CRASH_ASSERTION] = "assertion",
        [LAB_CRASH_BUG] = "bug",             [LAB_CRASH_DOUBLE_FAULT] = "double-fault",
        [LAB_CRASH_NMI] = "nmi",             [LAB_CRASH_WATCHDOG] = "watchdog",
        [LAB_CRASH_DEBUG_KEY] = "debug-key", [LAB_CRASH_DOM0] = "dom0",
    };

    return names[kind];
}

/* The raw lines of a text, one after the other. */
struct walk {
    const char *at;
    const char *end;
};

static bool next_line(struct walk *walk, struct lab_line *ret)
{
    const char *end;
    size_t length;

    if (walk->at == walk->end)
        return false;
    end = memchr(walk->at, '\n', (size_t)(walk->end - walk->at));
    length = end ? (size_t)(end - walk->at) + 1 : (size_t)(walk->end - walk->at);
    *ret = lab_line_read(walk->at, length);
    walk->at += length;
    return true;
}

static bool next_xen_line(struct walk *walk, struct lab_line *ret)
{
    while (next_line(walk, ret))
        if (ret->owner == LAB_LINE_XEN)
            return true;
    return false;
}

/* Put a line after the reason so far, with a blank between. */
static void add_reason(struct lab_crash_report *report, const char *text, size_t length)
{
    size_t used = strlen(report->reason);

    if (used + 8 > sizeof(report->reason) || length == 0)
        return;
    if (used > 0)
        report->reason[used++] = ' ';
    xw_text_printable(report->reason + used, sizeof(report->reason) - used, text, length);
}

/* The lines between "Panic on CPU n:" and the closing stars. */
static void read_reason(struct lab_crash_report *report, struct walk walk)
{
    struct lab_line line;
    bool in_banner = false;
    int cpu;

    while (next_xen_line(&walk, &line)) {
        const char *stars = lab_line_find(&line, "********************");

        if (!in_banner) {
            in_banner = lab_line_is_panic(&line, &cpu);
            continue;
        }
        /* A reason over 127 bytes loses its newline, and the stars follow on the same line. */
        add_reason(report, line.text, stars ? (size_t)(stars - line.text) : line.length);
        if (stars)
            break;
    }
}

static bool reason_starts(const struct lab_crash_report *report, const char *prefix)
{
    return strncmp(report->reason, prefix, strlen(prefix)) == 0;
}

/* panic() is all there is at the end; what led to it shows in its words. */
static enum lab_crash_kind kind_of(const struct lab_crash_report *report, struct walk walk)
{
    struct lab_line line;

    if (reason_starts(report, "FATAL TRAP: vec 2,")) {
        while (next_xen_line(&walk, &line))
            if (lab_line_starts(&line, "Watchdog timer detects that CPU"))
                return LAB_CRASH_WATCHDOG;
        return LAB_CRASH_NMI;
    }
    if (reason_starts(report, "FATAL PAGE FAULT"))
        return LAB_CRASH_PAGE_FAULT;
    if (reason_starts(report, "FATAL TRAP") || reason_starts(report, "GENERAL PROTECTION FAULT"))
        return LAB_CRASH_TRAP;
    if (reason_starts(report, "Assertion '"))
        return LAB_CRASH_ASSERTION;
    if (reason_starts(report, "Xen BUG at "))
        return LAB_CRASH_BUG;
    if (reason_starts(report, "DOUBLE FAULT"))
        return LAB_CRASH_DOUBLE_FAULT;
    return LAB_CRASH_PANIC;
}

static void read_frames(struct lab_crash_report *report, struct walk *walk)
{
    struct lab_line line;

    while (report->frame_count < LAB_CRASH_FRAMES && next_xen_line(walk, &line)) {
        struct lab_crash_frame *frame = &report->frames[report->frame_count];

        if (!lab_line_starts(&line, " ") ||
            !lab_line_location(&line, &frame->address, frame->symbol, sizeof(frame->symbol)))
            break;
        report->frame_count++;
    }
}

/*
 * One dump of registers, the line "----[ Xen-" being read already. Returns whether it is the one of
 * the crash: in the hypervisor, on the processor that panicked.
 */
static bool read_dump(struct lab_crash_report *report, struct walk *walk)
{
    struct lab_line line;
    struct walk next = *walk;
    bool ours = false;

    while (next_xen_line(&next, &line) && !lab_line_starts(&line, "----[ Xen-") &&
           !lab_line_is_stars(&line)) {
        *walk = next;
        if (lab_line_starts(&line, "CPU:") && lab_line_number(&line, "CPU:") != report->cpu)
            return false;
        if (lab_line_starts(&line, "RIP:"))
            lab_line_location(&line, &report->rip, report->symbol, sizeof(report->symbol));
        if (lab_line_find(&line, "CONTEXT: hypervisor"))
            ours = true;
        if (lab_line_starts(&line, "Xen call trace:") ||
            lab_line_starts(&line, "Xen stack overfl")) {
            read_frames(report, walk);
            break;
        }
    }
    if (!ours) {
        report->rip = 0;
        report->symbol[0] = '\0';
        report->frame_count = 0;
    }
    return ours;
}

static void read_registers(struct lab_crash_report *report, struct walk walk)
{
    struct lab_line line;

    while (next_xen_line(&walk, &line))
        if (lab_line_starts(&line, "----[ Xen-") && read_dump(report, &walk))
            return;
}

/* The words of dom0's kernel where they can be found, else those of Xen. */
static void read_dom0_reason(struct lab_crash_report *report, struct walk walk)
{
    static const char words[] = "Kernel panic - not syncing: ";
    struct lab_line line;

    while (next_line(&walk, &line)) {
        const char *at = lab_line_find(&line, words);
        bool last = line.owner == LAB_LINE_XEN && lab_line_starts(&line, "Hardware Dom");

        if (last && report->reason[0] != '\0')
            return;
        if (last)
            at = line.text;
        if (at && line.owner != LAB_LINE_GUEST) {
            report->reason[0] = '\0';
            add_reason(report, at, line.length - (size_t)(at - line.text));
        }
    }
}

/* Printable lines, "\n" after each. */
static int copy_text(struct lab_crash_report *report, struct walk walk, struct xw_error *err)
{
    struct xw_buffer text = XW_BUFFER_INIT(4 * 1024 * 1024);
    char printable[4 * 4096 + 1];
    int rc = 0;

    while (rc == 0 && walk.at < walk.end) {
        const char *start = walk.at;
        struct lab_line line;

        if (!next_line(&walk, &line))
            break;
        xw_text_printable(printable, sizeof(printable), start,
                          (size_t)(line.text + line.length - start));
        rc = xw_buffer_printf(&text, err, "%s\n", printable);
    }
    if (rc == 0 && !(report->text = xw_buffer_steal(&text)))
        rc = xw_error_set(err, ENOMEM, "no memory for the report of a crash");
    xw_buffer_free(&text);
    return rc;
}

int lab_crash_report_get(const struct lab_crash_scan *scan, struct lab_crash_report *ret,
                         struct xw_error *err)
{
    struct walk walk = {scan->text + scan->mark, scan->text + scan->length};

    if (scan->phase != PHASE_DONE)
        return xw_error_set(err, ENOENT, "the console shows no crash");
    memset(ret, 0, sizeof(*ret));
    ret->kind = scan->kind;
    ret->cpu = scan->kind == LAB_CRASH_PANIC ? scan->cpu : -1;
    if (scan->kind == LAB_CRASH_PANIC) {
        read_reason(ret, walk);
        ret->kind = kind_of(ret, walk);
        read_registers(ret, walk);
    } else if (scan->kind == LAB_CRASH_DOM0) {
        read_dom0_reason(ret, walk);
    } else {
        snprintf(ret->reason, sizeof(ret->reason), "debug key C started the crash kernel");
    }
    return copy_text(ret, walk, err);
}

void lab_crash_report_free(struct lab_crash_report *report)
{
    free(report->text);
    report->text = NULL;
}

/* An address as JSON; null where it is not known. */
static json_t *address_json(uint64_t address)
{
    char digits[17];

    if (address == 0)
        return json_null();
    snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)address);
    return json_string(digits);
}

static json_t *symbol_json(const char *symbol)
{
    return symbol[0] ? json_string(symbol) : json_null();
}

int lab_crash_report_json(const struct lab_crash_report *report, json_t **ret, struct xw_error *err)
{
    json_t *frames = json_array();
    json_t *object;

    for (size_t i = 0; i < report->frame_count; i++)
        json_array_append_new(frames, json_pack("{so so}", "address",
                                                address_json(report->frames[i].address), "symbol",
                                                symbol_json(report->frames[i].symbol)));
    object = json_pack("{ss ss so so so so ss}", "kind", lab_crash_kind_name(report->kind),
                       "reason", report->reason, "cpu",
                       report->cpu < 0 ? json_null() : json_integer(report->cpu), "rip",
                       address_json(report->rip), "symbol", symbol_json(report->symbol),
                       "backtrace", frames, "text", report->text ? report->text : "");
    if (!object)
        return xw_error_set(err, ENOMEM, "no memory for the report of a crash");
    *ret = object;
    return 0;
}
