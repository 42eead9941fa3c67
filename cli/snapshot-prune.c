/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/domain.h"
#include "cli/operation.h"
#include "cli/snapshot.h"

/* "90", "30m", "12h", "7d", "4w": in milliseconds. */
static int parse_age(struct cli_call *call, const char *text, int64_t *ret, struct xw_error *err)
{
    static const struct {
        const char *unit;
        int64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) != 0 || text[0] < '0' || text[0] > '9' || number > 1000000)
            continue;
        *ret = (int64_t)number * units[i].seconds * 1000;
        return 0;
    }
    return cli_misuse(call, err,
                      "'%.40s' is no age: give a number up to 1000000 with s, m, h, d or w, "
                      "as in '7d'",
                      text);
}

/* What is to go: all but the newest `keep`, of those that are older than `age_ms`. */
struct rule {
    uint64_t keep;
    int64_t age_ms; /* 0: of any age */
    int64_t now_ms;
};

static size_t count(const struct xw_snapshot *snapshots)
{
    size_t n = 0;

    for (; snapshots; snapshots = snapshots->next)
        n++;
    return n;
}

static bool is_to_go(const struct xw_snapshot *snapshot, const struct rule *rule)
{
    /* A clock that was set back makes snapshots of the future: they are new. */
    return count(snapshot->next) >= rule->keep &&
           (rule->age_ms == 0 || rule->now_ms - snapshot->created_ms >= rule->age_ms);
}

static int delete_one(struct cli_call *call, struct xw_snapshots *snapshots, const char *domain,
                      const struct xw_snapshot *snapshot, struct xw_error *err)
{
    struct xw_operation *operation = NULL;
    int rc = 0;

    if (!cli_flag(call, "dry-run")) {
        rc = xw_snapshot_delete(snapshots, domain, snapshot->id, false, &operation, err);
        if (!rc)
            rc = cli_operation_run(call, "deleting", operation, err);
        xw_operation_free(operation);
    }
    if (!rc)
        printf(cli_flag(call, "dry-run") ? "would delete snapshot '%s' of '%s'\n"
                                         : "snapshot '%s' of '%s' is deleted\n",
               snapshot->name, domain);
    return rc;
}

/* From old to new: what the newest need is moved to them step by step. */
static int prune(struct cli_call *call, struct xw_snapshots *snapshots, const struct rule *rule,
                 struct xw_error *err)
{
    const char *domain = cli_argument(call, 0);
    struct xw_snapshot_vm *vm = NULL;
    size_t gone = 0;
    int rc = xw_snapshot_list(snapshots, domain, &vm, err);

    if (rc)
        return rc;
    for (const struct xw_snapshot *at = vm->snapshots; at && !rc; at = at->next) {
        if (!is_to_go(at, rule))
            continue;
        rc = delete_one(call, snapshots, domain, at, err);
        gone += !rc;
    }
    if (rc && gone)
        cli_partly(call);
    if (!rc && !gone)
        puts("nothing is to be deleted");
    xw_snapshot_vm_free(vm);
    return rc;
}

static int run_prune(struct cli_call *call, struct xw_error *err)
{
    const char *older = cli_string(call, "older");
    struct rule rule = {0};
    struct cli_snapshots open;
    struct timespec now;
    int rc = cli_number(call, "keep", 0, UINT32_MAX, &rule.keep, err);

    clock_gettime(CLOCK_REALTIME, &now);
    rule.now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (!rc && !older && !cli_string(call, "keep"))
        return cli_misuse(call, err, "say which: --keep N, --older AGE, or both");
    if (!rc && older)
        rc = parse_age(call, older, &rule.age_ms, err);
    if (rc)
        return rc;
    rc = cli_snapshots_open(&open, err);
    if (!rc)
        rc = prune(call, open.snapshots, &rule, err);
    cli_snapshots_close(&open);
    return rc;
}

const struct cli_command cli_snapshot_prune = {
    .verb = "prune",
    .purpose = "Delete old snapshots",
    .description = "With both options, those go that neither of them keeps.",
    .arguments = {.usage = "DOMAIN",
                  .min = 1,
                  .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "keep", .argument = "N", .help = "keep the N newest"},
            {.name = "older",
             .argument = "AGE",
             .help = "delete those older than AGE: 12h, 7d, 4w"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright snapshot prune web --keep 7", "all but the last seven"},
            {"xenwright snapshot prune web --older 4w --keep 3",
             "old ones, but never the last three"},
            {0},
        },
    .flags = CLI_CHANGES | CLI_LONG,
    .run = run_prune,
};
