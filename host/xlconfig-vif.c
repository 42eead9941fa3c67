/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/xlconfig-vif.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "host/device.h"

/* Six hexadecimal numbers of one or two digits, as libxl takes them too. */
static int set_mac(struct xw_vif *vif, const char *value, struct xw_error *err)
{
    unsigned int byte[6];
    int used = 0;

    /* sscanf() alone would let blanks and signs pass. */
    if (value[strspn(value, "0123456789abcdefABCDEF:")] ||
        sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3],
               &byte[4], &byte[5], &used) != 6 ||
        value[used])
        return xw_error_set(err, EINVAL, "mac '%s' is no MAC address", value);
    snprintf(vif->mac, sizeof(vif->mac), "%02x:%02x:%02x:%02x:%02x:%02x", byte[0], byte[1], byte[2],
             byte[3], byte[4], byte[5]);
    return 0;
}

static int set_type(struct xw_vif *vif, const char *value, struct xw_error *err)
{
    if (strcmp(value, "vif") && strcmp(value, "ioemu"))
        return xw_error_set(err, EINVAL, "type '%s' is none of vif, ioemu", value);
    return xw_replace_text(&vif->type, value) ? xw_error_set(err, ENOMEM, "no memory for it") : 0;
}

static int set_devid(struct xw_vif *vif, const char *value, struct xw_error *err)
{
    unsigned long number;

    errno = 0;
    number = strtoul(value, NULL, 10);
    if (errno || !*value || value[strspn(value, "0123456789")] || number > INT32_MAX)
        return xw_error_set(err, EINVAL, "devid '%s' is no device number", value);
    vif->devid = (uint32_t)number;
    return 0;
}

static int set_key(struct xw_vif *vif, const char *key, const char *value, struct xw_error *err)
{
    const struct {
        const char *key;
        char **at;
    } texts[] = {
        {"backend", &vif->backend_domain}, {"bridge", &vif->bridge}, {"ip", &vif->ip},
        {"model", &vif->model},            {"script", &vif->script}, {"vifname", &vif->vifname},
    };

    if (!strcmp(key, "mac"))
        return set_mac(vif, value, err);
    if (!strcmp(key, "type"))
        return set_type(vif, value, err);
    if (!strcmp(key, "devid"))
        return set_devid(vif, value, err);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!strcmp(key, texts[i].key) && xw_replace_text(texts[i].at, value))
            return xw_error_set(err, ENOMEM, "no memory for it");
    }
    return 0;
}

int xw_xlconfig_parse_vif(const char *spec, uint32_t devid, struct xw_vif **ret,
                          struct xw_error *err)
{
    xw_auto_free char *copy = strdup(spec);
    libxl_device_nic empty;
    struct xw_vif *vif;
    char *rest = copy;
    char *part;
    int failed = 0;

    libxl_device_nic_init(&empty);
    vif = xw_vif_from_libxl(&empty);
    libxl_device_nic_dispose(&empty);
    if (!copy || !vif) {
        xw_vif_free(vif);
        return xw_error_set(err, ENOMEM, "no memory for it");
    }
    vif->devid = devid;
    while (!failed && (part = strsep(&rest, ","))) {
        char *value;

        part += strspn(part, " ");
        value = strchr(part, '=');
        if (value) {
            *value = '\0';
            failed = set_key(vif, part, value + 1, err);
        }
    }
    if (failed)
        xw_vif_free(vif);
    else
        *ret = vif;
    return failed;
}
