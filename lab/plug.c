/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks and networks that a user adds to a lab, as entries of lab.json:
 *
 *     disks: {"file": absolute path, "format": "raw"|"qcow2", "slot": 8…15}
 *     links: {"network": name, "slot": 16…23, "mac": "52:54:00:…", "address": "10.77.0.5/24"}
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "lab/machine.h"

static int to_text(json_t *json, char *out, size_t size, struct xw_error *err)
{
    size_t length = json ? json_dumpb(json, out, size - 1, JSON_COMPACT) : size;

    json_decref(json);
    if (length >= size)
        return xw_error_set(err, E2BIG, "a disk's file name is too long");
    out[length] = '\0';
    return 0;
}

int lab_plug_disk(const json_t *disk, struct lab_plug *ret, struct xw_error *err)
{
    const char *file, *format;
    int64_t slot;
    char node[24], id[24], address[8];
    int rc = xw_json_string(disk, "disk", "file", &file, err);

    if (!rc)
        rc = xw_json_string(disk, "disk", "format", &format, err);
    if (!rc)
        rc = xw_json_integer(disk, "disk", "slot", 1, 31, &slot, err);
    if (rc)
        return rc;
    snprintf(node, sizeof(node), "plug%d", (int)slot);
    snprintf(id, sizeof(id), "disk%d", (int)slot);
    snprintf(address, sizeof(address), "%#x", (unsigned)slot);
    rc = to_text(json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "driver", format, "node-name", node,
                           "discard", "unmap", "file", "driver", "file", "filename", file),
                 ret->backend, sizeof(ret->backend), err);
    if (!rc)
        rc = to_text(json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id", id,
                               "drive", node, "addr", address, "serial", id),
                     ret->device, sizeof(ret->device), err);
    ret->is_disk = true;
    return rc;
}

int lab_plug_link(const json_t *link, const char *name, struct lab_plug *ret, struct xw_error *err)
{
    const char *network, *mac;
    int64_t slot;
    char net[24], id[24], address[8], local[128], remote[128];
    int rc = xw_json_string(link, "link", "network", &network, err);

    if (!rc)
        rc = xw_json_string(link, "link", "mac", &mac, err);
    if (!rc)
        rc = xw_json_integer(link, "link", "slot", 1, 31, &slot, err);
    if (rc)
        return rc;
    snprintf(net, sizeof(net), "net%d", (int)slot);
    snprintf(id, sizeof(id), "nic%d", (int)slot);
    snprintf(address, sizeof(address), "%#x", (unsigned)slot);
    snprintf(local, sizeof(local), "%s/link-%s.sock", name, network);
    snprintf(remote, sizeof(remote), ".nets/%s.sock", network);
    rc = to_text(json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s}}", "type", "dgram", "id", net,
                           "local", "type", "unix", "path", local, "remote", "type", "unix", "path",
                           remote),
                 ret->backend, sizeof(ret->backend), err);
    if (!rc)
        rc = to_text(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "driver", "virtio-net-pci", "id",
                               id, "netdev", net, "mac", mac, "addr", address, "romfile", ""),
                     ret->device, sizeof(ret->device), err);
    ret->is_disk = false;
    return rc;
}
