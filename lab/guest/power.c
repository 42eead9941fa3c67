/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel runs as /sbin/poweroff and /sbin/reboot when the toolstack asks for it, and what
 * people run by hand.  There is no init system to be asked: it is done right here.
 */
#include "lab/guest/power.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#define MOUNTS_MAX 64

/* Only what lies on a disk; in the reverse of the order in which it was mounted. */
static void unmount_disks(void)
{
    char *where[MOUNTS_MAX];
    int count = 0;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    const struct mntent *entry;

    while (mounts && count < MOUNTS_MAX && (entry = getmntent(mounts)))
        if (strncmp(entry->mnt_fsname, "/dev/", 5) == 0)
            where[count++] = strdup(entry->mnt_dir);
    if (mounts)
        endmntent(mounts);
    while (count-- > 0) {
        if (umount2(where[count], 0) < 0)
            dprintf(2, "xenwright-guest: %s: %s\n", where[count], strerror(errno));
        free(where[count]);
    }
}

int power_down(int command)
{
    /* Who started this may be gone in a moment, and whoever reads its output with it. */
    int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (console >= 0)
        dup2(console, 1);
    dup2(1, 2);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    kill(-1, SIGTERM);
    poll(NULL, 0, 50);
    kill(-1, SIGKILL);
    sync();
    unmount_disks();
    dprintf(1, "xenwright-guest: %s\n", command == RB_AUTOBOOT ? "reboot" : "power off");
    reboot(command);
    dprintf(2, "xenwright-guest: reboot: %s\n", strerror(errno));
    return 1;
}
