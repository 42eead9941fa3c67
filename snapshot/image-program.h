/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A qemu-img that works on whole images, while an operation waits and tells how far it is. */
#ifndef XENWRIGHT_SNAPSHOT_IMAGE_PROGRAM_H
#define XENWRIGHT_SNAPSHOT_IMAGE_PROGRAM_H

#include "base/operation.h"
#include "base/spawn.h"

struct xw_image_program {
    struct xw_child child; /* pid 0: none runs */
    int timer;             /* readable when it is worth another look; -1: not open */
};

#define XW_IMAGE_PROGRAM_INIT {.timer = -1}

/* Start it; the operation's next steps are for xw_image_program_check(). 1, or a negative errno. */
int xw_image_program_start(struct xw_image_program *program, struct xw_operation *operation,
                           const char *const *argv, struct xw_error *err);

/*
 * 1: it runs. 0: it has ended; *status is its exit status, or -1 where it was ended by a signal.
 * What it had to say went to our stderr.
 */
int xw_image_program_check(struct xw_image_program *program, int *status);

/* Tell `step`, with the space that the file it makes takes so far, of `total` bytes. */
void xw_image_program_report(struct xw_operation *operation, const char *step, const char *path,
                             uint64_t total);

/* End one that runs, and close the timer. */
void xw_image_program_stop(struct xw_image_program *program);

#endif
