/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define LONGEST_PAUSE_MS 250

/* 0, or -1 with errno: EAGAIN when somebody else holds it. */
static int try_lock(int fd, enum xw_lock_kind kind)
{
    struct flock lock = {.l_type = kind == XW_LOCK_SHARED ? F_RDLCK : F_WRLCK,
                         .l_whence = SEEK_SET};
    int rc = fcntl(fd, F_OFD_SETLK, &lock);

    if (rc < 0 && errno == EACCES)
        errno = EAGAIN;
    return rc;
}

/* The pid that the holder wrote into the file; 0 where there is none. */
static pid_t holder_of(int fd)
{
    char text[24], *end;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    long pid;

    if (n <= 0)
        return 0;
    text[n] = '\0';
    pid = strtol(text, &end, 10);
    return pid > 0 && *end == '\n' ? (pid_t)pid : 0;
}

static int report_busy(int fd, const char *path, struct xw_error *err)
{
    pid_t pid = holder_of(fd);

    if (pid > 0)
        return xw_error_set(err, EBUSY, "'%s' is locked by process %d; wait until it is done", path,
                            (int)pid);
    return xw_error_set(err, EBUSY, "'%s' is locked by another process; wait until it is done",
                        path);
}

/*
 * A watch that tells when somebody closes the file, as a holder does on giving the lock back. -1
 * where the system has none left: then the pauses below do all the work.
 */
static int watch(int fd)
{
    int watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    char link[32];

    if (watcher < 0)
        return -1;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (inotify_add_watch(watcher, link, IN_CLOSE) < 0) {
        close(watcher);
        return -1;
    }
    return watcher;
}

/* Wait for a close or for `pause` ms; true when it was a close. */
static bool wait_for_close(int watcher, int pause)
{
    struct pollfd poller = {.fd = watcher, .events = POLLIN};
    char events[4096];

    if (poll(&poller, 1, pause) <= 0)
        return false;
    while (read(watcher, events, sizeof(events)) > 0)
        continue;
    return true;
}

static int wait_for_lock(int fd, enum xw_lock_kind kind, const char *path, int64_t deadline,
                         struct xw_error *err)
{
    xw_auto_close int watcher = -1;
    int pause = 1, left;

    while (try_lock(fd, kind) < 0) {
        if (errno != EAGAIN)
            return xw_error_set_errno(err, "cannot lock '%s'", path);
        left = xw_deadline_left(deadline);
        if (left == 0)
            return report_busy(fd, path, err);
        if (watcher < 0)
            watcher = watch(fd);
        /*
         * When a holder is killed the close is told a moment before the lock is gone: so short
         * pauses follow each close.
         */
        if (wait_for_close(watcher, left > 0 && left < pause ? left : pause))
            pause = 1;
        else if (pause < LONGEST_PAUSE_MS)
            pause *= 2;
    }
    return 0;
}

/* Whether the path still leads to the file that was locked. */
static bool is_current(int fd, int dirfd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && fstatat(dirfd, path, &there, 0) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* For messages only: that it cannot be written is no reason not to hold the lock. */
static void write_holder(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) < 0)
        return;
}

int xw_lock_take(struct xw_lock *lock, int dirfd, const char *path, enum xw_lock_kind kind,
                 int timeout_ms, struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);
    int fd, rc;

    for (;;) {
        fd = openat(dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0)
            return xw_error_set_errno(err, "cannot open lock '%s'", path);
        rc = wait_for_lock(fd, kind, path, deadline, err);
        if (rc == 0 && is_current(fd, dirfd, path))
            break;
        close(fd);
        if (rc < 0)
            return rc;
    }
    if (kind == XW_LOCK_EXCLUSIVE)
        write_holder(fd);
    lock->fd = fd;
    return 0;
}

void xw_lock_release(struct xw_lock *lock)
{
    int saved = errno;

    if (lock->fd < 0)
        return;
    close(lock->fd);
    lock->fd = -1;
    errno = saved;
}

bool xw_lock_is_held(int dirfd, const char *path, pid_t *ret_pid)
{
    xw_auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    if (ret_pid)
        *ret_pid = 0;
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
        return false;
    if (ret_pid)
        *ret_pid = holder_of(fd);
    return true;
}
