/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots of the disks of VMs, and of their memory, for hosts that run the xl toolstack.
 *
 * DOMAIN below is what xl users name a VM by: a name or a domid of a running domain, or the
 * configuration file (xl.cfg(5)) of one that is not running; also the name of a VM that has
 * snapshots already. The path and the format of a disk never change: whatever an operation does,
 * the configuration that libxl and the user hold opens the right data.
 *
 * Every operation takes the VM's lock, and first finishes or undoes what an earlier one that was
 * killed has left behind.
 */
#ifndef XENWRIGHT_SNAPSHOT_H
#define XENWRIGHT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include <xenwright/error.h>
#include <xenwright/operation.h>

XW_BEGIN_DECLS

struct xw_host;

#define XW_SNAPSHOT_ID_SIZE 17   /* 16 hexadecimal digits and the terminating NUL */
#define XW_SNAPSHOT_NAME_SIZE \
    65 /* 1 to 64 of A-Z a-z 0-9 . _ -, no '-' or '.' in front; and the NUL */

/* How the disks of a snapshot belong together. */
enum xw_consistency {
    XW_CONSISTENCY_OFFLINE,   /* the VM was not running */
    XW_CONSISTENCY_CRASH,     /* one point in time, as after a power cut */
    XW_CONSISTENCY_PAUSED,    /* the same, while all vCPUs were held */
    XW_CONSISTENCY_SUSPENDED, /* the same, while its kernel had suspended it */
    XW_CONSISTENCY_FROZEN,    /* its file systems were frozen by the agent in it */
    XW_CONSISTENCY_MEMORY     /* with the memory of that instant */
};

/* "offline", "crash", "paused", "suspended", "filesystem", "memory". Static. */
XW_PUBLIC const char *xw_consistency_name(enum xw_consistency consistency);

/* One disk in a snapshot. All lists are chains through `next`; fields are only ever appended. */
struct xw_snapshot_disk {
    struct xw_snapshot_disk *next;
    char *vdev;
    char *path;   /* what libxl opens */
    char *format; /* as libxl names it: "raw", "qcow2" */
    char *store;  /* what keeps it: "qcow2", "reflink", "lvm-thin" */
    char *data;   /* where the content of the snapshot is: a file or a device */
    uint64_t size; /* bytes the guest sees */
};

struct xw_snapshot {
    struct xw_snapshot *next;
    char id[XW_SNAPSHOT_ID_SIZE];
    char parent[XW_SNAPSHOT_ID_SIZE]; /* "": none */
    char name[XW_SNAPSHOT_NAME_SIZE]; /* of one snapshot of the VM */
    char *description;
    int64_t created_ms;    /* since 1970, UTC */
    int64_t standstill_us; /* how long the guest stood still; -1: it was not running */
    enum xw_consistency consistency;
    uint64_t memory_bytes; /* size of the memory file; 0: none */
    bool automatic;        /* made by a revert, of the state that it replaced */
    struct xw_snapshot_disk *disks;
};

/* A VM, with its snapshots from old to new. */
struct xw_snapshot_vm {
    struct xw_snapshot_vm *next;
    char id[XW_SNAPSHOT_ID_SIZE];
    char *name; /* as it was called last */
    char uuid[37];
    char *config;                      /* its configuration file, where one was named; or "" */
    char current[XW_SNAPSHOT_ID_SIZE]; /* what its present state goes back to; "": nothing */
    struct xw_snapshot *snapshots;
    uint32_t damaged; /* how many more have records that cannot be read */
};

struct xw_snapshots;

/*
 * The snapshots of this host. `state` is the folder of the records (NULL:
 * /var/lib/xenwright/snapshots); it is made at the first snapshot. `host` may be NULL where no Xen
 * runs: nothing is taken to be running then. The handle keeps `host`, which stays the caller's.
 */
XW_PUBLIC int xw_snapshots_open(const char *state, struct xw_host *host, struct xw_snapshots **ret,
                                struct xw_error *err);
XW_PUBLIC void xw_snapshots_close(struct xw_snapshots *snapshots); /* NULL is allowed */

/*
 * All VMs with snapshots by name, or (domain not NULL) the one VM; -ENOENT where it has none. A
 * record that cannot be read is counted in `damaged`, never a reason to fail. Free with
 * xw_snapshot_vm_free().
 */
XW_PUBLIC int xw_snapshot_list(struct xw_snapshots *snapshots, const char *domain,
                               struct xw_snapshot_vm **ret, struct xw_error *err);
XW_PUBLIC void xw_snapshot_vm_free(struct xw_snapshot_vm *vms); /* NULL is allowed */

/* The snapshot called `name` (a name, or an id), NULL where there is none. Belongs to `vm`. */
XW_PUBLIC const struct xw_snapshot *xw_snapshot_find(const struct xw_snapshot_vm *vm,
                                                     const char *name);

/* -EINVAL where `name` cannot be the name of a snapshot. */
XW_PUBLIC int xw_snapshot_name_check(const char *name, struct xw_error *err);

/* What a disk of a snapshot is now, as the store knows it. */
struct xw_snapshot_space {
    bool missing;   /* its data is gone */
    uint64_t bytes; /* that it takes by itself; UINT64_MAX: the store cannot tell */
};
XW_PUBLIC int xw_snapshot_disk_space(struct xw_snapshots *snapshots,
                                     const struct xw_snapshot_disk *disk,
                                     struct xw_snapshot_space *ret, struct xw_error *err);

/* The configuration that a snapshot keeps of its VM: as it was then. */
enum xw_snapshot_config {
    XW_SNAPSHOT_CONFIG_FILE, /* xl.cfg(5): the file that the VM was named by last */
    XW_SNAPSHOT_CONFIG_LIBXL /* of one that ran: libxl_domain_config as JSON, with its devices */
};

/* A copy of its text, for the caller to free. -ENOENT: it has none of that kind. */
XW_PUBLIC int xw_snapshot_config(struct xw_snapshots *snapshots, const struct xw_snapshot_vm *vm,
                                 const struct xw_snapshot *snapshot, enum xw_snapshot_config which,
                                 char **ret, struct xw_error *err);

/* How a running guest is brought to one point in time. */
enum xw_quiesce {
    XW_QUIESCE_PAUSE,   /* hold its vCPUs */
    XW_QUIESCE_NONE,    /* not at all: refused where the stores cannot give one point without */
    XW_QUIESCE_SUSPEND, /* have its kernel suspend it, as for a save, and resume it */
    XW_QUIESCE_AGENT /* have qemu-guest-agent in it freeze its file systems, and hold its vCPUs */
};

struct xw_snapshot_create {
    const char *domain;
    const char *name;        /* NULL: "snap-" and a number */
    const char *description; /* UTF-8, up to 4096 bytes; NULL: none */
    const char *const *vdevs; /* the disks, ends with NULL; NULL: all that can be written */
    enum xw_quiesce quiesce;
    int agent_timeout_ms; /* for the agent to say that all is frozen; 0: 30 seconds */
    bool memory;    /* its memory too: it can be resumed from just there. It has to run. */
    bool stop_copy; /* the guest stands still while its memory is written; else mostly runs */
    bool dry_run;   /* find out whether it can be made, and change nothing */
    bool internal;  /* of qcow2 images, of a VM that is off: inside, as those of QEMU itself */
};

/* What became of it, or would; it belongs to the operation. */
struct xw_snapshot_made {
    const struct xw_snapshot *snapshot;
};

/*
 * Makes a snapshot. Everything in `how` is copied. -EEXIST: the name is taken; -EBUSY: another
 * operation on this VM is going on; -ENOTSUP: a disk that cannot be kept, with the reason. On
 * success *made, where asked for, is filled by the step that returns 0.
 */
XW_PUBLIC int xw_snapshot_create(struct xw_snapshots *snapshots,
                                 const struct xw_snapshot_create *how,
                                 struct xw_snapshot_made *made, struct xw_operation **ret,
                                 struct xw_error *err);

struct xw_snapshot_revert {
    const char *domain;
    const char *snapshot;
    bool discard_current; /* do not keep the present state as a snapshot first */
    bool restart;         /* a running guest is reset, through its own toolstack */
    bool no_memory;       /* put the disks back only, where the snapshot has the memory too */
    bool dry_run;         /* find out whether it can be done, and change nothing */
};

/* What became of it; strings belong to the operation. */
struct xw_snapshot_reverted {
    const struct xw_snapshot *snapshot; /* the one that it was reverted to */
    const char *kept; /* the name of the snapshot of the state before; "": none was made */
    int64_t domid; /* the restarted or resumed domain; -1: none */
    bool resumed;  /* it goes on from the memory in the snapshot */
};

/*
 * Puts the VM's disks back to a snapshot, which stays. Where that has the guest's memory, a guest
 * that runs is destroyed, and it goes on from the snapshot. -EBUSY: the guest runs, and the
 * snapshot has no memory, and `restart` is not set.
 */
XW_PUBLIC int xw_snapshot_revert(struct xw_snapshots *snapshots,
                                 const struct xw_snapshot_revert *how,
                                 struct xw_snapshot_reverted *reverted, struct xw_operation **ret,
                                 struct xw_error *err);

/*
 * Deletes a snapshot, or (children) it and all that descend from it. Where data of it is needed by
 * another snapshot or by the present state, it is moved there first, also under a running guest.
 */
XW_PUBLIC int xw_snapshot_delete(struct xw_snapshots *snapshots, const char *domain,
                                 const char *snapshot, bool children, struct xw_operation **ret,
                                 struct xw_error *err);

struct xw_snapshot_export {
    const char *domain;
    const char *snapshot;
    const char *vdev; /* NULL: the only one */
    const char *path; /* of a file that is not there yet; ".part" behind it while it is not whole */
    bool raw;         /* else qcow2 */
};

/* Copies a disk of a snapshot to a file that stands on its own. Everything in `how` is copied. */
XW_PUBLIC int xw_snapshot_export(struct xw_snapshots *snapshots,
                                 const struct xw_snapshot_export *how, struct xw_operation **ret,
                                 struct xw_error *err);

struct xw_snapshot_convert {
    const char *domain; /* off; its configuration file, or a VM whose file is known */
    const char *vdev;
    const char *from; /* NULL: what the configuration says; else it says "qcow2" already */
    bool edit_config; /* have the configuration say the new format, where it does not */
    bool discard_old; /* else the old image is kept under another name */
    bool dry_run;     /* find out whether it can be done, and change nothing */
};

/* What became of it, or would; strings belong to the operation. */
struct xw_snapshot_converted {
    const char *path;
    const char *from;   /* its format before; it is "qcow2" now */
    const char *old;    /* what the old image is called now; "": it was removed */
    const char *config; /* the configuration file */
    const char *backup; /* what that is kept as, as it was; "": it was not changed */
};

/*
 * Makes a disk whose format has no snapshots (raw, qcow, qed or vhd, in a file) a qcow2 image at
 * the same path. The two are compared before the new one takes the path. Everything in `how` is
 * copied. -EPERM: the configuration says the old format, and edit_config is not set; -EBUSY: the VM
 * runs, the image is in use, or a snapshot has it; -ENOTSUP: what it is on, or how the
 * configuration says its format, does not allow it.
 */
XW_PUBLIC int xw_snapshot_convert(struct xw_snapshots *snapshots,
                                  const struct xw_snapshot_convert *how,
                                  struct xw_snapshot_converted *converted,
                                  struct xw_operation **ret, struct xw_error *err);

/* Another name or (not NULL) another description. -EEXIST: the name is taken. */
XW_PUBLIC int xw_snapshot_rename(struct xw_snapshots *snapshots, const char *domain,
                                 const char *snapshot, const char *name, const char *description,
                                 struct xw_error *err);

struct xw_vm_save {
    const char *domain;
    const char *path;   /* of the file */
    const char *name;   /* of the snapshot; NULL: "saved-" and a number */
    bool checkpoint;    /* the guest goes on; else it is destroyed */
    bool paused;        /* it stays, and is paused */
    bool stop_copy;     /* with checkpoint: it stands still while its memory is written */
    bool force;         /* a file that is there already is replaced */
    bool dry_run;       /* find out whether it can be done, and change nothing */
};

/* What became of it, or would; it belongs to the operation. */
struct xw_vm_saved {
    const struct xw_snapshot *snapshot; /* of the disks */
    const char *path;                   /* of the file, absolute */
    uint64_t bytes;                     /* its size */
    bool stays;                         /* the guest is still there */
};

/*
 * Writes the guest's memory to a file that 'xl restore' takes too, and keeps its disks of the same
 * instant as a snapshot. The file is there only once it is whole. Where anything fails, the guest
 * goes on. -EEXIST: there is such a file, or snapshot. Everything in `how` is copied.
 */
XW_PUBLIC int xw_vm_save(struct xw_snapshots *snapshots, const struct xw_vm_save *how,
                         struct xw_vm_saved *saved, struct xw_operation **ret,
                         struct xw_error *err);

struct xw_vm_restore {
    const char *path;
    bool revert_disks;    /* put back disks that were written to since; else they are refused */
    bool discard_current; /* with that: do not keep their present state as a snapshot first */
    bool paused;          /* the guest is not let run */
    bool dry_run;         /* find out whether it can be done, and change nothing */
};

/* What became of it, or would; it belongs to the operation. */
struct xw_vm_restored {
    const struct xw_snapshot *snapshot; /* that has the disks of the file */
    const char *name;                   /* of the VM */
    const char *kept; /* the name of the snapshot of the state before; "": none was made */
    bool reverted;    /* the disks had been written to, and were put back */
    int64_t domid;    /* -1: dry_run */
};

/*
 * Has a guest go on from a file of xw_vm_save(). -ESTALE: its disks are not as they were then;
 * -ENOMSG: the file is of 'xl save' alone; -EBADMSG: it is damaged; -EXDEV: of another host;
 * -ENOENT: the file or the snapshot is not there; -EEXIST, -EBUSY: such a domain runs.
 */
XW_PUBLIC int xw_vm_restore(struct xw_snapshots *snapshots, const struct xw_vm_restore *how,
                            struct xw_vm_restored *restored, struct xw_operation **ret,
                            struct xw_error *err);

/*
 * Finishes or undoes what was interrupted, for one VM or (domain NULL) for all. *found becomes how
 * many operations that were. Every operation does so for its VM by itself.
 */
XW_PUBLIC int xw_snapshot_recover(struct xw_snapshots *snapshots, const char *domain,
                                  uint32_t *found, struct xw_error *err);

XW_END_DECLS

#endif
