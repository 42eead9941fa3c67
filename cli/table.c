/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a command shows things to people: tables and progress. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/progress.h"
#include "base/table.h"
#include "cli/call.h"
#include "cli/output.h"

#define OUTPUT_MAX (256U << 20)

int cli_show_rows(struct cli_call *call, const struct xw_column *columns, size_t column_count,
                  json_t *rows, struct xw_error *err)
{
    xw_auto_json json_t *owned = rows;
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(OUTPUT_MAX);
    struct xw_table_style style = {
        .width = isatty(STDOUT_FILENO) ? (int)cli_width(SIZE_MAX) : 0,
        .bold_head = cli_color(call),
    };
    int rc;

    if (!owned)
        return xw_error_set(err, ENOMEM, "output: not enough memory");
    if (cli_flag(call, "json"))
        return cli_show_json(call, json_incref(owned), err);
    rc = xw_table_print(columns, column_count, owned, &style, &text, err);
    if (rc == 0)
        cli_write(text.data, text.length);
    return rc;
}

struct xw_progress *cli_progress(const struct cli_call *call, const char *task, uint64_t total)
{
    const char *when = cli_string(call, "progress");
    struct xw_progress_setup setup = {
        .mode = !when                       ? XW_PROGRESS_AUTO
                : strcmp(when, "json") == 0 ? XW_PROGRESS_JSON
                : strcmp(when, "none") == 0 ? XW_PROGRESS_NONE
                                            : XW_PROGRESS_AUTO,
        .fd = STDERR_FILENO,
        .plain = !cli_color_wanted(cli_string(call, "color")),
    };

    return xw_progress_begin(&setup, task, total);
}
