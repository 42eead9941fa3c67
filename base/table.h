/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rows for people and for programs. A row is a JSON object; columns say which keys people see and
 * how. Programs get the rows themselves (xw_json_print), with numbers as numbers and with keys that
 * no column shows. In the library `libbase-output`, linked by the program only (libsmartcols).
 */
#ifndef XW_BASE_TABLE_H
#define XW_BASE_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

enum xw_column_kind {
    XW_COLUMN_TEXT,    /* as it is; strings, numbers, yes/no for booleans, arrays joined by "," */
    XW_COLUMN_NUMBER,  /* to the right */
    XW_COLUMN_SIZE,    /* bytes, shown as 1.5G; to the right */
    XW_COLUMN_SECONDS, /* shown as 12s, 3m05s, 2h03m, 4d05h; to the right */
};

struct xw_column {
    const char *header; /* as shown, e.g. "NAME" */
    const char *key;    /* member of the row; absent or null: shown as "-" */
    enum xw_column_kind kind;
    bool cut; /* may be cut short where the terminal is too narrow */
};

struct xw_table_style {
    int width;      /* columns of the terminal; 0: as wide as needed, nothing is cut */
    bool bold_head; /* header in bold (only where colour is wanted) */
    bool no_head;   /* rows only */
};

/*
 * Append rows (a JSON array of objects) as text to out. No rows: the header alone. style may be
 * NULL: plain, as wide as needed. Control characters in values are escaped.
 */
int xw_table_print(const struct xw_column *columns, size_t column_count, const json_t *rows,
                   const struct xw_table_style *style, struct xw_buffer *out,
                   struct xw_error *err);

#define XW_SIZE_TEXT 16

/* 1536 → "1.5K"; powers of 1024, at most three digits, exact below 1024. Returns out. */
const char *xw_size_text(uint64_t bytes, char out[XW_SIZE_TEXT]);

#endif
