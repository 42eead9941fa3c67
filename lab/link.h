/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Networks between labs, and the disks a user adds: chosen before the start, plugged in after it.
 *
 * A network is a switch of its own (lab/hub.h). In dom0 the network card of network NET is a port
 * of the bridge "br-NET", so guests reach it too; dom0 has the address 10.77.K.N there, where K
 * comes from the network's name and N is the lab's number.
 */
#ifndef LAB_LINK_H
#define LAB_LINK_H

#include "lab/record.h"

/* Longest name of a network: a bridge's name has 15 letters at most. */
#define LAB_NETWORK_MAX 12

/* Fill record->links. -EINVAL for a name that cannot be one, -E2BIG for too many. */
int lab_link_choose(struct lab_record *record, const char *const *networks, struct xw_error *err);

/* Plug disks and network cards into the running lab, start switches, join the networks. */
int lab_link_plug(const struct lab_place *place, const struct lab_record *record,
                  struct xw_error *err);

/* Start the switches that the record's links need, where they do not run. */
int lab_link_switches(const struct lab_place *place, const struct lab_record *record,
                      struct xw_error *err);

#endif
