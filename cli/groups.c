/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command groups of the program, in the order of help, and its services. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <xenwright/mirror.h>

#include "cli/command.h"
#include "cli/keeper.h"
#include "lab/hub.h"

extern const struct cli_group cli_group_disk;
extern const struct cli_group cli_group_lab;
extern const struct cli_group cli_group_snapshot;
extern const struct cli_group cli_group_vm;
extern const struct cli_group cli_group_xl;

const struct cli_group *const cli_groups[] = {
    &cli_group_disk,
    &cli_group_lab,
    &cli_group_snapshot,
    &cli_group_vm,
    &cli_group_xl,
    NULL,
};

/* The switch of a network; lab_hub_ensure() starts it in the folder of the labs. */
static int run_hub(const char *network, struct xw_error *err)
{
    int labs = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (labs < 0)
        return xw_error_set_errno(err, "the folder of labs");
    return lab_hub_run(labs, network, STDOUT_FILENO, LAB_HUB_GRACE_MS, err);
}

const struct cli_service cli_services[] = {
    {"__hub", run_hub},
    {"__migrate", xw_migrate_connect},
    {"__mirror", cli_keeper_run},
    {NULL, NULL},
};
