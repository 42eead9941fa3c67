/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any file taken for a journal: refused, or read; and what was read must be the same when its valid
 * part is read again. The checksums would stop nearly every changed input at its line, so the first
 * byte says whether they are to be made right first.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/journal-format.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The journal that has the JSON objects of `lines` (each after 17 bytes) as records. */
static int rewrite(const char *lines, size_t size, struct xw_buffer *out)
{
    uint64_t chain = 0;
    int rc = xw_buffer_append_text(out, XW_JOURNAL_HEADER, NULL);

    while (rc == 0 && size > 0) {
        const char *newline = memchr(lines, '\n', size);
        size_t length = newline ? (size_t)(newline - lines) : size;
        xw_auto_json json_t *record = NULL;

        if (length > 17 && xw_json_parse(lines + 17, length - 17, "r", NULL, &record, NULL) == 0)
            rc = xw_journal_line(record, chain, out, &chain, NULL);
        size -= newline ? length + 1 : length;
        lines += newline ? length + 1 : length;
    }
    return rc;
}

static void read_twice(const char *text, size_t size)
{
    struct xw_journal_state first = {0}, second = {0};
    struct xw_error err = XW_ERROR_INIT;

    if (xw_journal_read(text, size, "j", &first, &err) < 0) {
        if (err.code == 0)
            abort();
    } else if (first.end > size || xw_journal_read(text, first.end, "j", &second, NULL) < 0 ||
               second.end != first.end || second.chain != first.chain ||
               !first.operation != !second.operation) {
        abort();
    }
    xw_journal_state_free(&first);
    xw_journal_state_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(1 << 20);
    const char *input = (const char *)data + 1;

    if (size == 0)
        return 0;
    size--;
    if (data[0] != 'c')
        read_twice(input, size);
    else if (rewrite(input, size, &text) == 0)
        read_twice(text.data, text.length);
    return 0;
}
