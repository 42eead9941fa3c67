/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/table.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"

#define CELL_LIMIT ((size_t)64 << 10)

const char *xw_size_text(uint64_t bytes, char out[XW_SIZE_TEXT])
{
    static const char units[] = "BKMGTPE";
    unsigned unit = 0;
    uint64_t whole = bytes, tenths;

    while (whole >= 1024) {
        whole /= 1024;
        unit++;
    }
    /* In tenths of the unit, rounded; 128-bit, since bytes * 10 may not fit. */
    tenths = (uint64_t)((((unsigned __int128)bytes * 10) + ((uint64_t)1 << 10 * unit) / 2) >>
                        10 * unit);
    if (tenths >= 10240) {
        tenths = 10;
        unit++;
    }
    if (unit == 0)
        snprintf(out, XW_SIZE_TEXT, "%" PRIu64 "B", bytes);
    else if (tenths % 10 == 0 || tenths >= 1000)
        snprintf(out, XW_SIZE_TEXT, "%" PRIu64 "%c", (tenths + 5) / 10, units[unit]);
    else
        snprintf(out, XW_SIZE_TEXT, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
                 units[unit]);
    return out;
}

static int append_seconds(struct xw_buffer *cell, int64_t seconds, struct xw_error *err)
{
    int64_t minutes = seconds / 60, hours = minutes / 60;

    if (seconds < 60)
        return xw_buffer_printf(cell, err, "%" PRId64 "s", seconds);
    if (minutes < 60)
        return xw_buffer_printf(cell, err, "%" PRId64 "m%02" PRId64 "s", minutes, seconds % 60);
    if (hours < 24)
        return xw_buffer_printf(cell, err, "%" PRId64 "h%02" PRId64 "m", hours, minutes % 60);
    return xw_buffer_printf(cell, err, "%" PRId64 "d%02" PRId64 "h", hours / 24, hours % 24);
}

static int append_number(struct xw_buffer *cell, enum xw_column_kind kind, const json_t *value,
                         struct xw_error *err)
{
    int64_t number = json_integer_value(value);
    char size[XW_SIZE_TEXT];

    if (json_is_real(value))
        return xw_buffer_printf(cell, err, "%.1f", json_real_value(value));
    if (kind == XW_COLUMN_SIZE && number >= 0)
        return xw_buffer_append_text(cell, xw_size_text((uint64_t)number, size), err);
    if (kind == XW_COLUMN_SECONDS && number >= 0)
        return append_seconds(cell, number, err);
    return xw_buffer_printf(cell, err, "%" PRId64, number);
}

static int append_value(struct xw_buffer *cell, enum xw_column_kind kind, const json_t *value,
                        struct xw_error *err);

static int append_list(struct xw_buffer *cell, enum xw_column_kind kind, const json_t *list,
                       struct xw_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        if (i > 0)
            rc = xw_buffer_append(cell, ",", 1, err);
        if (rc == 0)
            rc = append_value(cell, kind, json_array_get(list, i), err);
    }
    return rc;
}

static int append_string(struct xw_buffer *cell, const json_t *value, struct xw_error *err)
{
    size_t length = json_string_length(value), room = length * 9 + 4;
    char *text;
    int rc = xw_buffer_reserve(cell, room, &text, err);

    if (rc == 0)
        xw_buffer_commit(cell, xw_text_printable(text, room, json_string_value(value), length));
    return rc;
}

static int append_value(struct xw_buffer *cell, enum xw_column_kind kind, const json_t *value,
                        struct xw_error *err)
{
    if (json_is_string(value))
        return append_string(cell, value, err);
    if (json_is_number(value))
        return append_number(cell, kind, value, err);
    if (json_is_boolean(value))
        return xw_buffer_append_text(cell, json_is_true(value) ? "yes" : "no", err);
    if (json_is_array(value) && json_array_size(value) > 0)
        return append_list(cell, kind, value, err);
    if (json_is_object(value))
        return xw_json_print_line(value, cell, err);
    return xw_buffer_append(cell, "-", 1, err);
}

static int add_row(struct libscols_table *table, const struct xw_column *columns, size_t count,
                   const json_t *row, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer cell = XW_BUFFER_INIT(CELL_LIMIT);
    struct libscols_line *line = scols_table_new_line(table, NULL);
    int rc = line ? 0 : xw_error_set(err, ENOMEM, "out of memory");

    for (size_t i = 0; rc == 0 && i < count; i++) {
        xw_buffer_clear(&cell);
        rc = append_value(&cell, columns[i].kind, json_object_get(row, columns[i].key), err);
        if (rc == 0 && scols_line_set_data(line, i, xw_buffer_text(&cell)) < 0)
            rc = xw_error_set(err, ENOMEM, "out of memory");
    }
    return rc;
}

/* A header that is not shown must not widen its column either. */
static int add_columns(struct libscols_table *table, const struct xw_column *columns,
                       size_t count, bool head, struct xw_error *err)
{
    for (size_t i = 0; i < count; i++) {
        int flags = (columns[i].kind == XW_COLUMN_TEXT ? 0 : SCOLS_FL_RIGHT) |
                    (columns[i].cut ? SCOLS_FL_TRUNC : 0);

        if (!scols_table_new_column(table, head ? columns[i].header : "", 0, flags))
            return xw_error_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

static void set_style(struct libscols_table *table, const struct xw_table_style *style)
{
    scols_table_set_column_separator(table, "  ");
    scols_table_enable_noencoding(table, 1); /* xw_text_printable has done it */
    scols_table_enable_noheadings(table, style && style->no_head);
    if (style && style->width > 0) {
        scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
        scols_table_set_termwidth(table, (size_t)style->width);
    } else {
        scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    }
}

/* Line by line, without the blanks that fill up the last column. */
static int append_lines(const char *text, bool bold_first, struct xw_buffer *out,
                        struct xw_error *err)
{
    bool bold = bold_first;
    int rc = 0;

    while (rc == 0 && *text) {
        size_t line = strcspn(text, "\n"), length = line;

        while (length > 0 && text[length - 1] == ' ')
            length--;
        rc = xw_buffer_printf(out, err, "%s%.*s%s\n", bold ? "\033[1m" : "", (int)length, text,
                              bold ? "\033[0m" : "");
        text += line + (text[line] == '\n');
        bold = false;
    }
    return rc;
}

/* libsmartcols prints nothing at all for a table without rows. */
static int append_head(const struct xw_column *columns, size_t count, bool bold,
                       struct xw_buffer *out, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer head = XW_BUFFER_INIT(CELL_LIMIT);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = xw_buffer_printf(&head, err, "%s%s", i > 0 ? "  " : "", columns[i].header);
    return rc < 0 ? rc : append_lines(xw_buffer_text(&head), bold, out, err);
}

int xw_table_print(const struct xw_column *columns, size_t column_count, const json_t *rows,
                   const struct xw_table_style *style, struct xw_buffer *out,
                   struct xw_error *err)
{
    bool head = !style || !style->no_head, bold = style && style->bold_head && head;
    struct libscols_table *table;
    char *text = NULL;
    int rc;

    if (json_array_size(rows) == 0)
        return head ? append_head(columns, column_count, bold, out, err) : 0;
    table = scols_new_table();
    if (!table)
        return xw_error_set(err, ENOMEM, "out of memory");
    set_style(table, style);
    rc = add_columns(table, columns, column_count, head, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(rows); i++)
        rc = add_row(table, columns, column_count, json_array_get(rows, i), err);
    if (rc == 0 && scols_print_table_to_string(table, &text) < 0)
        rc = xw_error_set(err, ENOMEM, "out of memory");
    if (rc == 0 && text)
        rc = append_lines(text, bold, out, err);
    free(text);
    scols_unref_table(table);
    return rc;
}
