/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a file or block device open, as far as this host can see. */
#ifndef XENWRIGHT_HOST_FILE_USERS_H
#define XENWRIGHT_HOST_FILE_USERS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <xenwright/error.h>

struct xw_file_user {
    pid_t pid;       /* 0: the kernel, by a loop device */
    char name[64];   /* of the program, or of the loop device */
};

/*
 * Whether the file that `path` leads to is open in a process other than this one, or lies beneath a
 * loop device; *ret (may be NULL) names one. 1: it is; 0: it is not; negative: it cannot be told
 * (no such file). A user who is not root sees only processes of his own. What the kernel has open
 * by itself (a mounted block device, blkback on one) does not show here.
 */
int xw_file_user(const char *path, struct xw_file_user *ret, struct xw_error *err);

/* The process that has this file (a socket, too: st_dev and st_ino) open. false: none is seen. */
bool xw_file_user_of(const struct stat *file, struct xw_file_user *ret);

#endif
