/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * States: a host that has booted, frozen at the moment when everything in it is ready.
 *
 * states/KEY holds ram.img (the memory; sparse), device.state (all else of the machine),
 * disk.qcow2 (what the boot changed on dom0's disk), the booted files, and manifest.json.
 * Labs map ram.img privately and put an overlay on disk.qcow2, so any number of them wakes from one
 * state, in the time it takes to start QEMU.
 *
 * KEY is a hash over all that a state depends on (the image, QEMU's version, the machine's shape,
 * the agent) and one that no other state has (lab/shelf.h). A state is never changed; what no
 * longer fits is simply not found.
 */
#ifndef LAB_STATE_H
#define LAB_STATE_H

#include "lab/data.h"
#include "lab/image.h"
#include "lab/machine.h"

struct lab_state {
    char key[LAB_KEY_MAX]; /* of one that is not there: without its last part */
    bool there;
    bool made; /* by this call */
};

/*
 * Complete the machine (its files become those of the state), and find its state or boot and freeze
 * one. A damaged state is set aside with a warning and made again. Waits for somebody who is
 * making the same one. Of a boot that fails it is kept as of a try of `lab` (lab/failed.h).
 */
int lab_state_get(const struct lab_place *place, const char *lab, const struct lab_data *data,
                  const struct lab_image *image, const struct lab_qemu *qemu,
                  struct lab_machine *machine, const struct lab_reporter *reporter,
                  struct lab_state *ret, struct xw_error *err);

/*
 * Make the boot files of a machine in `folder` (xen, vmlinuz, initrd.img with the agent) from the
 * image, or from the files the machine names itself, and name them in the machine; `path` is the
 * folder as seen from labs/.
 */
int lab_state_boot_files(const struct lab_place *place, const struct lab_data *data,
                         const struct lab_image *image, int folder, const char *path,
                         struct lab_machine *machine, struct xw_error *err);

/* Wait until the agent of a booting lab answers and the host is ready for guests. */
int lab_state_wait_ready(const struct lab_place *place, const char *name, pid_t pid,
                         const struct lab_reporter *reporter, struct xw_error *err);

/* Only look for it. clear: damaged ones are set aside. */
int lab_state_find(const struct lab_place *place, const struct lab_data *data,
                   const struct lab_image *image, const struct lab_qemu *qemu,
                   const struct lab_machine *machine, bool clear, struct lab_state *ret,
                   struct xw_error *err);

#endif
