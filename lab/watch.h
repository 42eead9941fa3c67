/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watching a lab while waiting for something in it: an answer may never come because QEMU has ended
 * or Xen has crashed. The console log is followed (inotify) and read for crashes (lab/crash.h),
 * QEMU's process is watched (pidfd).
 */
#ifndef LAB_WATCH_H
#define LAB_WATCH_H

#include <poll.h>
#include <stdbool.h>

#include "lab/client.h"
#include "lab/place.h"

struct lab_watch;

/*
 * name: the lab's folder. pid: its QEMU. The end of what the console log holds already is read too:
 * a lab whose Xen is dead is found dead. -ECONNRESET where QEMU has ended. Free with
 * lab_watch_free.
 */
int lab_watch_open(const struct lab_place *place, const char *name, pid_t pid,
                   struct lab_watch **ret, struct xw_error *err);
void lab_watch_free(struct lab_watch *watch);

/*
 * Do not look for hangs: while Xen boots, it works with interrupts off for long, and a wrong
 * suspicion is the end of the lab.
 */
void lab_watch_spare_hangs(struct lab_watch *watch);

#define LAB_WATCH_POLLFDS 2

/* What to wait for, beside the caller's own; lowers *timeout_ms where it wants to look earlier. */
size_t lab_watch_pollfds(const struct lab_watch *watch, struct pollfd fds[LAB_WATCH_POLLFDS],
                         int *timeout_ms);

/*
 * After poll, whatever came. -ECONNRESET: QEMU has ended. -EIO: Xen has crashed; the report is in
 * NAME/crash.json and its gist in the message.
 */
int lab_watch_check(struct lab_watch *watch, struct xw_error *err);

/*
 * What a client's step has returned, for what it means: a lost connection (-ECONNRESET) is as a
 * rule that of a QEMU which is ending at this moment, or of a Xen that has crashed, and err tells
 * that then.
 */
int lab_watch_explain(struct lab_watch *watch, int rc, struct xw_error *err);

/*
 * The last line on the console, "" at first; for showing what a boot is at. Owned by the watch.
 */
const char *lab_watch_last_line(const struct lab_watch *watch);

/* Carry on what was begun at the client (lab/client.h) until it is done, watching the lab. */
int lab_watch_drive(struct lab_watch *watch, struct lab_client *client, struct xw_error *err);

#endif
