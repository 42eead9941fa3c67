/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `xenwright xl`: its verbs in xl itself. The JSON is described in docs/formats/xl-json.md. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "xl/divert.h"
#include "xl/paths.h"
#include "xl/verbs.h"

/* As dpkg has it, for maintainer scripts and for whoever makes images of hosts. */
static const char *root_folder(void)
{
    const char *root = getenv("DPKG_ROOT");

    return root ? root : "";
}

static int plan(bool enable, struct xl_plan *ret, struct xw_error *err)
{
    struct xl_state state;
    int rc = xl_state_read(root_folder(), &state, err);

    if (!rc && enable)
        rc = xl_plan_enable(root_folder(), &state, ret, err);
    else if (!rc)
        xl_plan_disable(&state, ret);
    return rc;
}

static int change(struct cli_call *call, bool enable, struct xw_error *err)
{
    bool dry_run = cli_flag(call, "dry-run");
    struct xl_plan done = {0};
    int rc = dry_run  ? plan(enable, &done, err)
             : enable ? xl_enable(root_folder(), &done, err)
                      : xl_disable(root_folder(), &done, err);

    if (rc)
        return rc;
    if (!done.count)
        printf("nothing to do: xl %s Xenwright's verbs\n", enable ? "has" : "is without");
    else if (!dry_run)
        printf("xl %s Xenwright's verbs%s\n", enable ? "now has" : "is again without",
               enable ? ": see 'xl help'" : "");
    for (size_t i = 0; i < done.count && dry_run; i++)
        printf("would %s\n", xl_step_text(done.steps[i]));
    return 0;
}

static int run_enable(struct cli_call *call, struct xw_error *err)
{
    return change(call, true, err);
}

static const struct cli_command command_enable = {
    .verb = "enable",
    .purpose = "Let xl have Xenwright's verbs",
    .description =
        "A small program takes the name /usr/sbin/xl, by a diversion of dpkg, so that it stays "
        "over "
        "upgrades of Xen's packages. It runs xenwright for the verbs that 'xl help' shows at its "
        "end, and the real xl for all else, with everything as it was given.\n\n"
        "What was interrupted is finished by another call.",
    .examples =
        (const struct cli_example[]){
            {"xenwright xl enable", "from here on 'xl snapshot-create web' works"},
            {"xenwright xl enable --dry-run", "say what would be changed"},
            {0},
        },
    .flags = CLI_CHANGES,
    .run = run_enable,
};

static int run_disable(struct cli_call *call, struct xw_error *err)
{
    return change(call, false, err);
}

static const struct cli_command command_disable = {
    .verb = "disable",
    .purpose = "Leave xl as its own package has it",
    .description = "Undoes 'enable'. The removal of the package xenwright does the same.",
    .examples =
        (const struct cli_example[]){
            {"xenwright xl disable", "xl is the real one again"},
            {0},
        },
    .flags = CLI_CHANGES,
    .run = run_disable,
};

static const char *const summaries[] = {
    [XL_SUMMARY_ENABLED] = "enabled",
    [XL_SUMMARY_DISABLED] = "disabled",
    [XL_SUMMARY_HALF] = "half-made",
    [XL_SUMMARY_NO_REAL] = "no-real-xl",
};

static const char *const advice[] = {
    [XL_SUMMARY_ENABLED] = "enabled: xl has the verbs below; the real xl is " XL_REAL,
    [XL_SUMMARY_DISABLED] = "disabled: xl is as its own package has it",
    [XL_SUMMARY_HALF] = "half-made: run 'xenwright xl enable' or 'disable' to finish it",
    [XL_SUMMARY_NO_REAL] = "no real xl at " XL_REAL
                           ": install xen-utils-common (again), or run 'xenwright xl disable'",
};

static json_t *verbs_json(void)
{
    json_t *verbs = json_array();

    for (const struct xl_verb *at = xl_verbs; at->verb; at++)
        json_array_append_new(verbs,
                              json_pack("{s:s, s:s?, s:s, s:s?}", "verb", at->verb, "option",
                                        at->option, "noun", at->words[0], "command", at->words[1]));
    return verbs;
}

static int show_json(struct cli_call *call, const struct xl_state *state, struct xw_error *err)
{
    bool ours = state->diversion == XL_DIVERSION_OURS;

    return cli_show_json(call,
                         json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:o}", "state",
                                   summaries[xl_state_summary(state)], "xl", XL_NAME, "real",
                                   state->has_real && (ours || state->is_ours) ? XL_REAL
                                   : state->is_there && !state->is_ours        ? XL_NAME
                                                                               : NULL,
                                   "diverted_by", state->by[0] ? state->by : NULL, "diverted_to",
                                   ours ? XL_REAL : NULL, "verbs", verbs_json()),
                         err);
}

static int run_status(struct cli_call *call, struct xw_error *err)
{
    struct xl_state state;
    int rc = xl_state_read(root_folder(), &state, err);

    if (rc || cli_flag(call, "json"))
        return rc ? rc : show_json(call, &state, err);
    puts(advice[xl_state_summary(&state)]);
    for (const struct xl_verb *at = xl_verbs; at->verb; at++)
        printf("  xl %s%s%s: xenwright %s%s%s\n", at->verb, at->option ? " " : "",
               at->option ? at->option : "", at->words[0], at->words[1] ? " " : "",
               at->words[1] ? at->words[1] : "");
    return 0;
}

static const struct cli_command command_status = {
    .verb = "status",
    .purpose = "Tell whether xl has Xenwright's verbs",
    .examples =
        (const struct cli_example[]){
            {"xenwright xl status", "and which verbs those are"},
            {"xenwright xl status --json", "the same for programs"},
            {0},
        },
    .flags = CLI_SHOWS,
    .run = run_status,
};

const struct cli_group cli_group_xl = {
    .noun = "xl",
    .purpose = "Xenwright's verbs in xl itself",
    .description =
        "For those whose hands, or scripts, type 'xl'. Nothing changes before 'enable' is "
        "asked for.",
    .commands =
        (const struct cli_command *const[]){
            &command_enable,
            &command_disable,
            &command_status,
            NULL,
        },
};
