/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a command shows things to programs. */

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cli/call.h"
#include "cli/output.h"

#define OUTPUT_MAX (256U << 20)

bool cli_color(const struct cli_call *call)
{
    return cli_color_wanted(cli_string(call, "color"));
}

int cli_show_json(struct cli_call *call, json_t *json, struct xw_error *err)
{
    xw_auto_json json_t *owned = json;
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(OUTPUT_MAX);
    int rc;

    (void)call;
    if (!owned)
        return xw_error_set(err, ENOMEM, "output: not enough memory");
    rc = xw_json_print(owned, &text, err);
    if (rc == 0)
        cli_write(text.data, text.length);
    return rc;
}
