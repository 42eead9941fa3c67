/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine that a lab is: what QEMU is started with.
 *
 * A frozen host (lab/state.h) can only be woken in a machine of the same shape, so the shape is
 * part of a state's key: QEMU's version, accelerator, processors, memory, and what was booted. The
 * rest (disk overlay, sockets, network) may differ from lab to lab.
 *
 * Disks and networks that a user adds are plugged into PCI slots of their own, while the host
 * runs or, when a saved state already knows them, before it starts.
 */
#ifndef LAB_MACHINE_H
#define LAB_MACHINE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/spawn.h"
#include "lab/place.h"
#include "lab/qemu.h"

#define LAB_CHANNELS 16 /* commands that can run in a lab at once: ports of the agent */
#define LAB_CHANNEL_PORT "org.xenwright.exec"
#define LAB_ARGS_MAX 1024
#define LAB_FILE_MAX 512

/* The shape. Paths are relative to the folder of labs, or absolute. */
struct lab_machine {
    unsigned cpus;
    unsigned memory; /* MiB */
    char accel[8];   /* "kvm" or "tcg" */
    bool icount;     /* virtual time by counted instructions: deterministic, slower */
    char xen[LAB_FILE_MAX], kernel[LAB_FILE_MAX], initrd[LAB_FILE_MAX];
    char xen_args[LAB_ARGS_MAX], dom0_args[LAB_ARGS_MAX]; /* behind ours */
};

/* To and from JSON (of lab.json and of a state's manifest). */
json_t *lab_machine_json(const struct lab_machine *machine);
int lab_machine_parse(const json_t *json, struct lab_machine *ret, struct xw_error *err);

/* Where the memory of the host comes from. */
enum lab_memory {
    LAB_MEMORY_FRESH,  /* empty */
    LAB_MEMORY_SHARED, /* a file, changes go there: to make a state */
    LAB_MEMORY_CLONE,  /* a file, changes stay in the process: to wake a state */
};

/* One start of a machine. */
struct lab_start {
    const char *name;   /* of its folder in labs/ */
    const char *disk;   /* the overlay of dom0's disk, relative to labs/ */
    enum lab_memory memory;
    const char *ram;    /* the file, relative to labs/; NULL for LAB_MEMORY_FRESH */
    bool wait_state;    /* wait for a state to be loaded, do not boot */
    bool gdb;           /* a debugger may attach to NAME/gdb */
    const char *mac;    /* of the management network card */
    const json_t *disks, *links; /* as in lab.json (lab/plug.h); NULL: none */
    bool passing;       /* to end with the process that starts it: it has no record of its own */
    int alive_fd;       /* a locked file for QEMU to inherit: the lock tells that it lives */
};

/*
 * Start QEMU, detached, with labs/ as its working directory. Returns when it listens for QMP or has
 * failed (the message holds what it said). *ret_pid: its process.
 */
int lab_machine_start(const struct lab_place *place, const struct lab_qemu *qemu,
                      const struct lab_machine *machine, const struct lab_start *start,
                      pid_t *ret_pid, struct xw_error *err);

/* The -device options of one entry of disks and links: also used to plug it in (lab/plug.h). */
struct lab_plug {
    char backend[1536]; /* -blockdev or -netdev, JSON */
    char device[512];   /* -device, JSON */
    bool is_disk;
};
int lab_plug_disk(const json_t *disk, struct lab_plug *ret, struct xw_error *err);
int lab_plug_link(const json_t *link, const char *name, struct lab_plug *ret, struct xw_error *err);

#endif
