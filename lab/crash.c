/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scanner: console bytes in, "it has crashed" out. What the report says: crash-report.c. */
#include "lab/crash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/crash-scan.h"

/* What is kept while there is no sign of a crash, so that a report of dom0's end has its oops. */
#define CONTEXT_SIZE (8 * 1024)

int lab_crash_scan_new(struct lab_crash_scan **ret, struct xw_error *err)
{
    struct lab_crash_scan *scan = calloc(1, sizeof(*scan));

    if (!scan)
        return xw_error_set(err, ENOMEM, "no memory to watch the console");
    *ret = scan;
    return 0;
}

void lab_crash_scan_free(struct lab_crash_scan *scan)
{
    free(scan);
}

/* Forget at least `size` bytes of the oldest text, whole lines where there are any. */
static void drop_oldest(struct lab_crash_scan *scan, size_t size)
{
    char *end;

    if (size > scan->length)
        size = scan->length;
    end = memchr(scan->text + size, '\n', scan->length - size);
    if (end)
        size = (size_t)(end - scan->text) + 1;
    scan->length -= size;
    memmove(scan->text, scan->text + size, scan->length);
    scan->mark = scan->mark > size ? scan->mark - size : 0;
}

static void keep(struct lab_crash_scan *scan, const char *raw, size_t length)
{
    /* An eighth more than needed, so that a flood of lines does not move everything each time. */
    if (scan->length + length > sizeof(scan->text))
        drop_oldest(scan, length + sizeof(scan->text) / 8);
    memcpy(scan->text + scan->length, raw, length);
    scan->length += length;
}

static void begin_report(struct lab_crash_scan *scan, size_t length)
{
    if (!scan->marked) {
        scan->marked = true;
        scan->mark = scan->length - length;
    }
}

static void finish(struct lab_crash_scan *scan, enum lab_crash_kind kind)
{
    scan->phase = PHASE_DONE;
    scan->kind = kind;
}

/* It was not a crash after all: only the context stays. */
static void abandon_report(struct lab_crash_scan *scan)
{
    scan->phase = PHASE_WATCH;
    scan->marked = false;
    scan->other_dump = false;
    if (scan->length > 2 * CONTEXT_SIZE)
        drop_oldest(scan, scan->length - CONTEXT_SIZE);
}

/* Lines while nothing of the banner has come yet. */
static void watch(struct lab_crash_scan *scan, const struct lab_line *line, size_t length)
{
    if (lab_line_is_stars(line)) {
        begin_report(scan, length);
        scan->phase = PHASE_STARS;
    } else if (lab_line_starts(line, "Hardware Dom") &&
               (lab_line_find(line, " crashed: ") || lab_line_find(line, " watchdog rebooting"))) {
        scan->mark = 0;
        finish(scan, LAB_CRASH_DOM0);
    } else if (lab_line_starts(line, "'C' pressed -> ")) {
        abandon_report(scan);
        begin_report(scan, length);
        scan->phase = PHASE_KEY;
    } else if (lab_line_opens_other_dump(line)) {
        abandon_report(scan);
        scan->other_dump = true;
    } else if (lab_line_opens_report(line)) {
        if (!scan->other_dump)
            begin_report(scan, length);
        scan->other_dump = false;
    } else if (!lab_line_continues_report(line)) {
        abandon_report(scan);
    }
}

/* One line of Xen, with `length` raw bytes at the end of the text. */
static void step(struct lab_crash_scan *scan, const struct lab_line *line, size_t length)
{
    switch (scan->phase) {
    case PHASE_WATCH:
        watch(scan, line, length);
        break;
    case PHASE_STARS:
        if (lab_line_is_panic(line, &scan->cpu)) {
            scan->phase = PHASE_NAMED;
        } else if (!lab_line_is_stars(line)) {
            abandon_report(scan);
            watch(scan, line, length);
        }
        break;
    case PHASE_NAMED:
    case PHASE_REASON:
        scan->phase = lab_line_find(line, "********************") ? PHASE_CLOSED : PHASE_REASON;
        break;
    case PHASE_CLOSED:
        if (line->length > 0)
            finish(scan, LAB_CRASH_PANIC);
        break;
    case PHASE_KEY:
        if (lab_line_find(line, "no crash kernel loaded"))
            abandon_report(scan);
        else if (lab_line_is_stars(line))
            scan->phase = PHASE_STARS;
        break;
    case PHASE_DONE:
        break;
    }
}

static void end_line(struct lab_crash_scan *scan)
{
    struct lab_line line = lab_line_read(scan->line, scan->line_length);

    keep(scan, scan->line, scan->line_length);
    if (line.owner == LAB_LINE_XEN)
        step(scan, &line, scan->line_length);
    else if (!scan->marked && scan->length > 2 * CONTEXT_SIZE)
        drop_oldest(scan, scan->length - CONTEXT_SIZE);
    scan->line_length = 0;
}

static enum lab_crash_state state_of(const struct lab_crash_scan *scan)
{
    if (scan->phase == PHASE_DONE)
        return LAB_CRASH_REPORTED;
    return scan->phase == PHASE_WATCH ? LAB_CRASH_NONE : LAB_CRASH_SUSPECTED;
}

enum lab_crash_state lab_crash_feed(struct lab_crash_scan *scan, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0 && scan->phase != PHASE_DONE) {
        const char *end = memchr(at, '\n', size);
        size_t piece = end ? (size_t)(end - at) + 1 : size;

        /* Of a line that long only the end matters: Xen's own lines are below 1 KiB. */
        if (scan->line_length == sizeof(scan->line)) {
            scan->line_length = sizeof(scan->line) / 2;
            memmove(scan->line, scan->line + scan->line_length, scan->line_length);
        }
        if (piece > sizeof(scan->line) - scan->line_length)
            piece = sizeof(scan->line) - scan->line_length;
        memcpy(scan->line + scan->line_length, at, piece);
        scan->line_length += piece;
        at += piece;
        size -= piece;
        if (scan->line[scan->line_length - 1] == '\n')
            end_line(scan);
    }
    return state_of(scan);
}

enum lab_crash_state lab_crash_quiet(struct lab_crash_scan *scan)
{
    struct lab_line line = lab_line_read(scan->line, scan->line_length);

    /* Where a crash kernel takes over, Xen's last line has no end. */
    if (scan->phase == PHASE_WATCH && line.owner == LAB_LINE_XEN &&
        lab_line_starts(&line, "Hardware Dom") && lab_line_find(&line, " crashed: "))
        end_line(scan);
    else if (scan->phase == PHASE_REASON || scan->phase == PHASE_CLOSED)
        finish(scan, LAB_CRASH_PANIC);
    else if (scan->phase == PHASE_KEY)
        finish(scan, LAB_CRASH_DEBUG_KEY);
    return state_of(scan);
}
