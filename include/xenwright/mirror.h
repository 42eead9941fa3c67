/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mirrors: the disk of a running guest, copied to another place and kept in step there; and the
 * migration of a guest with its disks.
 *
 * The guest's own QEMU does the copying (blockdev-mirror), so a mirror lives on when the program
 * that started it has ended, and ends with that QEMU: at the latest when the guest does. The guest
 * never waits for the target, and never sees an error of it.
 *
 * A target is the path of a file, or HOST:PATH, where HOST is anything that ssh(1) takes; there the
 * image is served by qemu-storage-daemon(1), through a socket that ssh forwards.
 */
#ifndef XENWRIGHT_MIRROR_H
#define XENWRIGHT_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include <xenwright/error.h>
#include <xenwright/operation.h>

XW_BEGIN_DECLS

struct xw_snapshots; /* snapshot.h: mirrors are kept in its folder */

enum xw_mirror_state {
    XW_MIRROR_COPYING,     /* not all of the disk is at the target yet */
    XW_MIRROR_READY,       /* in step: it can be ended with a whole copy at any moment */
    XW_MIRROR_INTERRUPTED, /* the target cannot be written to; what changes is remembered */
    XW_MIRROR_ENDED        /* the guest has ended or was started anew: the target is behind */
};

/* "copying", "in step", "interrupted", "ended". Static. */
XW_PUBLIC const char *xw_mirror_state_name(enum xw_mirror_state state);

/* A mirror. All lists are chains through `next`; fields are only ever appended. */
struct xw_mirror {
    struct xw_mirror *next;
    char id[17];   /* 16 hexadecimal digits */
    char *domain;  /* the guest's name when it was started */
    char uuid[37]; /* and its UUID */
    uint32_t domid;
    char *vdev;
    char *path;         /* of the disk */
    char *target;       /* as it is to be named: an absolute path, or HOST:PATH */
    char *format;       /* of the image there: "raw", "qcow2" */
    int64_t created_ms; /* since 1970, UTC */
    /* What QEMU says of it; only filled by xw_mirror_list(). */
    enum xw_mirror_state state;
    uint64_t done, total; /* bytes: what has been copied of what had to be; total grows */
    uint64_t limit;       /* bytes per second; 0: none */
    bool kept;            /* a process of ours restores the link to another host */
};

/*
 * The mirrors of this host, or (not NULL) those of a domain or one of its disks. No mirror is no
 * error. A record that cannot be read is left out. Free with xw_mirror_free().
 */
XW_PUBLIC int xw_mirror_list(struct xw_snapshots *snapshots, const char *domain, const char *vdev,
                             struct xw_mirror **ret, struct xw_error *err);
XW_PUBLIC void xw_mirror_free(struct xw_mirror *mirrors); /* a whole chain; NULL is allowed */

struct xw_mirror_start {
    const char *domain;
    const char *vdev;
    const char *target; /* nothing may be there yet, but what an ended mirror to it has left */
    const char *format; /* "raw", "qcow2"; NULL: that of the disk */
    uint64_t limit;     /* bytes per second; 0: none */
    bool wait; /* the operation ends when it is in step; fails where it is interrupted, not kept */
    bool dry_run; /* find out whether it can be done, and change nothing */
};

/* What became of it; strings belong to the operation. */
struct xw_mirror_started {
    const struct xw_mirror *mirror;
    bool running; /* it was there already: its limit was set, and if interrupted it goes on */
    bool again;   /* an earlier one to this target had ended: all is copied again */
    bool remote;  /* a process is to call xw_mirror_keep() for it */
};

/*
 * Starts a mirror. Everything in `how` is copied. Where a mirror of the disk to that target runs
 * already it is made to go on. -EBUSY: the disk is being mirrored to another target; -ENOTSUP: no
 * QEMU is in its path (or none that can), with what to do; -EEXIST: the target is there already.
 */
XW_PUBLIC int xw_mirror_start(struct xw_snapshots *snapshots, const struct xw_mirror_start *how,
                              struct xw_mirror_started *started, struct xw_operation **ret,
                              struct xw_error *err);

/*
 * Ends a mirror. The target then is the disk as it was at one moment of the call (crash
 * consistent). `abandon`: at once, whatever it is; without it -EBUSY where it is not in step.
 * *whole: whether the target is a whole copy.
 */
XW_PUBLIC int xw_mirror_stop(struct xw_snapshots *snapshots, const char *domain, const char *vdev,
                             bool abandon, bool *whole, struct xw_error *err);

/*
 * Looks after the link of a mirror to another host, until the mirror is no more: meant for a
 * process of its own, which outlives the one that called xw_mirror_start(). Without it the mirror
 * runs, but does not go on by itself once the link was cut. Returns 0 at once where another process
 * does this already.
 */
XW_PUBLIC int xw_mirror_keep(struct xw_snapshots *snapshots, const char *id, struct xw_error *err);

struct xw_migrate {
    const char *domain;
    const char *host;    /* as ssh(1) takes it; there the disks get the paths that they have here */
    const char *program; /* called by xl as "PROGRAM __migrate SOCKET": xw_migrate_connect() */
    uint64_t limit;      /* for copying: bytes per second and disk; 0: none */
    bool dry_run;        /* find out whether it can be done, as far as that can be seen from here */
};

/* What became of it. */
struct xw_migrated {
    uint32_t disks;
    int64_t switch_us; /* how long the suspended guest waited for the end of the mirrors */
};

/*
 * Migrates a running guest with its disks: mirrors them to `host`, and has `xl migrate` do the
 * rest; the mirrors end when the guest is suspended, before anything there opens the images. On any
 * failure the guest runs on here. The disks here are left as they were when it went. -ENOTSUP: a
 * disk or a guest with which that cannot be done, with what to do. Everything in `how` is copied.
 */
XW_PUBLIC int xw_migrate_storage(struct xw_snapshots *snapshots, const struct xw_migrate *how,
                                 struct xw_migrated *migrated, struct xw_operation **ret,
                                 struct xw_error *err);

/*
 * The body of the program that xl is given in place of ssh: hands its standard input and output to
 * the operation at `socket`, and waits for its end.
 */
XW_PUBLIC int xw_migrate_connect(const char *socket, struct xw_error *err);

XW_END_DECLS

#endif
