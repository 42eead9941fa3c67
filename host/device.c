/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int xw_replace_text(char **at, const char *text)
{
    char *copy = strdup(text ? text : "");

    if (!copy)
        return -ENOMEM;
    free(*at);
    *at = copy;
    return 0;
}

void xw_disk_free(struct xw_disk *disks)
{
    while (disks) {
        struct xw_disk *next = disks->next;

        free(disks->vdev);
        free(disks->backend_domain);
        free(disks->backend);
        free(disks->format);
        free(disks->target);
        free(disks->script);
        free(disks);
        disks = next;
    }
}

void xw_vif_free(struct xw_vif *vifs)
{
    while (vifs) {
        struct xw_vif *next = vifs->next;

        free(vifs->backend_domain);
        free(vifs->ip);
        free(vifs->bridge);
        free(vifs->script);
        free(vifs->vifname);
        free(vifs->model);
        free(vifs->type);
        free(vifs);
        vifs = next;
    }
}

static const char *backend_word(libxl_disk_backend backend)
{
    return backend == LIBXL_DISK_BACKEND_UNKNOWN ? "" : libxl_disk_backend_to_string(backend);
}

static const char *format_word(libxl_disk_format format)
{
    return format == LIBXL_DISK_FORMAT_UNKNOWN ? "" : libxl_disk_format_to_string(format);
}

static const char *nic_word(libxl_nic_type type)
{
    if (type == LIBXL_NIC_TYPE_VIF)
        return "vif";
    return type == LIBXL_NIC_TYPE_VIF_IOEMU ? "ioemu" : "";
}

struct xw_disk *xw_disk_from_libxl(const libxl_device_disk *from)
{
    struct xw_disk *disk = calloc(1, sizeof(*disk));

    if (!disk)
        return NULL;
    disk->backend_domid = from->backend_domid;
    disk->readonly = !from->readwrite;
    disk->cdrom = from->is_cdrom;
    disk->removable = from->removable;
    if (xw_replace_text(&disk->vdev, from->vdev) ||
        xw_replace_text(&disk->backend_domain, from->backend_domname) ||
        xw_replace_text(&disk->backend, backend_word(from->backend)) ||
        xw_replace_text(&disk->format, format_word(from->format)) ||
        xw_replace_text(&disk->target, from->pdev_path) ||
        xw_replace_text(&disk->script, from->script)) {
        xw_disk_free(disk);
        return NULL;
    }
    return disk;
}

struct xw_vif *xw_vif_from_libxl(const libxl_device_nic *from)
{
    static const libxl_mac none = {0};
    struct xw_vif *vif = calloc(1, sizeof(*vif));
    const uint8_t *mac = from->mac;

    if (!vif)
        return NULL;
    vif->devid = from->devid > 0 ? (uint32_t)from->devid : 0; /* -1: to be chosen by libxl */
    vif->backend_domid = from->backend_domid;
    if (memcmp(mac, none, sizeof(none)))
        snprintf(vif->mac, sizeof(vif->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                 mac[2], mac[3], mac[4], mac[5]);
    if (xw_replace_text(&vif->backend_domain, from->backend_domname) ||
        xw_replace_text(&vif->ip, from->ip) || xw_replace_text(&vif->bridge, from->bridge) ||
        xw_replace_text(&vif->script, from->script) ||
        xw_replace_text(&vif->vifname, from->ifname) ||
        xw_replace_text(&vif->model, from->model) ||
        xw_replace_text(&vif->type, nic_word(from->nictype))) {
        xw_vif_free(vif);
        return NULL;
    }
    return vif;
}
