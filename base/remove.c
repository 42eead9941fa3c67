/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Removing a tree without ever leaving it: every step by a descriptor of the folder above. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define MOST_LEVELS 256

static int remove_entry(int dirfd, const char *name, dev_t device, int level,
                        struct xw_error *err);

/* What `dir` holds. It may change meanwhile; names that are gone already are fine. */
static int empty_folder(DIR *dir, const char *name, dev_t device, int level, struct xw_error *err)
{
    struct dirent *entry;
    int rc;

    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        rc = remove_entry(dirfd(dir), entry->d_name, device, level + 1, err);
        if (rc < 0)
            return rc;
    }
    if (errno != 0)
        return xw_error_set_errno(err, "cannot list folder '%s'", name);
    return 0;
}

/*
 * Open a folder for emptying it, giving ourselves the permission where it was taken away. Looks
 * first whether it still is the folder that was seen, so that nothing put in its place meanwhile is
 * touched.
 */
static int open_folder(int parent, const char *name, const struct stat *seen,
                       struct xw_error *err)
{
    xw_auto_close int handle = -1;
    struct stat st;
    char link[32];
    int fd;

    handle = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (handle < 0 || fstat(handle, &st) < 0)
        return xw_error_set_errno(err, "cannot open folder '%s'", name);
    if (st.st_dev != seen->st_dev || st.st_ino != seen->st_ino)
        return xw_error_set(err, EAGAIN, "folder '%s' was replaced while it was removed", name);
    /* A descriptor made with O_PATH has no fchmod; its name under /proc has chmod. */
    snprintf(link, sizeof(link), "/proc/self/fd/%d", handle);
    if ((st.st_mode & S_IRWXU) != S_IRWXU && chmod(link, 0700) < 0 && errno != EPERM)
        return xw_error_set_errno(err, "cannot make folder '%s' writable", name);
    fd = openat(handle, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return xw_error_set_errno(err, "cannot open folder '%s'", name);
    return fd;
}

static int remove_folder(int parent, const char *name, const struct stat *st, int level,
                         struct xw_error *err)
{
    xw_auto_closedir DIR *dir = NULL;
    int fd, rc;

    if (level >= MOST_LEVELS)
        return xw_error_set(err, ELOOP, "folder '%s' lies more than %d levels deep", name,
                            MOST_LEVELS);
    fd = open_folder(parent, name, st, err);
    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (!dir) {
        rc = xw_error_set_errno(err, "cannot list folder '%s'", name);
        close(fd);
        return rc;
    }
    rc = empty_folder(dir, name, st->st_dev, level, err);
    if (rc < 0)
        return rc;
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return xw_error_set_errno(err, "cannot remove folder '%s'", name);
    return 0;
}

static int remove_entry(int parent, const char *name, dev_t device, int level,
                        struct xw_error *err)
{
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return xw_error_set_errno(err, "cannot remove '%s'", name);
    }
    if (level > 0 && st.st_dev != device)
        return xw_error_set(err, EXDEV, "something is mounted on '%s'; unmount it first", name);
    if (S_ISDIR(st.st_mode))
        return remove_folder(parent, name, &st, level, err);
    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        return xw_error_set_errno(err, "cannot remove '%s'", name);
    return 0;
}

int xw_file_remove_tree(int dirfd, const char *path, struct xw_error *err)
{
    char name[PATH_MAX];
    size_t length = strlen(path);
    const char *last;
    int rc;

    /* With a slash at the end a symbolic link would be followed. */
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof(name))
        return xw_error_set(err, length ? ENAMETOOLONG : EINVAL, "cannot remove '%s'", path);
    snprintf(name, sizeof(name), "%.*s", (int)length, path);
    last = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return xw_error_set(err, EINVAL, "cannot remove '%s': give the folder's own name", path);
    rc = remove_entry(dirfd, name, 0, 0, err);
    if (rc < 0)
        xw_error_prefix(err, "removing '%s'", path);
    return rc;
}
