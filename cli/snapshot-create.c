/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/domain.h"
#include "cli/operation.h"
#include "cli/snapshot.h"

#define MOST_DISKS 256
#define MOST_AGENT_SECONDS 3600

static const char *const quiesce_words[] = {[XW_QUIESCE_PAUSE] = "pause",
                                            [XW_QUIESCE_NONE] = "none",
                                            [XW_QUIESCE_SUSPEND] = "suspend",
                                            [XW_QUIESCE_AGENT] = "agent",
                                            NULL};

static enum xw_quiesce quiesce_of(const struct cli_call *call)
{
    const char *word = cli_string(call, "quiesce");
    size_t i = 0;

    while (word && strcmp(quiesce_words[i], word) != 0)
        i++;
    return (enum xw_quiesce)i;
}

static void print_disks(const struct xw_snapshot *snapshot)
{
    for (const struct xw_snapshot_disk *disk = snapshot->disks; disk; disk = disk->next)
        printf("%s%s (%s)", disk == snapshot->disks ? "" : ", ", disk->vdev, disk->store);
}

static void print_made(const struct cli_call *call, const struct xw_snapshot *snapshot)
{
    if (cli_flag(call, "dry-run")) {
        printf("would make snapshot '%s' of '%s': ", snapshot->name, cli_argument(call, 0));
        print_disks(snapshot);
        putchar('\n');
        return;
    }
    printf("snapshot '%s' of '%s' is made: ", snapshot->name, cli_argument(call, 0));
    print_disks(snapshot);
    if (snapshot->standstill_us >= 0)
        printf("; the guest stood still for %.1f ms", (double)snapshot->standstill_us / 1000);
    putchar('\n');
}

static int create(struct cli_call *call, struct xw_snapshots *snapshots,
                  const struct xw_snapshot_create *how, struct xw_error *err)
{
    struct xw_operation *operation = NULL;
    struct xw_snapshot_made made;
    int rc = xw_snapshot_create(snapshots, how, &made, &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "making a snapshot", operation, err);
    if (!rc)
        print_made(call, made.snapshot);
    xw_operation_free(operation);
    return rc;
}

static int run_create(struct cli_call *call, struct xw_error *err)
{
    const char *vdevs[MOST_DISKS + 1] = {NULL};
    struct xw_snapshot_create how = {
        .domain = cli_argument(call, 0),
        .name = cli_argument(call, 1),
        .description = cli_string(call, "description"),
        .quiesce = quiesce_of(call),
        .memory = cli_flag(call, "memory"),
        .stop_copy = cli_flag(call, "no-live"),
        .dry_run = cli_flag(call, "dry-run"),
        .internal = cli_flag(call, "internal"),
    };
    struct cli_snapshots open;
    size_t disks = cli_count(call, "disk");
    uint64_t seconds = 0;
    int rc;

    if (disks > MOST_DISKS)
        return cli_misuse(call, err, "more than %d disks", MOST_DISKS);
    for (size_t i = 0; i < disks; i++)
        vdevs[i] = cli_strings(call, "disk", i);
    how.vdevs = disks ? vdevs : NULL;
    rc = cli_number(call, "agent-timeout", 1, MOST_AGENT_SECONDS, &seconds, err);
    if (rc)
        return rc;
    if (seconds && how.quiesce != XW_QUIESCE_AGENT)
        return cli_misuse(call, err, "--agent-timeout is of use with --quiesce agent only");
    how.agent_timeout_ms = (int)seconds * 1000;
    if (how.memory && how.quiesce != XW_QUIESCE_PAUSE)
        return cli_misuse(call, err, "--memory suspends the guest: leave out --quiesce");
    if (how.stop_copy && !how.memory)
        return cli_misuse(call, err, "--no-live is of use with --memory only");
    if (how.name && xw_snapshot_name_check(how.name, err))
        return cli_misuse(call, err, "%s", err->message);
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = create(call, open.snapshots, &how, err);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_snapshot_create = {
    .verb = "create",
    .purpose = "Keep the disks of a VM as they are now",
    .description =
        "All disks that can be written are kept, at one point in time, or none. A guest that runs "
        "stands still for that moment; how long is printed.",
    .arguments = {.usage = "DOMAIN [NAME]",
                  .min = 1,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "disk",
             .letter = 'd',
             .argument = "VDEV",
             .flags = CLI_REPEAT,
             .help = "keep this disk, in place of all"},
            {.name = "internal", .help = "inside of qcow2 images, of a VM that is off"},
            {.name = "memory", .letter = 'm', .help = "keep the guest's memory too"},
            {.name = "no-live",
             .help = "with --memory: the guest stands still while it is written"},
            {.name = "quiesce",
             .letter = 'q',
             .argument = "HOW",
             .help =
                 "how a running guest is brought to one point: pause (default), none, suspend or "
                 "agent",
             .value = {.kind = CLI_VALUE_WORDS, .words = quiesce_words}},
            {.name = "agent-timeout",
             .argument = "SECONDS",
             .help = "with --quiesce agent: how long that has to freeze file systems (default 30)"},
            {.name = "description", .argument = "TEXT", .help = "what it is for"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot create web before-upgrade", "of a running guest, by its name"},
            {"xenwright snapshot create /etc/xen/web.cfg", "of one that does not run"},
            {"xenwright snapshot create web --memory", "one that it can be resumed from"},
            {"xenwright snapshot create web --quiesce agent", "one whose file systems are whole"},
            {"xenwright snapshot create web --disk xvdb --description 'the database'",
             "of one of its disks"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_create,
};
