/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xenwright-guest: test guests, as seen from the dom0 that runs them. */
#ifndef LAB_GUEST_GUEST_H
#define LAB_GUEST_GUEST_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <xenwright/error.h>
#include <xenwright/xenstore.h>

#include "base/lock.h"
#include "lab/client.h"

/* Made by make-base when the host's image was built. */
#define GUEST_DATA_DIR "/usr/lib/xenwright/guest"
/* Configurations and ramdisks of the guests of this boot. */
#define GUEST_RUN_DIR "/run/xenwright/guests"
/* Where a guest's agent announces its streams, beneath the guest's own part of xenstore. */
#define GUEST_AGENT_PATH "data/xenwright/agent"
#define GUEST_STREAMS 4

#define GUEST_LIST_MAX 32

struct guest_options {
    const char *name;
    const char *type; /* "pv", "pvh", "hvm" */
    unsigned memory_mib;
    unsigned vcpus;
    const char *disks[GUEST_LIST_MAX + 1]; /* as xl takes them; ends with NULL */
    const char *vifs[GUEST_LIST_MAX + 1];
    const char *ip;      /* ADDRESS/BITS, or NULL */
    const char *gateway; /* or NULL */
    const char *extra;   /* more of the kernel's command line, or NULL */
    const char *config_only; /* write the configuration there and do no more */
    bool no_agent;
    bool qga; /* qemu-guest-agent on a channel */
    bool paused;
    int timeout_s;
};

/* Writes the guest's xl configuration to `path`.  `ramdisk` is the path of its ramdisk. */
int guest_config_write(const struct guest_options *options, const char *ramdisk, const char *path,
                       struct xw_error *err);

/* Makes the ramdisk, unless it is there already: busybox and drivers, this package's programs, and
 * qemu-guest-agent if asked for.  Its path depends on what is in it. */
int guest_ramdisk_make(bool qga, char path[static PATH_MAX], struct xw_error *err);

/* Makes the guest and waits until its agent answers. */
int guest_create(const struct guest_options *options, struct xw_error *err);

/* A stream to a guest's agent. */
struct guest_stream {
    char name[128];
    int domid;
    struct xw_xenstore *xs;
    int watched; /* the domain whose coming and going xs reports, or -1 */
    struct xw_lock lock;
    struct lab_client *client;
};

/* Finds the guest's agent and one of its streams that nobody uses, waiting for both up to
 * timeout_ms (below 0: for ever).  -ENOENT: there is no such guest, or it is gone.  To be closed
 * only if this succeeded. */
int guest_stream_open(struct guest_stream *stream, const char *name, int timeout_ms,
                      struct xw_error *err);
void guest_stream_close(struct guest_stream *stream);

/* Has xenstore tell when the guest's agent announces itself, and when any domain ends. */
int guest_stream_watch(struct guest_stream *stream, struct xw_error *err);
/* Whether the domain is still there.  One that xl keeps although it crashed is. */
bool guest_stream_alive(const struct guest_stream *stream);

/* Carries the client on until its request is done, or the guest is gone (-ECONNRESET): a vchan
 * says nothing about that.  Unless `signals` is -1, what that signalfd gets is passed on. */
int guest_drive(struct guest_stream *stream, int signals, struct xw_error *err);

/* The size of the caller's terminal, or 80 x 24. */
void guest_window_size(uint16_t *columns, uint16_t *rows);

/* Runs a program in the guest with the caller's own streams.  Returns its exit status (128 and the
 * number for a signal), or a negative errno. */
int guest_exec(const char *name, const char *const *argv, bool tty, int timeout_ms,
               struct xw_error *err);

#endif
