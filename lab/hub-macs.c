/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hash table of fixed size. Where a row is full, the address not seen for longest goes. */
#include "lab/hub-macs.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ROW 8u /* entries in which an address may be */

void lab_hub_macs_init(struct lab_hub_macs *macs)
{
    for (size_t i = 0; i < LAB_HUB_MACS; i++)
        macs->at[i].port = -1;
}

static bool is_group(const uint8_t address[6])
{
    return address[0] & 1;
}

/* Where the row of an address begins: FNV-1a, of which the low bits are good enough. */
static size_t row_of(const uint8_t address[6])
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < 6; i++)
        hash = (hash ^ address[i]) * 16777619u;
    return hash % (LAB_HUB_MACS / ROW) * ROW;
}

void lab_hub_macs_learn(struct lab_hub_macs *macs, const uint8_t address[6], int port,
                        int64_t now_ms)
{
    struct lab_hub_mac *row = &macs->at[row_of(address)];
    struct lab_hub_mac *best = row;

    if (is_group(address))
        return;
    for (size_t i = 0; i < ROW; i++) {
        if (row[i].port >= 0 && memcmp(row[i].address, address, 6) == 0) {
            best = &row[i];
            break;
        }
        if (best->port >= 0 && (row[i].port < 0 || row[i].seen_ms < best->seen_ms))
            best = &row[i];
    }
    memcpy(best->address, address, 6);
    best->port = port;
    best->seen_ms = now_ms;
}

int lab_hub_macs_find(const struct lab_hub_macs *macs, const uint8_t address[6], int64_t now_ms)
{
    const struct lab_hub_mac *row = &macs->at[row_of(address)];

    if (is_group(address))
        return -1;
    for (size_t i = 0; i < ROW; i++)
        if (row[i].port >= 0 && memcmp(row[i].address, address, 6) == 0)
            return now_ms - row[i].seen_ms < LAB_HUB_MAC_AGE_MS ? row[i].port : -1;
    return -1;
}

void lab_hub_macs_forget(struct lab_hub_macs *macs, int port)
{
    for (size_t i = 0; i < LAB_HUB_MACS; i++)
        if (macs->at[i].port == port)
            macs->at[i].port = -1;
}
