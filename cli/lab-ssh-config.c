/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab ssh-config: how ssh, scp, rsync and ansible reach a lab. */
#include <stdio.h>

#include "cli/lab.h"
#include "lab/ssh.h"

static int run_ssh_config(struct cli_call *call, struct xw_error *err)
{
    struct lab_place place;
    struct lab_record record;
    int port = 0;
    int rc = cli_lab_open_running(call, 0, &place, &record, err);

    if (rc)
        return rc;
    rc = lab_ssh_forward(&place, &record, &port, err);
    if (!rc)
        rc = lab_ssh_known_hosts(&place, &record, err);
    if (!rc)
        printf("Host %s\n    HostName 127.0.0.1\n    Port %d\n    User root\n    IdentityFile "
               "\"%s/" LAB_SSH_KEY "\"\n    IdentitiesOnly yes\n    HostKeyAlias %s.xenwright\n    "
                                   "UserKnownHostsFile \"%s/labs/%s/"
               "known_hosts\"\n",
               record.name, port, place.path, record.name, place.path, record.name);
    lab_record_free(&record);
    lab_place_close(&place);
    return rc;
}

const struct cli_command cli_lab_ssh_config = {
    .verb = "ssh-config",
    .purpose = "Print how ssh reaches a lab",
    .description =
        "Forwards a free port of this machine to sshd in the lab, and prints a section for ssh's "
        "configuration. Each lab has a host key of its own.",
    .arguments = {.usage = "NAME", .min = 1, .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names}}},
    .examples = (const struct cli_example[]){
        {"xenwright lab ssh-config lab", "to be kept in a file for 'ssh -F FILE lab'"},
        {0},
    },
    .run = run_ssh_config,
};
