/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/random.h"

#define READ_STEP 65536

/* One byte more tells a file that ends at the limit from one that goes on. */
static int expect_end(int fd, const char *path, size_t limit, struct xw_error *err)
{
    char byte;
    ssize_t n;

    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return xw_error_set_errno(err, "cannot read '%s'", path);
    if (n > 0)
        return xw_error_set(err, EFBIG, "'%s' is larger than the %zu bytes expected at most", path,
                            limit);
    return 0;
}

int xw_file_read(int dirfd, const char *path, size_t limit, struct xw_buffer *out,
                 struct xw_error *err)
{
    xw_auto_close int fd = -1;
    size_t left = limit;
    struct stat st;
    ssize_t n;

    /* Non-blocking: a pipe that nobody writes to reads as empty instead of waiting for ever. */
    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return xw_error_set_errno(err, "cannot read '%s'", path);
    if (S_ISDIR(st.st_mode))
        return xw_error_set(err, EISDIR, "cannot read '%s': it is a folder", path);
    if (left > out->limit - out->length)
        left = out->limit - out->length;
    while (left > 0) {
        n = xw_buffer_read(out, fd, left < READ_STEP ? left : READ_STEP, err);
        if (n == 0)
            return 0;
        if (n == -EAGAIN)
            return xw_error_set(err, EAGAIN, "cannot read '%s': nothing comes", path);
        if (n < 0) {
            xw_error_prefix(err, "cannot read '%s'", path);
            return (int)n;
        }
        left -= (size_t)n;
    }
    return expect_end(fd, path, limit, err);
}

int xw_file_write_all(int fd, const void *data, size_t size, const char *what,
                      struct xw_error *err)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xw_error_set_errno(err, "cannot write '%s'", what);
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The folder of `path`, as text: "." for a bare name, "/" for what lies there. */
static int folder_of(const char *path, char folder[PATH_MAX], struct xw_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;

    if (!slash)
        memcpy(folder, ".", 2);
    else if (length == 0)
        memcpy(folder, "/", 2);
    else if (length >= PATH_MAX)
        return xw_error_set(err, ENAMETOOLONG, "'%s' is too long a path", path);
    else
        snprintf(folder, PATH_MAX, "%.*s", (int)length, path);
    return 0;
}

int xw_file_sync_folder_of(int dirfd, const char *path, struct xw_error *err)
{
    xw_auto_close int fd = -1;
    char folder[PATH_MAX];
    int rc = folder_of(path, folder, err);

    if (rc < 0)
        return rc;
    fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* EINVAL: a file system that has no fsync for folders keeps their order itself. */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return xw_error_set_errno(err, "cannot sync folder '%s'", folder);
    return 0;
}

/* ".NAME.tmp-<random>" beside `path`, cut where it would pass the limits of names. */
static int temporary_beside(const char *path, char temporary[PATH_MAX], struct xw_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    int head = (int)(name - path);
    char digits[13];
    int rc;

    if (*name == '\0')
        return xw_error_set(err, EISDIR, "'%s' names a folder, not a file", path);
    rc = xw_random_hex(digits, sizeof(digits) - 1, err);
    if (rc < 0)
        return rc;
    if (snprintf(temporary, PATH_MAX, "%.*s.%.200s.tmp-%s", head, path, name, digits) >= PATH_MAX)
        return xw_error_set(err, ENAMETOOLONG, "'%s' is too long a path", path);
    return 0;
}

/* Everything up to the rename, on the temporary file. */
static int write_temporary(int fd, const void *data, size_t size, mode_t mode, const char *path,
                           struct xw_error *err)
{
    int rc = xw_file_write_all(fd, data, size, path, err);

    if (rc == 0 && fchmod(fd, mode) < 0)
        rc = xw_error_set_errno(err, "cannot set the mode of '%s'", path);
    if (rc == 0 && fsync(fd) < 0)
        rc = xw_error_set_errno(err, "cannot write '%s'", path);
    return rc;
}

int xw_file_write(int dirfd, const char *path, const void *data, size_t size, mode_t mode,
                  struct xw_error *err)
{
    char temporary[PATH_MAX];
    int fd, rc;

    rc = temporary_beside(path, temporary, err);
    if (rc < 0)
        return rc;
    fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return xw_error_set_errno(err, "cannot write '%s'", path);
    rc = write_temporary(fd, data, size, mode, path, err);
    if (close(fd) < 0 && rc == 0)
        rc = xw_error_set_errno(err, "cannot write '%s'", path);
    if (rc == 0 && renameat(dirfd, temporary, dirfd, path) < 0)
        rc = xw_error_set_errno(err, "cannot write '%s'", path);
    if (rc < 0) {
        unlinkat(dirfd, temporary, 0);
        return rc;
    }
    return xw_file_sync_folder_of(dirfd, path, err);
}

/* One level of xw_file_make_folders; `path` is cut off after it. */
static int make_folder(int dirfd, const char *path, mode_t mode, struct xw_error *err)
{
    struct stat st;

    if (mkdirat(dirfd, path, mode) == 0)
        return 0;
    if (errno == EEXIST && fstatat(dirfd, path, &st, 0) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        return xw_error_set(err, ENOTDIR, "cannot make folder '%s': a file of that name is there",
                            path);
    }
    /* A file system mounted read-only says so even of folders that exist. */
    if (errno == EROFS && fstatat(dirfd, path, &st, 0) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return xw_error_set_errno(err, "cannot make folder '%s'", path);
}

int xw_file_make_folders(int dirfd, const char *path, mode_t mode, struct xw_error *err)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    int rc;

    if (length == 0 || length >= sizeof(part))
        return xw_error_set(err, length ? ENAMETOOLONG : EINVAL,
                            "cannot make folder '%s': the path is %s", path,
                            length ? "too long" : "empty");
    memcpy(part, path, length + 1);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        rc = make_folder(dirfd, part, mode, err);
        *at = '/';
        if (rc < 0)
            return rc;
    }
    return make_folder(dirfd, part, mode, err);
}
