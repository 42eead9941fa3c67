/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes one of several labs that woke from the same state an individual: clock, random
 * numbers, host name, machine id, network card, address, ssh host key.
 */
#ifndef LAB_IDENTITY_H
#define LAB_IDENTITY_H

#include "lab/record.h"
#include "lab/watch.h"

/* Choose number, MAC and ssh host key (NAME/ssh_host_ed25519_key). With the lock of all labs held.
 */
int lab_identity_choose(const struct lab_place *place, struct lab_record *record,
                        struct xw_error *err);

/* Address of the management card in QEMU's own network: "10.0.2.N". */
void lab_identity_address(const struct lab_record *record, char out[24]);

/* The private key that labs let in (made at the first use): its path below the cache. */
#define LAB_SSH_KEY "ssh/id_ed25519"

/* Set only the clock: of a lab that stood still. */
int lab_identity_set_clock(struct lab_watch *watch, struct lab_client *client,
                           struct xw_error *err);

/* Tell the running lab who it is. The watch and the client (after HELLO) are the caller's. */
int lab_identity_give(const struct lab_place *place, const struct lab_record *record,
                      struct lab_watch *watch, struct lab_client *client, struct xw_error *err);

#endif
