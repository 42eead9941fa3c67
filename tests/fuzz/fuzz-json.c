/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes of any kind to the JSON reader, and what it took back through the printer. */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_members(const json_t *doc)
{
    const char *text;
    int64_t number;
    json_t *part;
    bool flag;

    xw_json_string(doc, "doc", "name", &text, NULL);
    xw_json_integer(doc, "doc", "memory", 0, 1000, &number, NULL);
    xw_json_bool(doc, "doc", "on", &flag, NULL);
    xw_json_array(doc, "doc", "list", &part, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct xw_json_limits limits = {.size = 1 << 16, .depth = 16};
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(1 << 20);
    xw_auto_json json_t *doc = NULL, *again = NULL;
    struct xw_error err = XW_ERROR_INIT;

    if (xw_json_parse((const char *)data, size, "doc", &limits, &doc, &err) < 0) {
        if (err.code == 0 || !err.message[0])
            abort();
        return 0;
    }
    read_members(doc);
    if (xw_json_print(doc, &text, NULL) < 0)
        return 0;
    if (xw_json_parse(text.data, text.length, "again", NULL, &again, NULL) < 0 ||
        !json_equal(doc, again))
        abort();
    return 0;
}
