/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <xenwright/domain.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenwright/xenstore.h>

#include "base/cleanup.h"
#include "host/connection.h"

/* What libxl makes of max_pages where Xen sets no limit: 4 KiB times UINT32_MAX, or more. */
#define NO_LIMIT_KIB (UINT64_C(4) * UINT32_MAX)

const char *xw_domain_type_name(enum xw_domain_type type)
{
    switch (type) {
    case XW_DOMAIN_TYPE_PV:
        return "pv";
    case XW_DOMAIN_TYPE_PVH:
        return "pvh";
    case XW_DOMAIN_TYPE_HVM:
        return "hvm";
    case XW_DOMAIN_TYPE_UNKNOWN:
        break;
    }
    return "unknown";
}

static const char *shutdown_word(enum xw_domain_shutdown reason)
{
    switch (reason) {
    case XW_SHUTDOWN_REBOOT:
        return "rebooting";
    case XW_SHUTDOWN_SUSPEND:
        return "suspended";
    case XW_SHUTDOWN_CRASH:
    case XW_SHUTDOWN_WATCHDOG:
        return "crashed";
    default:
        return "shutdown";
    }
}

const char *xw_domain_state(const struct xw_domain *domain)
{
    if (domain->flags & XW_DOMAIN_DYING)
        return "dying";
    if (domain->flags & XW_DOMAIN_SHUTDOWN)
        return shutdown_word(domain->shutdown);
    if (domain->flags & XW_DOMAIN_PAUSED)
        return "paused";
    if (domain->flags & XW_DOMAIN_RUNNING)
        return "running";
    if (domain->flags & XW_DOMAIN_BLOCKED)
        return "blocked";
    return "runnable";
}

void xw_domain_free(struct xw_domain *domains)
{
    while (domains) {
        struct xw_domain *next = domains->next;

        free(domains->name);
        free(domains);
        domains = next;
    }
}

static unsigned int flags_of(const libxl_dominfo *info)
{
    return (info->running ? XW_DOMAIN_RUNNING : 0u) | (info->blocked ? XW_DOMAIN_BLOCKED : 0u) |
           (info->paused ? XW_DOMAIN_PAUSED : 0u) | (info->shutdown ? XW_DOMAIN_SHUTDOWN : 0u) |
           (info->dying ? XW_DOMAIN_DYING : 0u);
}

/*
 * Xen itself knows a PVH domain as HVM; which it is, libxl notes in xenstore when it builds the
 * domain. A dom0 without that note cannot be HVM.
 */
static enum xw_domain_type type_of(struct xw_xenstore *xs, const libxl_dominfo *info)
{
    xw_auto_free char *type = NULL;
    char path[64];

    if (info->domain_type == LIBXL_DOMAIN_TYPE_PV)
        return XW_DOMAIN_TYPE_PV;
    snprintf(path, sizeof(path), "/libxl/%" PRIu32 "/type", info->domid);
    if (xw_xenstore_read(xs, XW_XENSTORE_NOW, path, 16, &type, NULL, NULL))
        return info->domid ? XW_DOMAIN_TYPE_HVM : XW_DOMAIN_TYPE_PVH;
    return strcmp(type, "pvh") ? XW_DOMAIN_TYPE_HVM : XW_DOMAIN_TYPE_PVH;
}

/* NULL: out of memory. */
static struct xw_domain *describe(libxl_ctx *libxl, struct xw_xenstore *xs,
                                  const libxl_dominfo *info)
{
    struct xw_domain *domain = calloc(1, sizeof(*domain));

    if (!domain)
        return NULL;
    domain->domid = info->domid;
    snprintf(domain->uuid, sizeof(domain->uuid), LIBXL_UUID_FMT, LIBXL_UUID_BYTES(info->uuid));
    domain->type = type_of(xs, info);
    domain->flags = flags_of(info);
    domain->shutdown = info->shutdown ? (enum xw_domain_shutdown)info->shutdown_reason
                                      : XW_SHUTDOWN_UNKNOWN;
    domain->memory_kib = info->current_memkb + info->outstanding_memkb;
    domain->max_memory_kib = info->max_memkb < NO_LIMIT_KIB ? info->max_memkb : UINT64_MAX;
    domain->vcpus = info->vcpu_online;
    domain->max_vcpus = info->vcpu_max_id + 1;
    domain->cpu_time_ns = info->cpu_time;

    /* None while it is being built, and none any more once it is being destroyed. */
    domain->name = libxl_domid_to_name(libxl, info->domid);
    if (!domain->name)
        domain->name = strdup("");
    if (!domain->name) {
        free(domain);
        return NULL;
    }
    return domain;
}

static int describe_all(libxl_ctx *libxl, struct xw_xenstore *xs, const libxl_dominfo *infos,
                        int count, struct xw_domain **ret, struct xw_error *err)
{
    struct xw_domain *first = NULL;
    struct xw_domain **last = &first;

    for (int i = 0; i < count; i++) {
        *last = describe(libxl, xs, &infos[i]);
        if (!*last) {
            xw_domain_free(first);
            return xw_error_set(err, ENOMEM, "no memory for the list of domains");
        }
        last = &(*last)->next;
    }
    *ret = first;
    return 0;
}

int xw_domain_list(struct xw_host *host, struct xw_domain **domains, struct xw_error *err)
{
    struct xw_xenstore *xs;
    libxl_ctx *libxl;
    libxl_dominfo *infos;
    int count = 0;
    int ret = xw_host_libxl(host, &libxl, err);

    if (!ret)
        ret = xw_host_xenstore(host, &xs, err);
    if (ret)
        return ret;
    infos = libxl_list_domain(libxl, &count);
    if (!infos)
        return xw_xen_log_error(xw_host_log(host), EIO, err, "cannot list the domains");
    ret = describe_all(libxl, xs, infos, count, domains, err);
    libxl_dominfo_list_free(infos, count);
    return ret;
}

/* Digits are a domid, even where a domain is named so; INVALID_DOMID stands for "none". */
static int parse_domid(const char *name, uint32_t *domid)
{
    char *end;
    unsigned long number;

    if (!*name || name[strspn(name, "0123456789")])
        return 0;
    errno = 0;
    number = strtoul(name, &end, 10);
    *domid = errno || number > UINT32_MAX ? INVALID_DOMID : (uint32_t)number;
    return 1;
}

int xw_domain_find(struct xw_host *host, const char *name, struct xw_domain **domain,
                   struct xw_error *err)
{
    struct xw_xenstore *xs;
    libxl_ctx *libxl;
    libxl_dominfo info;
    uint32_t domid;
    int by_number = parse_domid(name, &domid);
    int ret = xw_host_libxl(host, &libxl, err);

    if (!ret)
        ret = xw_host_xenstore(host, &xs, err);
    if (ret)
        return ret;
    if (!by_number && libxl_name_to_domid(libxl, name, &domid))
        return xw_error_set(err, ENOENT, "no domain is called '%s' ('xenwright vm list' shows "
                            "those there are)", name);

    libxl_dominfo_init(&info);
    ret = libxl_domain_info(libxl, &info, domid);
    if (ret == ERROR_DOMAIN_NOTFOUND)
        ret = xw_error_set(err, ENOENT, "there is no domain %s ('xenwright vm list' shows those "
                           "there are)", name);
    else if (ret)
        ret = xw_xen_log_error(xw_host_log(host), xw_libxl_errno(ret), err,
                               "cannot look at domain %s", name);
    else
        ret = describe_all(libxl, xs, &info, 1, domain, err);
    libxl_dominfo_dispose(&info);
    return ret;
}
