/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command group `xenwright lab`, and what its commands share. */
#include <errno.h>
#include <stdio.h>

#include "base/progress.h"
#include "cli/lab.h"
#include "lab/link.h"
#include "lab/save.h"

void cli_lab_names(const struct cli_call *call, struct cli_candidates *out)
{
    cli_lab_names_with(call, "", out);
}

void cli_lab_names_with(const struct cli_call *call, const char *end, struct cli_candidates *out)
{
    struct lab_place place;
    char **names, word[NAME_MAX + 8];

    (void)call;
    if (lab_place_open(&place, NULL))
        return;
    if (lab_names(&place, &names, NULL) == 0) {
        for (char **name = names; *name; name++) {
            snprintf(word, sizeof(word), "%s%s", *name, end);
            cli_candidate(out, word, NULL);
        }
        lab_names_free(names);
    }
    lab_place_close(&place);
}

void cli_lab_tags(const struct cli_call *call, struct cli_candidates *out)
{
    const char *name = cli_argument(call, 0);
    struct lab_place place;
    json_t *rows = NULL, *row;
    size_t i;

    if (!name || lab_name_check("lab", name, NULL) || lab_place_open(&place, NULL))
        return;
    if (lab_save_list(&place, name, &rows, NULL) == 0)
        json_array_foreach (rows, i, row)
            cli_candidate(out, json_string_value(json_object_get(row, "tag")), NULL);
    json_decref(rows);
    lab_place_close(&place);
}

static int open_named(const char *name, struct lab_place *place, struct lab_record *record,
                      struct xw_error *err)
{
    int rc = lab_place_open(place, err);

    if (rc)
        return rc;
    rc = lab_record_read(place, name, record, err);
    if (rc)
        lab_place_close(place);
    return rc;
}

int cli_lab_open(struct cli_call *call, size_t index, struct lab_place *place,
                 struct lab_record *record, struct xw_error *err)
{
    return open_named(cli_argument(call, index), place, record, err);
}

static int explain_not_running(const struct lab_record *record, enum lab_status status,
                               struct xw_error *err)
{
    const char *name = record->name;

    switch (status) {
    case LAB_STATUS_DOWN:
        return xw_error_set(err, ENOTCONN,
                            "lab '%s' is down: 'xenwright lab up %s' or 'xenwright lab "
                            "restore %s' brings it back",
                            name, name, name);
    case LAB_STATUS_STARTING:
        return xw_error_set(err, ENOTCONN, "lab '%s' is not up yet: wait for its 'lab up'", name);
    case LAB_STATUS_DEAD:
        return xw_error_set(
            err, ENOTCONN,
            "lab '%s': its QEMU is gone, it was killed or crashed: "
            "'xenwright lab up %s' starts it anew, 'xenwright lab down %s' clears it",
            name, name, name);
    case LAB_STATUS_CRASHED:
        return xw_error_set(err, ENOTCONN,
                            "lab '%s': Xen has crashed in it: 'xenwright lab log %s "
                            "--crash' shows the report, 'xenwright lab down %s' clears it",
                            name, name, name);
    case LAB_STATUS_RUNNING:
        break;
    }
    return 0;
}

int cli_lab_open_running(struct cli_call *call, size_t index, struct lab_place *place,
                         struct lab_record *record, struct xw_error *err)
{
    return cli_lab_open_running_named(cli_argument(call, index), place, record, err);
}

int cli_lab_open_running_named(const char *name, struct lab_place *place,
                               struct lab_record *record, struct xw_error *err)
{
    int rc = open_named(name, place, record, err);

    if (rc)
        return rc;
    rc = explain_not_running(record, lab_record_status(place, record), err);
    /* A switch that was killed comes back with the next command. */
    if (!rc)
        rc = lab_link_switches(place, record, err);
    if (rc) {
        lab_record_free(record);
        lab_place_close(place);
    }
    return rc;
}

static void show_step(void *opaque, const char *step, int percent)
{
    xw_progress_step(opaque, step, percent);
}

struct lab_reporter cli_lab_reporter(struct xw_progress *progress)
{
    return (struct lab_reporter){.step = show_step, .opaque = progress};
}

const struct cli_group cli_group_lab = {
    .noun = "lab",
    .purpose = "Real Xen hosts in QEMU, up in a second",
    .description =
        "A lab is a Debian system with Xen, dom0 and xl in a QEMU of its own. The first 'lab up' "
        "makes its disk from Debian packages, boots it and keeps the booted state; from then on "
        "every lab wakes from that state, as many side by side as the machine bears.",
    .commands =
        (const struct cli_command *const[]){
            &cli_lab_build,
            &cli_lab_up,
            &cli_lab_down,
            &cli_lab_list,
            &cli_lab_exec,
            &cli_lab_cp,
            &cli_lab_console,
            &cli_lab_log,
            &cli_lab_save,
            &cli_lab_restore,
            &cli_lab_states,
            &cli_lab_forget,
            &cli_lab_guest,
            &cli_lab_guest_exec,
            &cli_lab_ssh_config,
            &cli_lab_prune,
            NULL,
        },
};
