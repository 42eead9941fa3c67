/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab list, lab down. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/table.h"
#include "cli/lab.h"

/*
 * One lab as a row. One without a record is just being made, or else, like one whose record cannot
 * be read, damaged: then there is only its name.
 */
static json_t *row_of(const struct lab_place *place, const char *name)
{
    struct lab_record record;
    enum lab_status status;
    int rc;
    json_t *row, *networks = json_array(), *link;
    size_t i;

    rc = lab_record_read(place, name, &record, NULL);
    if (rc)
        return json_pack("{s:s, s:s, s:o}", "name", name, "status",
                         rc == -ENOENT && lab_is_held(place, name) ? "starting" : "damaged",
                         "networks", networks);
    status = lab_record_status(place, &record);
    json_array_foreach (record.links, i, link)
        json_array_append(networks, json_object_get(link, "network"));
    row = json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:s?}", "name", name, "status",
                    lab_status_name(status), "release", record.release, "cpus",
                    (int)record.machine.cpus, "memory", (json_int_t)record.machine.memory << 20,
                    "networks", networks, "restored_from", record.tag[0] ? record.tag : NULL);
    if (record.pid) {
        json_object_set_new(row, "pid", json_integer(record.pid));
        json_object_set_new(row, "uptime", json_integer(time(NULL) - record.started));
    }
    lab_record_free(&record);
    return row;
}

static int run_list(struct cli_call *call, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {.header = "NAME", .key = "name"},
        {.header = "STATUS", .key = "status"},
        {.header = "RELEASE", .key = "release"},
        {.header = "CPUS", .key = "cpus", .kind = XW_COLUMN_NUMBER},
        {.header = "MEMORY", .key = "memory", .kind = XW_COLUMN_SIZE},
        {.header = "UP", .key = "uptime", .kind = XW_COLUMN_SECONDS},
        {.header = "NETWORKS", .key = "networks", .cut = true},
    };
    struct lab_place place;
    json_t *rows = json_array();
    char **names;
    int rc = lab_place_open(&place, err);

    if (!rc)
        rc = lab_put_right_all(&place, err);
    if (!rc)
        rc = lab_names(&place, &names, err);
    if (!rc) {
        for (char **name = names; *name; name++)
            json_array_append_new(rows, row_of(&place, *name));
        lab_names_free(names);
        rc = cli_show_rows(call, columns, sizeof(columns) / sizeof(columns[0]), rows, err);
    } else {
        json_decref(rows);
    }
    lab_place_close(&place);
    return rc;
}

const struct cli_command cli_lab_list = {
    .verb = "list",
    .purpose = "List the labs",
    .description =
        "A lab is 'running', 'starting', 'down' (only saved states are left), 'crashed' (Xen is "
        "dead) "
        "or 'dead' (its QEMU was killed). What a killed command left half done is put right.",
    .arguments = {.usage = "", .min = 0, .max = 0},
    .examples =
        (const struct cli_example[]){
            {"xenwright lab list --json", "the same for programs"},
            {0},
        },
    .flags = CLI_SHOWS,
    .run = run_list,
};

/* Take down every lab; goes on where one cannot be, and says which. */
static int down_all(struct cli_call *call, const struct lab_place *place, struct xw_error *err)
{
    struct xw_error first = XW_ERROR_INIT;
    size_t failed = 0, done = 0;
    char **names;
    int rc = cli_flag(call, "dry-run") ? 0 : lab_put_right_all(place, err);

    if (!rc)
        rc = lab_names(place, &names, err);
    if (rc)
        return rc;
    for (char **name = names; *name; name++) {
        if (cli_flag(call, "dry-run")) {
            printf("would take down lab '%s'\n", *name);
        } else if (lab_down(place, *name, failed ? NULL : &first)) {
            failed++;
        } else {
            printf("lab '%s' is down\n", *name);
            done++;
        }
    }
    lab_names_free(names);
    if (failed == 0)
        return 0;
    if (done)
        cli_partly(call);
    return xw_error_set(err, first.code, "%s%s", first.message, failed > 1 ? " (and others)" : "");
}

static int run_down(struct cli_call *call, struct xw_error *err)
{
    const char *name = cli_argument(call, 0);
    bool dry_run = cli_flag(call, "dry-run");
    struct lab_place place;
    int rc;

    if (cli_flag(call, "all") == (name != NULL))
        return cli_misuse(call, err, "name a lab, or give --all");
    rc = lab_place_open(&place, err);
    if (rc)
        return rc;
    if (!name)
        rc = down_all(call, &place, err);
    else
        rc = dry_run ? lab_check_known(&place, name, err) : lab_down(&place, name, err);
    if (!rc && name)
        printf(dry_run ? "would take down lab '%s'\n" : "lab '%s' is down\n", name);
    lab_place_close(&place);
    return rc;
}

const struct cli_command cli_lab_down = {
    .verb = "down",
    .purpose = "End labs",
    .description =
        "Ends the lab's QEMU at once, as if its power was cut. What was changed in the lab since "
        "it came "
        "up is forgotten, except for its saved states: with these the lab stays in the list.",
    .arguments = {.usage = "[NAME]",
                  .min = 0,
                  .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "all", .letter = 'a', .help = "end all labs"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab down a", "end lab 'a'"},
            {"xenwright lab down --all", "end them all"},
            {0},
        },
    .flags = CLI_CHANGES,
    .run = run_down,
};
