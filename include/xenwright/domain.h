/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domains of a Xen host, with their disks and network interfaces.
 *
 * What is described is a running domain (the functions below) or a configuration file
 * (xlconfig.h): both fill the same structs. All lists are chains through `next`; the caller owns
 * a chain and frees it as a whole. Fields are only ever appended to these structs, so never
 * allocate or copy one yourself. Strings are never NULL unless a field says so.
 */
#ifndef XENWRIGHT_DOMAIN_H
#define XENWRIGHT_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <xenwright/error.h>

XW_BEGIN_DECLS

struct xw_host;

enum xw_domain_type {
    XW_DOMAIN_TYPE_UNKNOWN,
    XW_DOMAIN_TYPE_PV,
    XW_DOMAIN_TYPE_PVH,
    XW_DOMAIN_TYPE_HVM
};

/* What the hypervisor says of a domain; several may hold at once. */
enum xw_domain_flag {
    XW_DOMAIN_RUNNING = 1 << 0,  /* on a pCPU at this moment */
    XW_DOMAIN_BLOCKED = 1 << 1,  /* every vCPU waits for an event */
    XW_DOMAIN_PAUSED = 1 << 2,   /* by the toolstack */
    XW_DOMAIN_SHUTDOWN = 1 << 3, /* has ended, is not yet destroyed */
    XW_DOMAIN_DYING = 1 << 4     /* is being destroyed */
};

/* Why a domain with XW_DOMAIN_SHUTDOWN has ended (SHUTDOWN_* in Xen's public/sched.h). */
enum xw_domain_shutdown {
    XW_SHUTDOWN_UNKNOWN = -1,
    XW_SHUTDOWN_POWEROFF = 0,
    XW_SHUTDOWN_REBOOT = 1,
    XW_SHUTDOWN_SUSPEND = 2,
    XW_SHUTDOWN_CRASH = 3,
    XW_SHUTDOWN_WATCHDOG = 4,
    XW_SHUTDOWN_SOFT_RESET = 5
};

struct xw_domain {
    struct xw_domain *next;
    uint32_t domid;
    char uuid[37]; /* 8-4-4-4-12 lower-case hexadecimal digits */
    char *name;    /* "" while a domain has none yet */
    enum xw_domain_type type;
    unsigned int flags; /* enum xw_domain_flag */
    enum xw_domain_shutdown shutdown;
    uint64_t memory_kib;     /* what it has, with what is promised to it but not yet given */
    uint64_t max_memory_kib; /* what it may have; UINT64_MAX: no limit */
    uint32_t vcpus;          /* online */
    uint32_t max_vcpus;
    uint64_t cpu_time_ns; /* used by all its vCPUs since it was made */
};

struct xw_disk {
    struct xw_disk *next;
    char *vdev;              /* "xvda" */
    uint32_t devid;          /* of the running device; 0 in a configuration file */
    uint32_t backend_domid;  /* 0 in a configuration file that names another backend */
    char *backend_domain;    /* as a configuration file names it; "" means dom0 */
    char *backend;           /* "phy", "qdisk", "tap", "standalone"; "" where libxl is to choose */
    char *format;            /* "raw", "qcow", "qcow2", "vhd", "qed", "empty", or "" (not known) */
    char *target;            /* file, device or what the script makes of it; "" for no medium */
    char *script;            /* a block script other than the usual one, or "" */
    bool readonly;
    bool cdrom;
    bool removable;
};

struct xw_vif {
    struct xw_vif *next;
    uint32_t devid;         /* in a configuration file: its place in the list */
    uint32_t backend_domid; /* 0 in a configuration file that names another backend */
    char *backend_domain;   /* as a configuration file names it; "" means dom0 */
    char mac[18];           /* "00:16:3e:01:02:03"; "" in a configuration file: to be made up */
    char *ip;               /* "" means any; may hold several, as xl's ip= */
    char *bridge;           /* "" where the script is to choose */
    char *script;           /* "" where a configuration file leaves it to xl */
    char *vifname;          /* the interface in the backend; "" in a configuration file: default */
    char *model;            /* emulated card of an "ioemu" interface, or "" */
    char *type;             /* "vif", or "ioemu" with an emulated card beside it; "" not known */
};

/* "pv", "pvh", "hvm", "unknown". Never NULL; static. */
XW_PUBLIC const char *xw_domain_type_name(enum xw_domain_type type);

/*
 * One word for the state of a domain: "dying", "crashed" (or "shutdown", "rebooting",
 * "suspended"), "paused", "running", "blocked", "runnable"; the first that holds. Static.
 */
XW_PUBLIC const char *xw_domain_state(const struct xw_domain *domain);

/* All domains, by rising domid. Free with xw_domain_free(). */
XW_PUBLIC int xw_domain_list(struct xw_host *host, struct xw_domain **domains,
                             struct xw_error *err);

/*
 * The domain called `name`: a name, or a domid in decimal digits. As xl does, digits are always
 * taken as a domid. Fails with -ENOENT where there is none. Free with xw_domain_free().
 */
XW_PUBLIC int xw_domain_find(struct xw_host *host, const char *name, struct xw_domain **domain,
                             struct xw_error *err);

/* The disks of a running domain, in the order of their devids. Free with xw_disk_free(). */
XW_PUBLIC int xw_domain_disks(struct xw_host *host, uint32_t domid, struct xw_disk **disks,
                              struct xw_error *err);

/* The vifs of a running domain, in the order of their devids. Free with xw_vif_free(). */
XW_PUBLIC int xw_domain_vifs(struct xw_host *host, uint32_t domid, struct xw_vif **vifs,
                             struct xw_error *err);

/* Free a whole chain. NULL is allowed. */
XW_PUBLIC void xw_domain_free(struct xw_domain *domains);
XW_PUBLIC void xw_disk_free(struct xw_disk *disks);
XW_PUBLIC void xw_vif_free(struct xw_vif *vifs);

XW_END_DECLS

#endif
