/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking after a lab that is not answering: now and then at its processors, often once one of them
 * might be spinning inside Xen, and an NMI when it is (lab/hang.h).
 *
 * QEMU's monitor serves one client at a time, so the connection is held for one look only.
 */
#ifndef XW_LAB_HANG_WATCH_H
#define XW_LAB_HANG_WATCH_H

#include "lab/hang.h"
#include "lab/place.h"

/* Between looks while nothing is suspicious; LAB_HANG_INTERVAL_MS otherwise. */
#define LAB_HANG_CALM_MS 500

/* What Xen gets after the NMI to begin with its backtrace, for each pause in it, and for all of it.
 */
#define LAB_HANG_NMI_MS 700
#define LAB_HANG_REPORT_MS 10000

struct lab_hang_watch;

/* How to look and how to send an NMI; both return 0 or a negative errno value. */
struct lab_hang_eyes {
    int (*look)(void *opaque, struct lab_vcpus *ret);
    int (*rouse)(void *opaque);
    void *opaque;
};

/* Those of a lab, by its QEMU's monitor. opaque: a struct lab_hang_target that outlives the watch.
 */
struct lab_hang_target {
    const struct lab_place *place;
    const char *name; /* of the lab's folder */
};
struct lab_hang_eyes lab_hang_eyes_of(struct lab_hang_target *target);

/* The first look comes LAB_HANG_CALM_MS after now_ms (xw_clock_ms). Free with lab_hang_watch_free.
 */
int lab_hang_watch_new(const struct lab_hang_eyes *eyes, int64_t now_ms,
                       struct lab_hang_watch **ret, struct xw_error *err);
void lab_hang_watch_free(struct lab_hang_watch *watch); /* NULL is fine */

/* When lab_hang_watch_step wants to be called next; a moment of xw_clock_ms. */
int64_t lab_hang_watch_next(const struct lab_hang_watch *watch);

/* The console said something: after an NMI that is Xen at its backtrace, and worth waiting for. */
void lab_hang_watch_heard(struct lab_hang_watch *watch, int64_t now_ms);

/*
 * Looks, if it is time. 0: go on. -EIO: Xen hangs, and an NMI has brought no report in time; what
 * it does say is for whoever reads the console (lab/crash.h). A monitor that cannot be reached is
 * no news, and an NMI that could not be sent is sent again.
 */
int lab_hang_watch_step(struct lab_hang_watch *watch, int64_t now_ms, struct xw_error *err);

#endif
