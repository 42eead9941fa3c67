/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Console bytes of any kind, in pieces of any size, to a crash report and its JSON. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lab/crash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void report(const struct lab_crash_scan *scan)
{
    struct lab_crash_report report;
    json_t *json = NULL;

    if (lab_crash_report_get(scan, &report, NULL) != 0)
        return;
    if (lab_crash_report_json(&report, &json, NULL) != 0)
        abort();
    json_decref(json);
    lab_crash_report_free(&report);
}

/* The first byte is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_crash_scan *scan = NULL;
    size_t piece;

    if (size < 2 || lab_crash_scan_new(&scan, NULL) != 0)
        return 0;
    piece = data[0] ? data[0] : size;
    for (size_t at = 1; at < size; at += piece)
        lab_crash_feed(scan, data + at, size - at < piece ? size - at : piece);
    lab_crash_quiet(scan);
    report(scan);
    lab_crash_scan_free(scan);
    return 0;
}
