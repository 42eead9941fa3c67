/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `xenwright disk`. The JSON is described in docs/formats/mirror.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <xenwright/mirror.h>

#include "base/table.h"
#include "cli/domain.h"
#include "cli/keeper.h"
#include "cli/operation.h"
#include "cli/snapshot.h"

static const char *const formats[] = {"raw", "qcow2", NULL};
static const char *const actions[] = {"start", "status", "stop", NULL};

static json_t *row_of(const struct xw_mirror *mirror)
{
    uint64_t percent = mirror->total ? mirror->done * 100 / mirror->total : 0;

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:I}",
                     "domain", mirror->domain,
                     "vdev", mirror->vdev,
                     "path", mirror->path,
                     "target", mirror->target,
                     "format", mirror->format,
                     "id", mirror->id,
                     "state", xw_mirror_state_name(mirror->state),
                     "done", (json_int_t)mirror->done,
                     "total", (json_int_t)mirror->total,
                     "percent", (json_int_t)percent,
                     "limit", (json_int_t)mirror->limit,
                     "kept", mirror->kept,
                     "age", (json_int_t)(time(NULL) - mirror->created_ms / 1000));
}

static int show(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {"DOMAIN", "domain", XW_COLUMN_TEXT, false},
        {"VDEV", "vdev", XW_COLUMN_TEXT, false},
        {"STATE", "state", XW_COLUMN_TEXT, false},
        {"PERCENT", "percent", XW_COLUMN_NUMBER, false},
        {"COPIED", "done", XW_COLUMN_SIZE, false},
        {"TARGET", "target", XW_COLUMN_TEXT, true},
    };
    struct xw_mirror *mirrors;
    json_t *rows;
    int rc = xw_mirror_list(snapshots, cli_argument(call, 1), cli_argument(call, 2), &mirrors, err);

    if (rc)
        return rc;
    rows = json_array();
    for (const struct xw_mirror *mirror = mirrors; mirror; mirror = mirror->next)
        json_array_append_new(rows, row_of(mirror));
    xw_mirror_free(mirrors);
    return cli_show_rows(call, columns, sizeof(columns) / sizeof(columns[0]), rows, err);
}

/* As it is by now. */
static int show_one(struct cli_call *call, struct xw_snapshots *snapshots,
                    const struct xw_mirror *mirror, struct xw_error *err)
{
    struct xw_mirror *now;
    int rc = xw_mirror_list(snapshots, mirror->domain, mirror->vdev, &now, err);
    json_t *row = rc ? NULL : row_of(now ? now : mirror);

    if (rc)
        return rc;
    xw_mirror_free(now);
    return cli_show_json(call, row, err);
}

static void print_started(const struct cli_call *call, const struct xw_mirror_started *started)
{
    const struct xw_mirror *mirror = started->mirror;
    const char *what = "is being mirrored";

    if (cli_flag(call, "dry-run"))
        what = "would be mirrored";
    else if (cli_flag(call, "wait"))
        what = "is mirrored, in step,";
    else if (started->running)
        what = "is being mirrored already";
    printf("disk %s of '%s' %s to '%s'%s\n", mirror->vdev, mirror->domain, what, mirror->target,
           started->again ? "; an earlier mirror to it had ended, so all is copied again" : "");
}

/* Waiting is a second operation, when somebody looks after the link already. */
static int wait_for(struct cli_call *call, struct xw_snapshots *snapshots,
                    const struct xw_mirror_start *how, struct xw_error *err)
{
    struct xw_mirror_start wait = *how;
    struct xw_operation *operation = NULL;
    int rc;

    wait.wait = true;
    rc = xw_mirror_start(snapshots, &wait, NULL, &operation, err);
    if (!rc)
        rc = cli_operation_run(call, "mirroring", operation, err);
    xw_operation_free(operation);
    return rc;
}

static int run_start(struct cli_call *call, struct xw_snapshots *snapshots,
                     const struct xw_mirror_start *how, struct xw_operation *operation,
                     struct xw_mirror_started *started, struct xw_error *err)
{
    int rc = cli_operation_run(call, "mirroring", operation, err);

    if (!rc && started->remote && !how->dry_run)
        rc = cli_keeper_start(started->mirror->id, err);
    if (!rc && cli_flag(call, "wait") && !how->dry_run)
        rc = wait_for(call, snapshots, how, err);
    if (rc)
        return rc;
    if (cli_flag(call, "json"))
        return show_one(call, snapshots, started->mirror, err);
    print_started(call, started);
    return 0;
}

static int start(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    struct xw_mirror_start how = {
        .domain = cli_argument(call, 1),
        .vdev = cli_argument(call, 2),
        .target = cli_argument(call, 3),
        .format = cli_string(call, "format"),
        .dry_run = cli_flag(call, "dry-run"),
    };
    struct xw_operation *operation = NULL;
    struct xw_mirror_started started;
    int rc = cli_size(call, "bandwidth", &how.limit, err);

    if (!rc && how.limit > INT64_MAX)
        rc = cli_misuse(call, err, "--bandwidth is too large");
    if (!rc)
        rc = xw_mirror_start(snapshots, &how, &started, &operation, err);
    if (!rc)
        rc = run_start(call, snapshots, &how, operation, &started, err);
    xw_operation_free(operation);
    return rc;
}

/* A target that was named has to be that of the mirror. */
static int check_target(struct xw_snapshots *snapshots, const char *domain, const char *vdev,
                        const char *target, struct xw_error *err)
{
    struct xw_mirror *mirrors;
    int rc = target ? xw_mirror_list(snapshots, domain, vdev, &mirrors, err) : 0;

    if (rc || !target)
        return rc;
    if (mirrors && strcmp(mirrors->target, target) != 0)
        rc = xw_error_set(err, ENOENT, "disk %s of '%s' is mirrored to '%s', not to '%s'", vdev,
                          domain, mirrors->target, target);
    xw_mirror_free(mirrors);
    return rc;
}

static int stop(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    const char *domain = cli_argument(call, 1), *vdev = cli_argument(call, 2);
    bool whole = false;
    int rc = check_target(snapshots, domain, vdev, cli_argument(call, 3), err);

    if (rc)
        return rc;
    if (cli_flag(call, "dry-run")) {
        printf("would end the mirror of disk %s of '%s'\n", vdev, domain);
        return 0;
    }
    rc = xw_mirror_stop(snapshots, domain, vdev, cli_flag(call, "abandon"), &whole, err);
    if (rc)
        return rc;
    if (cli_flag(call, "json"))
        return cli_show_json(call, json_pack("{s:b}", "whole", whole), err);
    printf("the mirror of disk %s of '%s' is ended: %s\n", vdev, domain,
           whole ? "the target is a whole copy" : "the target is not a whole copy");
    return 0;
}

static int check_words(struct cli_call *call, const char *action, struct xw_error *err)
{
    size_t count = cli_argument_count(call);
    bool starts = !strcmp(action, "start");

    if (starts && count != 4)
        return cli_misuse(call, err, "start takes DOMAIN VDEV TARGET");
    if (!strcmp(action, "stop") && count != 3 && count != 4)
        return cli_misuse(call, err, "stop takes DOMAIN VDEV, and may take TARGET");
    if (!strcmp(action, "status") && count > 3)
        return cli_misuse(call, err, "status takes DOMAIN and VDEV at most");
    if (!starts &&
        (cli_flag(call, "wait") || cli_flag(call, "bandwidth") || cli_flag(call, "format")))
        return cli_misuse(call, err, "--wait, --bandwidth and --format are of use with start only");
    if (cli_flag(call, "abandon") && strcmp(action, "stop") != 0)
        return cli_misuse(call, err, "--abandon is of use with stop only");
    return 0;
}

static int run_mirror(struct cli_call *call, struct xw_error *err)
{
    static int (*const runs[])(struct cli_call *, struct xw_snapshots *,
                               struct xw_error *) = {start, show, stop};
    const char *action = cli_argument(call, 0);
    struct cli_snapshots open;
    size_t i = 0;
    int rc;

    while (actions[i] && strcmp(actions[i], action) != 0)
        i++;
    if (!actions[i])
        return cli_misuse(call, err, "'%s' is none of start, status, stop", action);
    rc = check_words(call, action, err);
    if (rc)
        return rc;
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = runs[i](call, open.snapshots, err);
    cli_snapshots_close(&open);
    return rc;
}

static const struct cli_command mirror = {
    .verb = "mirror",
    .purpose = "Keep a copy of a running guest's disk, in step with it",
    .description =
        "start: all of the disk is copied to TARGET, a file here or HOST:PATH through ssh, and "
        "then "
        "whatever the guest writes. The guest never waits for the target; where that cannot be "
        "written to for a while, what changed meanwhile is copied later.\n\n"
        "status: the mirrors of this host, of a domain or of a disk.\n\n"
        "stop: the target becomes a whole copy of the disk as it is at that moment.",
    .arguments = {.usage = "start|status|stop [DOMAIN [VDEV [TARGET]]]",
                  .min = 1,
                  .max = 4,
                  .values = {{.kind = CLI_VALUE_WORDS, .words = actions},
                             {.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names},
                             {.kind = CLI_VALUE_NONE},
                             {.kind = CLI_VALUE_FILE}}},
    .options =
        (const struct cli_option[]){
            {.name = "wait", .letter = 'w', .help = "start: until it is in step"},
            {.name = "bandwidth",
             .letter = 'b',
             .argument = "SIZE",
             .help = "start: copy no more than this in a second"},
            {.name = "format",
             .letter = 'f',
             .argument = "FORMAT",
             .help = "start: of the image at the target: raw or qcow2; else that of the disk",
             .value = {.kind = CLI_VALUE_WORDS, .words = formats}},
            {.name = "abandon", .help = "stop: also where it is not in step"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright disk mirror start web xvda /backup/web.qcow2", "to a file"},
            {"xenwright disk mirror start web xvda backup:/srv/web.qcow2 --bandwidth 20M --wait",
             "to another host, at most 20 MiB per second, until it is in step"},
            {"xenwright disk mirror status", "all there are, and how far they are"},
            {"xenwright disk mirror stop web xvda", "the target is a copy of its own from then on"},
            {0},
        },
    .flags = CLI_SHOWS | CLI_CHANGES | CLI_LONG,
    .run = run_mirror,
};

const struct cli_group cli_group_disk = {
    .noun = "disk",
    .purpose = "Disks of running guests",
    .description = "What is done to the disks of guests while they run.",
    .commands = (const struct cli_command *const[]){&mirror, NULL},
};
