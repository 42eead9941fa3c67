/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab exec: a program in dom0, as if it ran here. */
#include "cli/lab-remote.h"

static int run_exec(struct cli_call *call, struct xw_error *err)
{
    return cli_lab_remote(call, (const char *const *)cli_arguments(call, 1), cli_flag(call, "tty"),
                          err);
}

const struct cli_command cli_lab_exec = {
    .verb = "exec",
    .purpose = "Run a command in a lab",
    .description =
        "Runs the command in dom0 as root. Its standard input, output and errors, its exit status "
        "(128 and "
        "the number for a signal) and the signals sent to this program pass through. 125 means "
        "that the "
        "lab failed, 126 that the command could not be run, 127 that there is none of that name.",
    .arguments = {.usage = "NAME -- COMMAND [ARG]...",
                  .min = 2,
                  .max = CLI_ANY,
                  .fixed = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "tty", .letter = 't', .help = "on a terminal of its own"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab exec lab -- xl list", "what runs on the host"},
            {"xenwright lab exec -t lab -- bash", "a shell in dom0"},
            {0},
        },
    .flags = CLI_PASSTHROUGH,
    .run = run_exec,
};
