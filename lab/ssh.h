/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ssh into labs, for the tools that want it. */
#ifndef LAB_SSH_H
#define LAB_SSH_H

#include "lab/record.h"

/*
 * Have a port of 127.0.0.1 forwarded to sshd in the running lab: the one there is, or a free one.
 * *ret_port: 1…65535.
 */
int lab_ssh_forward(const struct lab_place *place, const struct lab_record *record, int *ret_port,
                    struct xw_error *err);

/* Write NAME/known_hosts for the lab's host key under the alias "NAME.xenwright". */
int lab_ssh_known_hosts(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err);

#endif
