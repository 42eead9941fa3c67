/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libxl-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* flock(2) knows no time limit, and no event tells that a lock is free. */
#define TRY_AGAIN_MS 5

/* Whoever gives a lock back removes the file: the one that was locked may be another by then. */
static bool is_current(int fd, const char *path)
{
    struct stat held, there;

    return fstat(fd, &held) == 0 && stat(path, &there) == 0 && held.st_dev == there.st_dev &&
           held.st_ino == there.st_ino;
}

/* 1: held; 0: somebody else has it; negative errno. */
static int try_once(struct xw_libxl_lock *lock)
{
    int saved;

    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->fd < 0) {
        saved = errno;
        lock->fd = 0;
        return -saved;
    }
    if (flock(lock->fd, LOCK_EX | LOCK_NB) == 0 && is_current(lock->fd, lock->path))
        return 1;
    close(lock->fd);
    lock->fd = 0;
    return 0;
}

int xw_libxl_lock_take(struct xw_libxl_lock *lock, uint32_t domid, const char *uuid,
                       const char *name, int timeout_ms, struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);
    int got;

    snprintf(lock->path, sizeof(lock->path), "/var/lib/xen/userdata-l.%" PRIu32 ".%s.%s", domid,
             uuid, name);
    while ((got = try_once(lock)) == 0) {
        if (xw_deadline_left(deadline) == 0)
            return xw_error_set(err, EBUSY,
                                "domain %" PRIu32
                                ": another command of the toolstack is at work on "
                                "it (%s is held); try again when that has ended",
                                domid, lock->path);
        nanosleep(&(struct timespec){.tv_nsec = TRY_AGAIN_MS * 1000000}, NULL);
    }
    if (got > 0)
        return 0;
    errno = -got;
    return xw_error_set_errno(err, "domain %" PRIu32 ": the toolstack's lock %s", domid,
                              lock->path);
}

void xw_libxl_lock_release(struct xw_libxl_lock *lock)
{
    if (lock->fd <= 0)
        return;
    unlink(lock->path);
    close(lock->fd);
    lock->fd = 0;
}
