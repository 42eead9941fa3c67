/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab prune: disk space back. */
#include "base/table.h"
#include "cli/lab.h"
#include "lab/prune.h"

static int run_prune(struct cli_call *call, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {.header = "REMOVED", .key = "kind"},
        {.header = "KEY", .key = "key"},
        {.header = "SIZE", .key = "bytes", .kind = XW_COLUMN_SIZE},
        {.header = "WHY", .key = "why", .cut = true},
    };
    struct lab_place place;
    json_t *removed;
    int rc = lab_place_open(&place, err);

    if (rc)
        return rc;
    rc = lab_prune(&place, cli_flag(call, "all"), cli_flag(call, "dry-run"), &removed, err);
    if (!rc)
        rc = cli_show_rows(call, columns, sizeof(columns) / sizeof(columns[0]), removed, err);
    lab_place_close(&place);
    return rc;
}

const struct cli_command cli_lab_prune = {
    .verb = "prune",
    .purpose = "Remove images and states that no lab needs",
    .description = "Removes what is damaged, what belongs to an image that is gone, what failed "
                   "and killed commands "
                   "left, and what has not been used for 30 days; never what a lab or one of its "
                   "saved states stands "
                   "on. With --dry-run it only shows what would be removed.",
    .arguments = {.usage = "", .min = 0, .max = 0},
    .options =
        (const struct cli_option[]){
            {.name = "all",
             .letter = 'a',
             .help = "also what could be used again: the next 'lab up' makes it anew"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab prune --all --dry-run", "how much space could be had"},
            {0},
        },
    .flags = CLI_SHOWS | CLI_CHANGES,
    .run = run_prune,
};
