/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/sparse.h"
#include "lab/control.h"
#include "lab/data.h"
#include "lab/hub.h"
#include "lab/run.h"

#define LINK_SLOT 16
#define LINK_SLOTS 8
#define QMP_TIMEOUT_MS 30000
#define JOIN_TIMEOUT_MS 60000

/* Two bytes that stand for a network in its addresses: all labs come to the same. */
static void number_network(const char *network, unsigned ret[2])
{
    char hash[XW_HASH_TEXT_SIZE];

    xw_hash_bytes(network, strlen(network), hash);
    sscanf(hash, "%2x%2x", &ret[0], &ret[1]);
}

/* What a network joined already has in common with a new one, if that is too much. */
static int check_other(const struct lab_record *record, const char *network, unsigned number,
                       const json_t *other, struct xw_error *err)
{
    const char *name = json_string_value(json_object_get(other, "network"));
    unsigned theirs[2];

    if (strcmp(name, network) == 0)
        return xw_error_set(err, EINVAL, "lab '%s': the network '%s' can be joined once only",
                            record->name, network);
    number_network(name, theirs);
    if (theirs[0] == number)
        return xw_error_set(err, EADDRINUSE, "lab '%s': the networks '%s' and '%s' have the same "
                            "addresses, 10.77.%u.0/24: give one of them another name", record->name,
                            name, network, number);
    return 0;
}

static int choose_one(struct lab_record *record, const char *network, size_t index,
                      struct xw_error *err)
{
    unsigned bytes[2] = {0};
    char mac[18], address[32];
    int rc = lab_name_check("network", network, err);
    json_t *other;
    size_t i;

    if (!rc && strlen(network) > LAB_NETWORK_MAX)
        rc = xw_error_set(err, EINVAL,
                          "'%s' is no name for a network: it has %zu letters, %d can be "
                          "used",
                          network, strlen(network), LAB_NETWORK_MAX);
    number_network(network, bytes);
    json_array_foreach (record->links, i, other)
        if (!rc)
            rc = check_other(record, network, bytes[0], other, err);
    if (rc)
        return rc;
    /* One MAC for one address: a lab made anew is reached by those who still know it from before.
     */
    snprintf(mac, sizeof(mac), "52:54:77:%02x:%02x:%02x", bytes[0], bytes[1],
             (unsigned)record->number & 0xff);
    snprintf(address, sizeof(address), "10.77.%u.%d/24", bytes[0], record->number);
    json_array_append_new(record->links, json_pack("{s:s, s:I, s:s, s:s}", "network", network,
                                                   "slot", (json_int_t)(LINK_SLOT + index), "mac",
                                                   mac, "address", address));
    return 0;
}

int lab_link_choose(struct lab_record *record, const char *const *networks, struct xw_error *err)
{
    record->links = json_array();
    for (size_t i = 0; networks && networks[i]; i++) {
        int rc;

        if (i == LINK_SLOTS)
            return xw_error_set(err, E2BIG, "lab '%s': at most %d networks can be joined",
                                record->name, LINK_SLOTS);
        rc = choose_one(record, networks[i], i, err);
        if (rc)
            return rc;
    }
    return 0;
}

int lab_link_switches(const struct lab_place *place, const struct lab_record *record,
                      struct xw_error *err)
{
    struct lab_data data;
    size_t i;
    json_t *link;
    int rc = json_array_size(record->links) ? lab_data_find(&data, err) : 0;

    json_array_foreach (record->links, i, link) {
        const char *network;

        if (!rc)
            rc = xw_json_string(link, "link", "network", &network, err);
        if (!rc)
            rc = lab_hub_ensure(place->labs, network, data.self, err);
    }
    return rc;
}

/* blockdev-add or netdev_add, then device_add. The texts are what QEMU's command line takes. */
static int plug_in(struct xw_qmp *qmp, const struct lab_plug *plug, struct xw_error *err)
{
    json_t *backend = json_loads(plug->backend, 0, NULL);
    json_t *device = json_loads(plug->device, 0, NULL);
    int rc = xw_qmp_execute(qmp, plug->is_disk ? "blockdev-add" : "netdev_add", backend,
                            QMP_TIMEOUT_MS, NULL, err);

    if (rc) {
        json_decref(device);
        return rc;
    }
    return xw_qmp_execute(qmp, "device_add", device, QMP_TIMEOUT_MS, NULL, err);
}

static int plug_all(struct xw_qmp *qmp, const struct lab_record *record, struct xw_error *err)
{
    struct lab_plug plug;
    size_t i;
    json_t *entry;
    int rc = 0;

    json_array_foreach (record->disks, i, entry) {
        if (!rc)
            rc = lab_plug_disk(entry, &plug, err);
        if (!rc)
            rc = plug_in(qmp, &plug, err);
    }
    json_array_foreach (record->links, i, entry) {
        if (!rc)
            rc = lab_plug_link(entry, record->name, &plug, err);
        if (!rc)
            rc = plug_in(qmp, &plug, err);
    }
    return rc;
}

/* In dom0: wait for the card, make the bridge, take the address. */
static int join(const struct lab_place *place, const struct lab_record *record, const json_t *link,
                struct xw_error *err)
{
    const char *network = json_string_value(json_object_get(link, "network"));
    const char *mac = json_string_value(json_object_get(link, "mac"));
    const char *address = json_string_value(json_object_get(link, "address"));
    char bridge[LAB_NETWORK_MAX + 8];

    snprintf(bridge, sizeof(bridge), "br-%s", network);
    const char *const argv[] = {"/usr/local/lib/xenwright/join-link", mac, bridge, address, NULL};

    /* A bridge has a MAC of its own, made up anew each time, unless it is given one. */
    const char *const address_argv[] = {"ip", "link", "set", "dev", bridge, "address", mac, NULL};
    int rc = lab_run_check(place, record, argv, -1, JOIN_TIMEOUT_MS, err);

    return rc ? rc : lab_run_check(place, record, address_argv, -1, JOIN_TIMEOUT_MS, err);
}

int lab_link_plug(const struct lab_place *place, const struct lab_record *record,
                  struct xw_error *err)
{
    struct xw_qmp *qmp;
    size_t i;
    json_t *link;
    int rc;

    if (json_array_size(record->disks) == 0 && json_array_size(record->links) == 0)
        return 0;
    rc = lab_link_switches(place, record, err);
    if (!rc)
        rc = lab_control_qmp(place, record->name, &qmp, err);
    if (rc)
        return rc;
    rc = plug_all(qmp, record, err);
    xw_qmp_close(qmp);
    json_array_foreach (record->links, i, link)
        if (!rc)
            rc = join(place, record, link, err);
    return rc;
}
