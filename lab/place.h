/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where labs live: $XENWRIGHT_CACHE, or ~/.cache/xenwright.
 *
 *     images/KEY/    disk and kernels of a dom0, made from packages        (lab/image.h)
 *     states/KEY/    a booted host, frozen                                 (lab/state.h)
 *     labs/NAME/     one lab: its record, its disk, its sockets, its log   (lab/record.h)
 *     labs/.lock-*   locks; beside the folders, since those come and go
 *     labs/.failed-NAME/  what is left of the last try to bring it up that failed  (lab/failed.h)
 *     labs/.nets/    sockets of the switches between labs                  (lab/hub.h)
 *     ssh/           the key pair that labs let in
 *     tmp/           half-made things; whatever is found there without a lock may go
 *
 * QEMU runs with labs/ as its working directory and gets names relative to it, so that the length
 * of the cache's own path does not matter to the sockets in it.
 */
#ifndef LAB_PLACE_H
#define LAB_PLACE_H

#include <limits.h>

#include <xenwright/error.h>

struct lab_place {
    char path[PATH_MAX]; /* of the cache, absolute */
    int cache, images, states, labs; /* descriptors of the folders */
};

#define LAB_PLACE_INIT {.cache = -1, .images = -1, .states = -1, .labs = -1}

/* Open the cache, making what is not there (mode 0700). */
int lab_place_open(struct lab_place *place, struct xw_error *err);

void lab_place_close(struct lab_place *place);

/* Longest name of a lab, a saved state or a network. It becomes a host name and part of socket
 * names. */
#define LAB_NAME_MAX 32

/*
 * Whether `name` can be the name of a `what` ("lab", "state", "network"): letters, digits and "-",
 * not first or last (a host name label, RFC 1123 section 2.1), up to LAB_NAME_MAX. -EINVAL.
 */
int lab_name_check(const char *what, const char *name, struct xw_error *err);

#endif
