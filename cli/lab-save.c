/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab save, restore, states, forget. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/progress.h"
#include "base/table.h"
#include "cli/lab.h"
#include "lab/save.h"

#define DEFAULT_TAG "saved"

/* What a command does while the lab of argument 0 is held. */
typedef int lab_action(struct cli_call *call, struct lab_hold *hold, struct xw_error *err);

/* What it says with --dry-run. The lab is not held, so that nothing is waited for or put right. */
typedef int lab_plan(struct cli_call *call, const struct lab_place *place, const char *name,
                     struct xw_error *err);

static const char *tag_of(const struct cli_call *call)
{
    const char *tag = cli_argument(call, 1);

    return tag ? tag : DEFAULT_TAG;
}

static int hold_and_act(struct cli_call *call, const struct lab_place *place, const char *name,
                        lab_action *action, struct xw_error *err)
{
    struct lab_hold hold;
    int rc = lab_hold(place, name, -1, &hold, err);

    if (rc)
        return rc;
    rc = action(call, &hold, err);
    lab_let_go(&hold);
    return rc;
}

static int with_lab(struct cli_call *call, lab_plan *plan, lab_action *action, struct xw_error *err)
{
    const char *name = cli_argument(call, 0);
    struct lab_place place;
    int rc = lab_place_open(&place, err);

    if (rc)
        return rc;
    rc = lab_check_known(&place, name, err);
    if (!rc && cli_flag(call, "dry-run"))
        rc = plan(call, &place, name, err);
    else if (!rc)
        rc = hold_and_act(call, &place, name, action, err);
    lab_place_close(&place);
    return rc;
}

static int plan_save(struct cli_call *call, const struct lab_place *place, const char *name,
                     struct xw_error *err)
{
    struct lab_record record;
    int rc = lab_save_check_make(place, name, tag_of(call), &record, err);

    if (rc)
        return rc;
    lab_record_free(&record);
    printf("would save lab '%s' as '%s'\n", name, tag_of(call));
    return 0;
}

static int save(struct cli_call *call, struct lab_hold *hold, struct xw_error *err)
{
    struct xw_progress *progress = cli_progress(call, hold->name, 0);
    const struct lab_reporter reporter = cli_lab_reporter(progress);
    int64_t still_ms = 0;
    int rc = lab_save_make(hold, tag_of(call), &reporter, &still_ms, err);

    xw_progress_end(progress);
    if (!rc)
        printf("lab '%s' is saved as '%s'; it stood still for %.1f s\n", hold->name, tag_of(call),
               (double)still_ms / 1000);
    return rc;
}

static int run_save(struct cli_call *call, struct xw_error *err)
{
    return with_lab(call, plan_save, save, err);
}

const struct cli_command cli_lab_save = {
    .verb = "save",
    .purpose = "Save the state of a running lab",
    .description = "Keeps memory, disk and all guests as they are, under the name TAG ('saved' "
                   "where none is given). "
                   "The lab stands still meanwhile and then goes on.",
    .arguments = {.usage = "NAME [TAG]",
                  .min = 1,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names},
                             {.kind = CLI_VALUE_CALLBACK, .list = cli_lab_tags}}},
    .examples =
        (const struct cli_example[]){
            {"xenwright lab save lab before-upgrade", "keep the lab as it is now"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_save,
};

static int plan_restore(struct cli_call *call, const struct lab_place *place, const char *name,
                        struct xw_error *err)
{
    struct lab_record record;
    int rc = lab_save_check_restore(place, name, tag_of(call), &record, err);

    if (rc)
        return rc;
    lab_record_free(&record);
    printf("would restore lab '%s' from '%s'\n", name, tag_of(call));
    return 0;
}

static int restore(struct cli_call *call, struct lab_hold *hold, struct xw_error *err)
{
    int64_t begun = xw_clock_ms();
    struct lab_record record;
    int rc = lab_save_restore(hold, tag_of(call), &record, err);

    if (!rc) {
        printf("lab '%s' is as it was at '%s' (restored in %.1f s)\n", hold->name, tag_of(call),
               (double)(xw_clock_ms() - begun) / 1000);
        lab_record_free(&record);
    }
    return rc;
}

static int run_restore(struct cli_call *call, struct xw_error *err)
{
    return with_lab(call, plan_restore, restore, err);
}

const struct cli_command cli_lab_restore = {
    .verb = "restore",
    .purpose = "Bring a lab back to a saved state",
    .description =
        "The lab continues from the moment of 'lab save', whether it runs, is down or has crashed. "
        "What "
        "happened in it since, and was not saved, is forgotten. Its clock is set to the present.",
    .arguments = {.usage = "NAME [TAG]",
                  .min = 1,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names},
                             {.kind = CLI_VALUE_CALLBACK, .list = cli_lab_tags}}},
    .examples =
        (const struct cli_example[]){
            {"xenwright lab restore lab before-upgrade", "undo what came after"},
            {0},
        },
    .flags = CLI_CHANGES,
    .run = run_restore,
};

static int run_states(struct cli_call *call, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {.header = "TAG", .key = "tag"},
        {.header = "STATUS", .key = "status"},
        {.header = "AGE", .key = "age", .kind = XW_COLUMN_SECONDS},
        {.header = "SIZE", .key = "bytes", .kind = XW_COLUMN_SIZE},
        {.header = "RELEASE", .key = "release"},
        {.header = "QEMU", .key = "qemu", .cut = true},
    };
    const char *name = cli_argument(call, 0);
    struct lab_place place;
    json_t *rows, *row;
    size_t i;
    int rc = lab_place_open(&place, err);

    if (rc)
        return rc;
    rc = lab_check_known(&place, name, err);
    if (!rc)
        rc = lab_save_list(&place, name, &rows, err);
    if (!rc) {
        json_array_foreach (rows, i, row) {
            const json_t *created = json_object_get(row, "created");
            json_int_t age = time(NULL) - json_integer_value(created);

            if (created)
                json_object_set_new(row, "age", json_integer(age));
        }
        rc = cli_show_rows(call, columns, sizeof(columns) / sizeof(columns[0]), rows, err);
    }
    lab_place_close(&place);
    return rc;
}

const struct cli_command cli_lab_states = {
    .verb = "states",
    .purpose = "List the saved states of a lab",
    .arguments = {.usage = "NAME", .min = 1, .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names}}},
    .examples = (const struct cli_example[]){
        {"xenwright lab states lab", "what 'lab restore' can go back to"},
        {0},
    },
    .flags = CLI_SHOWS,
    .run = run_states,
};

static int plan_forget(struct cli_call *call, const struct lab_place *place, const char *name,
                       struct xw_error *err)
{
    const char *tag = cli_argument(call, 1);
    int rc = lab_save_check_forget(place, name, tag, err);

    if (rc)
        return rc;
    printf("would forget %s%s%s of lab '%s'\n", tag ? "'" : "all saved states", tag ? tag : "",
           tag ? "'" : "", name);
    return 0;
}

static int forget(struct cli_call *call, struct lab_hold *hold, struct xw_error *err)
{
    return lab_save_forget(hold, cli_argument(call, 1), err);
}

static int run_forget(struct cli_call *call, struct xw_error *err)
{
    if (cli_flag(call, "all") == (cli_argument(call, 1) != NULL))
        return cli_misuse(call, err, "name a saved state, or give --all");
    return with_lab(call, plan_forget, forget, err);
}

const struct cli_command cli_lab_forget = {
    .verb = "forget",
    .purpose = "Remove saved states of a lab",
    .description = "A lab that is down is gone with its last saved state.",
    .arguments = {.usage = "NAME [TAG]", .min = 1, .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names},
                             {.kind = CLI_VALUE_CALLBACK, .list = cli_lab_tags}}},
    .options = (const struct cli_option[]){
        {.name = "all", .letter = 'a', .help = "remove all saved states of the lab"},
        {0},
    },
    .examples = (const struct cli_example[]){
        {"xenwright lab forget lab before-upgrade", "remove one"},
        {0},
    },
    .flags = CLI_CHANGES,
    .run = run_forget,
};
