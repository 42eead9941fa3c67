/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* snapshot revert, delete, rename and recover. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/domain.h"
#include "cli/operation.h"
#include "cli/snapshot.h"

#define DOMAIN_AND_SNAPSHOT                                   \
    {                                                         \
        {.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}, \
            {.kind = CLI_VALUE_CALLBACK, .list = cli_snapshot_names}, \
    }

/* Open, call, close. */
static int with_snapshots(struct cli_call *call,
                          int (*body)(struct cli_call *call, struct xw_snapshots *snapshots,
                                      struct xw_error *err),
                          struct xw_error *err)
{
    struct cli_snapshots open;
    int rc = cli_snapshots_open(&open, err);

    if (!rc)
        rc = body(call, open.snapshots, err);
    cli_snapshots_close(&open);
    return rc;
}

static void print_reverted(const struct cli_call *call, const struct xw_snapshot_reverted *reverted)
{
    const char *domain = cli_argument(call, 0);

    if (cli_flag(call, "dry-run")) {
        printf("would revert '%s' to '%s'%s\n", domain, reverted->snapshot->name,
               cli_flag(call, "discard-current") ? "" : ", and keep the present state first");
        return;
    }
    printf("'%s' is reverted to '%s'", domain, reverted->snapshot->name);
    if (reverted->kept[0])
        printf("; the state before is kept as '%s'", reverted->kept);
    if (reverted->domid >= 0)
        printf("; it %s, as domain %" PRId64,
               reverted->resumed ? "goes on from there" : "runs again", reverted->domid);
    putchar('\n');
}

static int revert(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    const struct xw_snapshot_revert how = {
        .domain = cli_argument(call, 0),
        .snapshot = cli_argument(call, 1),
        .discard_current = cli_flag(call, "discard-current"),
        .restart = cli_flag(call, "restart"),
        .no_memory = cli_flag(call, "no-memory"),
        .dry_run = cli_flag(call, "dry-run"),
    };
    struct xw_operation *operation = NULL;
    struct xw_snapshot_reverted reverted;
    int rc = xw_snapshot_revert(snapshots, &how, &reverted, &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "reverting", operation, err);
    if (rc == -ETIMEDOUT)
        cli_partly(call);
    if (!rc)
        print_reverted(call, &reverted);
    xw_operation_free(operation);
    return rc;
}

static int run_revert(struct cli_call *call, struct xw_error *err)
{
    return with_snapshots(call, revert, err);
}

const struct cli_command cli_snapshot_revert = {
    .verb = "revert",
    .purpose = "Put the disks of a VM back to a snapshot",
    .description =
        "The present state is kept as a snapshot of its own first, unless it is to be discarded. "
        "The "
        "snapshot that is reverted to stays, so that it can be reverted to again.\n\n"
        "A guest that runs is reset with --restart: xl starts it again, from the disks as they are "
        "then.",
    .arguments = {.usage = "DOMAIN SNAPSHOT", .min = 2, .max = 2, .values = DOMAIN_AND_SNAPSHOT},
    .options =
        (const struct cli_option[]){
            {.name = "discard-current", .help = "do not keep the present state"},
            {.name = "no-memory", .help = "put back the disks only, where there is memory too"},
            {.name = "restart", .help = "reset the guest if it runs"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot revert web before-upgrade --restart", "of a guest that runs"},
            {"xenwright snapshot revert /etc/xen/web.cfg before-upgrade --discard-current",
             "forget what came after"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_revert,
};

/* What a deletion would do, from the list alone. */
static int plan_delete(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    struct xw_snapshot_vm *vm = NULL;
    const struct xw_snapshot *found;
    int rc = xw_snapshot_list(snapshots, cli_argument(call, 0), &vm, err);

    if (rc)
        return rc;
    found = xw_snapshot_find(vm, cli_argument(call, 1));
    if (found)
        printf("would delete snapshot '%s' of '%s'%s\n", found->name, vm->name,
               cli_flag(call, "children") ? ", and all that descend from it" : "");
    else
        rc =
            xw_error_set(err, ENOENT, "'%s' has no snapshot '%s'", vm->name, cli_argument(call, 1));
    xw_snapshot_vm_free(vm);
    return rc;
}

static int delete(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    struct xw_operation *operation = NULL;
    int rc = xw_snapshot_delete(snapshots, cli_argument(call, 0), cli_argument(call, 1),
                                cli_flag(call, "children"), &operation, err);

    if (!rc)
        rc = cli_operation_run(call, "deleting", operation, err);
    if (!rc)
        printf("snapshot '%s' of '%s' is deleted\n", cli_argument(call, 1), cli_argument(call, 0));
    xw_operation_free(operation);
    return rc;
}

static int run_delete(struct cli_call *call, struct xw_error *err)
{
    return with_snapshots(call, cli_flag(call, "dry-run") ? plan_delete : delete, err);
}

const struct cli_command cli_snapshot_delete = {
    .verb = "delete",
    .purpose = "Delete a snapshot",
    .description =
        "What other snapshots or the present state need of it is moved there first, also while the "
        "guest runs; those that came from it then come from its parent.",
    .arguments = {.usage = "DOMAIN SNAPSHOT", .min = 2, .max = 2, .values = DOMAIN_AND_SNAPSHOT},
    .options =
        (const struct cli_option[]){
            {.name = "children", .help = "also all that descend from it"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot delete web before-upgrade", "one, whatever came from it stays"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_delete,
};

/* What a renaming would do, from the list alone. */
static int plan_rename(struct cli_call *call, struct xw_snapshots *snapshots, const char *name,
                       struct xw_error *err)
{
    const struct xw_snapshot *found, *other = NULL;
    struct xw_snapshot_vm *vm = NULL;
    int rc = xw_snapshot_list(snapshots, cli_argument(call, 0), &vm, err);

    if (rc)
        return rc;
    found = xw_snapshot_find(vm, cli_argument(call, 1));
    if (name)
        other = xw_snapshot_find(vm, name);
    if (!found)
        rc =
            xw_error_set(err, ENOENT, "'%s' has no snapshot '%s'", vm->name, cli_argument(call, 1));
    else if (other && other != found)
        rc = xw_error_set(err, EEXIST, "'%s' has a snapshot '%s' already", vm->name, name);
    else
        printf("would rename snapshot '%s' of '%s'%s%s\n", found->name, vm->name,
               name ? " to " : " as described", name ? name : "");
    xw_snapshot_vm_free(vm);
    return rc;
}

static int rename_snapshot(struct cli_call *call, struct xw_snapshots *snapshots,
                           struct xw_error *err)
{
    const char *description = cli_string(call, "description");
    const char *name = cli_argument(call, 2);

    if (!name && !description)
        return cli_misuse(call, err, "give a new name, or --description");
    if (name && xw_snapshot_name_check(name, err))
        return cli_misuse(call, err, "%s", err->message);
    if (cli_flag(call, "dry-run"))
        return plan_rename(call, snapshots, name, err);
    return xw_snapshot_rename(snapshots, cli_argument(call, 0), cli_argument(call, 1), name,
                              description, err);
}

static int run_rename(struct cli_call *call, struct xw_error *err)
{
    return with_snapshots(call, rename_snapshot, err);
}

const struct cli_command cli_snapshot_rename = {
    .verb = "rename",
    .purpose = "Give a snapshot another name or description",
    .arguments = {.usage = "DOMAIN SNAPSHOT [NAME]",
                  .min = 2,
                  .max = 3,
                  .values = DOMAIN_AND_SNAPSHOT},
    .options =
        (const struct cli_option[]){
            {.name = "description", .argument = "TEXT", .help = "what it is for"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot rename web snap-1 fresh-install", "another name"},
            {0},
        },
    .flags = CLI_CHANGES,
    .run = run_rename,
};

static int recover(struct cli_call *call, struct xw_snapshots *snapshots, struct xw_error *err)
{
    uint32_t found = 0;
    int rc;

    if (cli_flag(call, "dry-run")) {
        puts("would finish or undo what was interrupted");
        return 0;
    }
    rc = xw_snapshot_recover(snapshots, cli_argument(call, 0), &found, err);
    if (!rc && found == 0)
        puts("nothing was interrupted");
    else if (!rc)
        printf("%" PRIu32 " interrupted operations were finished or undone\n", found);
    return rc;
}

static int run_recover(struct cli_call *call, struct xw_error *err)
{
    return with_snapshots(call, recover, err);
}

const struct cli_command cli_snapshot_recover = {
    .verb = "recover",
    .purpose = "Finish or undo what was interrupted",
    .description = "Every command does this for the VM it is about; this does it for all, or one.",
    .arguments = {.usage = "[DOMAIN]",
                  .min = 0,
                  .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}}},
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot recover", "all VMs, for instance after a power cut"},
            {0},
        },
    .flags = CLI_CHANGES,
    .run = run_recover,
};
