/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID/fd (proc_pid_fd(5)) and loop devices (loop(4)), compared by device and inode. */
#include "host/file-users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static bool same_file(const struct stat *a, const struct stat *b)
{
    if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
        return a->st_rdev == b->st_rdev;
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static void first_line(const char *path, char *out, size_t size)
{
    xw_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, out, size - 1) : -1;

    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

/* Processes come and go: one that is gone does not have the file open. */
static bool process_has(const char *pid, const struct stat *wanted)
{
    char path[PATH_MAX];
    xw_auto_closedir DIR *dir = NULL;
    struct dirent *entry;
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && same_file(&st, wanted))
            return true;
    }
    return false;
}

static bool find_process(DIR *proc, const struct stat *wanted, struct xw_file_user *ret)
{
    struct dirent *entry;
    char path[64];

    while ((entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid <= 0 || pid == getpid() || !process_has(entry->d_name, wanted))
            continue;
        ret->pid = pid;
        snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
        first_line(path, ret->name, sizeof(ret->name));
        return true;
    }
    return false;
}

/*
 * The loop device itself says which file it is on, also where another has taken that file's name
 * since; only root may ask it. Others have the name in /sys.
 */
static bool loop_has(const char *loop, const struct stat *wanted)
{
    char path[PATH_MAX], backing[PATH_MAX];
    struct loop_info64 info;
    xw_auto_close int fd = -1;
    struct stat st;

    snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", loop);
    first_line(path, backing, sizeof(backing));
    if (backing[0] != '/')
        return false;
    snprintf(path, sizeof(path), "/dev/%s", loop);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0) {
        if (S_ISBLK(wanted->st_mode))
            return info.lo_rdevice == wanted->st_rdev;
        return info.lo_device == wanted->st_dev && info.lo_inode == wanted->st_ino;
    }
    return stat(backing, &st) == 0 && same_file(&st, wanted);
}

static bool find_loop(const struct stat *wanted, struct xw_file_user *ret)
{
    xw_auto_closedir DIR *dir = opendir("/sys/block");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "loop", 4) != 0 || !loop_has(entry->d_name, wanted))
            continue;
        ret->pid = 0;
        snprintf(ret->name, sizeof(ret->name), "%.60s", entry->d_name);
        return true;
    }
    return false;
}

bool xw_file_user_of(const struct stat *file, struct xw_file_user *ret)
{
    xw_auto_closedir DIR *proc = opendir("/proc");

    return proc && find_process(proc, file, ret);
}

int xw_file_user(const char *path, struct xw_file_user *ret, struct xw_error *err)
{
    xw_auto_closedir DIR *proc = opendir("/proc");
    struct xw_file_user user = {0};
    struct stat st;
    bool found;

    if (stat(path, &st) < 0)
        return xw_error_set_errno(err, "'%s'", path);
    if (!proc)
        return xw_error_set_errno(err, "/proc: who has '%s' open cannot be told", path);
    found = find_process(proc, &st, &user) || find_loop(&st, &user);
    if (found && ret)
        *ret = user;
    return found;
}
