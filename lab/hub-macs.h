/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a switch has learnt: behind which port an Ethernet address is; for lab/hub*.c. */
#ifndef XW_LAB_HUB_MACS_H
#define XW_LAB_HUB_MACS_H

#include <stdint.h>

#define LAB_HUB_MACS 1024

/* As long as 802.1D recommends (table 7-5). */
#define LAB_HUB_MAC_AGE_MS 300000

struct lab_hub_mac {
    uint8_t address[6];
    int port; /* below 0: unused */
    int64_t seen_ms;
};

struct lab_hub_macs {
    struct lab_hub_mac at[LAB_HUB_MACS];
};

void lab_hub_macs_init(struct lab_hub_macs *macs);

/* The address sends from this port now. Group addresses are not learnt. */
void lab_hub_macs_learn(struct lab_hub_macs *macs, const uint8_t address[6], int port,
                        int64_t now_ms);

/* The port to send to; below 0: all (a group address, or one not seen for a while). */
int lab_hub_macs_find(const struct lab_hub_macs *macs, const uint8_t address[6], int64_t now_ms);

/* Nobody is behind the port any more. */
void lab_hub_macs_forget(struct lab_hub_macs *macs, int port);

#endif
