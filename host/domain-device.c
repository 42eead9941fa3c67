/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks and vifs of running domains: what libxl lists, completed from the nodes that it keeps of
 * each device under /libxl/<domid>/device (xenstore-paths.pandoc). For libxl itself does not tell a
 * disk's format, and takes all up to the first colon off its target, be it the format or not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenwright/domain.h>
#include <xenwright/xenstore.h>

#include "base/cleanup.h"
#include "host/connection.h"
#include "host/device.h"

#define NODE_LIMIT 4096 /* bytes; xenstored's own limit of a value */

/* One node of a device; NULL where it is missing. The caller's to free. */
static char *device_node(struct xw_xenstore *xs, uint32_t domid, const char *kind, uint32_t devid,
                         const char *node)
{
    char path[128];
    char *value = NULL;

    snprintf(path, sizeof(path), "/libxl/%" PRIu32 "/device/%s/%" PRIu32 "/%s", domid, kind, devid,
             node);
    if (xw_xenstore_read(xs, XW_XENSTORE_NOW, path, NODE_LIMIT, &value, NULL, NULL))
        return NULL;
    return value;
}

/*
 * "params" is "<format>:<target>" for a qdisk, where "aio" stands for raw and for no medium; for
 * all others it is the target (device_disk_add in libxl_disk.c). A phy backend without a script
 * of its own ("block", which libxl may also leave unsaid) serves raw devices only.
 */
int xw_disk_set_params(struct xw_disk *disk, char *params)
{
    char *colon = strchr(params, ':');
    const char *slash = strrchr(disk->script, '/');
    const char *script = slash ? slash + 1 : disk->script;
    const char *target = params;
    const char *format = "";

    if (!strcmp(disk->backend, "qdisk") && colon) {
        *colon = '\0';
        target = colon + 1;
        format = strcmp(params, "aio") ? params : *target ? "raw" : "empty";
    } else if (!strcmp(disk->backend, "phy") && (!*script || !strcmp(script, "block"))) {
        format = "raw";
    }
    if (xw_replace_text(&disk->target, target) || xw_replace_text(&disk->format, format))
        return -ENOMEM;
    return 0;
}

static struct xw_disk *describe_disk(libxl_ctx *libxl, struct xw_xenstore *xs, uint32_t domid,
                                     const libxl_device_disk *from)
{
    const char *kind = from->backend == LIBXL_DISK_BACKEND_STANDALONE ? "virtio_disk" : "vbd";
    struct xw_disk *disk = xw_disk_from_libxl(from);
    xw_auto_free char *params = NULL;
    libxl_diskinfo info;

    libxl_diskinfo_init(&info);
    if (disk && !libxl_device_disk_getinfo(libxl, domid, from, &info)) {
        disk->devid = (uint32_t)info.devid;
        params = device_node(xs, domid, kind, disk->devid, "params");
        if (params && xw_disk_set_params(disk, params)) {
            xw_disk_free(disk);
            disk = NULL;
        }
    }
    libxl_diskinfo_dispose(&info);
    return disk;
}

static struct xw_vif *describe_vif(struct xw_xenstore *xs, uint32_t domid,
                                   const libxl_device_nic *from)
{
    struct xw_vif *vif = xw_vif_from_libxl(from);
    xw_auto_free char *name = NULL;
    char usual[32];

    if (!vif)
        return NULL;
    name = device_node(xs, domid, "vif", vif->devid, "vifname");
    snprintf(usual, sizeof(usual), "vif%" PRIu32 ".%" PRIu32, domid, vif->devid);
    if (xw_replace_text(&vif->vifname, name ? name : usual)) {
        xw_vif_free(vif);
        return NULL;
    }
    return vif;
}

static void insert_disk(struct xw_disk **at, struct xw_disk *disk)
{
    while (*at && (*at)->devid <= disk->devid)
        at = &(*at)->next;
    disk->next = *at;
    *at = disk;
}

static void insert_vif(struct xw_vif **at, struct xw_vif *vif)
{
    while (*at && (*at)->devid <= vif->devid)
        at = &(*at)->next;
    vif->next = *at;
    *at = vif;
}

/* libxl returns NULL for "none" and for a failure, but logs only the latter. */
static int check_list(struct xw_host *host, const void *list, const char *what, uint32_t domid,
                      struct xw_error *err)
{
    if (list || !xw_host_log(host)->text[0])
        return 0;
    return xw_xen_log_error(xw_host_log(host), EIO, err, "cannot list the %s of domain %" PRIu32,
                            what, domid);
}

int xw_domain_disks(struct xw_host *host, uint32_t domid, struct xw_disk **disks,
                    struct xw_error *err)
{
    struct xw_disk *found = NULL;
    struct xw_xenstore *xs;
    libxl_device_disk *list;
    libxl_ctx *libxl;
    int count = 0;
    int ret = xw_host_libxl(host, &libxl, err);

    if (!ret)
        ret = xw_host_xenstore(host, &xs, err);
    if (ret)
        return ret;
    list = libxl_device_disk_list(libxl, domid, &count);
    ret = check_list(host, list, "disks", domid, err);
    for (int i = 0; list && !ret && i < count; i++) {
        struct xw_disk *disk = describe_disk(libxl, xs, domid, &list[i]);

        if (disk)
            insert_disk(&found, disk);
        else
            ret = xw_error_set(err, ENOMEM, "no memory for the disks of domain %" PRIu32, domid);
    }
    libxl_device_disk_list_free(list, count);
    if (ret)
        xw_disk_free(found);
    else
        *disks = found;
    return ret;
}

int xw_domain_vifs(struct xw_host *host, uint32_t domid, struct xw_vif **vifs,
                   struct xw_error *err)
{
    struct xw_vif *found = NULL;
    struct xw_xenstore *xs;
    libxl_device_nic *list;
    libxl_ctx *libxl;
    int count = 0;
    int ret = xw_host_libxl(host, &libxl, err);

    if (!ret)
        ret = xw_host_xenstore(host, &xs, err);
    if (ret)
        return ret;
    list = libxl_device_nic_list(libxl, domid, &count);
    ret = check_list(host, list, "vifs", domid, err);
    for (int i = 0; list && !ret && i < count; i++) {
        struct xw_vif *vif = describe_vif(xs, domid, &list[i]);

        if (vif)
            insert_vif(&found, vif);
        else
            ret = xw_error_set(err, ENOMEM, "no memory for the vifs of domain %" PRIu32, domid);
    }
    libxl_device_nic_list_free(list, count);
    if (ret)
        xw_vif_free(found);
    else
        *vifs = found;
    return ret;
}
