/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * The address of `path`. One that does not fit, or starts at a folder descriptor, goes through
 * /proc/self/fd: *folder stays open as long as the address is used (-1 where none is needed).
 */
static int address_of(int dirfd, const char *path, struct sockaddr_un *address, int *folder,
                      struct xw_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strlen(path), room = sizeof(address->sun_path);
    char above[PATH_MAX];

    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (*name == '\0')
        return xw_error_set(err, EINVAL, "'%s' is not the path of a socket", path);
    if (length < room && (dirfd == AT_FDCWD || path[0] == '/')) {
        memcpy(address->sun_path, path, length + 1);
        return 0;
    }
    if (length >= PATH_MAX)
        return xw_error_set(err, ENAMETOOLONG, "socket '%s': the path is too long", path);
    snprintf(above, sizeof(above), "%.*s", slash ? (int)(name - path) : 1, slash ? path : ".");
    *folder = openat(dirfd, above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0)
        return xw_error_set_errno(err, "socket '%s': cannot open its folder", path);
    if ((size_t)snprintf(address->sun_path, room, "/proc/self/fd/%d/%s", *folder, name) >= room)
        return xw_error_set(err, ENAMETOOLONG, "socket '%s': the name is too long", path);
    return 0;
}

static int new_socket(const char *path, struct xw_error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? xw_error_set_errno(err, "socket '%s'", path) : fd;
}

/* How long connect may wait for a full backlog (socket(7), SO_SNDTIMEO); 0 ms: for ever. */
static void set_patience(int fd, int ms)
{
    struct timeval patience = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static int connect_to(int fd, const struct sockaddr_un *address, int timeout_ms, const char *path,
                      struct xw_error *err)
{
    int rc;

    if (timeout_ms >= 0)
        set_patience(fd, timeout_ms > 0 ? timeout_ms : 1);
    do {
        rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    } while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno == EAGAIN)
        return xw_error_set(err, ETIMEDOUT, "socket '%s': nobody accepted within %d ms", path,
                            timeout_ms);
    if (rc < 0)
        return xw_error_set_errno(err, "cannot connect to socket '%s'", path);
    set_patience(fd, 0);
    return 0;
}

int xw_socket_connect(int dirfd, const char *path, int timeout_ms, int *ret_fd,
                      struct xw_error *err)
{
    struct sockaddr_un address;
    int folder = -1, fd = -1, rc;

    rc = address_of(dirfd, path, &address, &folder, err);
    if (rc < 0)
        goto out;
    rc = fd = new_socket(path, err);
    if (rc < 0)
        goto out;
    rc = connect_to(fd, &address, timeout_ms, path, err);
    if (rc < 0) {
        close(fd);
        goto out;
    }
    *ret_fd = fd;
out:
    if (folder >= 0)
        close(folder);
    return rc;
}

/* Remove a socket file that nobody listens on; leave everything else alone. */
static int clear_stale(const struct sockaddr_un *address, const char *path, struct xw_error *err)
{
    xw_auto_close int fd = -1;
    struct stat st;

    if (lstat(address->sun_path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return xw_error_set(err, EADDRINUSE, "'%s' is there and is not a socket", path);
    fd = new_socket(path, err);
    if (fd < 0)
        return fd;
    if (connect_to(fd, address, 0, path, NULL) != -ECONNREFUSED)
        return xw_error_set(err, EADDRINUSE, "another process listens on socket '%s'", path);
    unlink(address->sun_path);
    return 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address, const char *path,
                           struct xw_error *err)
{
    /* On the socket before bind: the file is never there with a wider mode (unix(7), Linux). */
    if (fchmod(fd, 0600) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return xw_error_set_errno(err, "cannot make socket '%s'", path);
    if (listen(fd, SOMAXCONN) < 0)
        return xw_error_set_errno(err, "cannot listen on socket '%s'", path);
    return 0;
}

int xw_socket_listen(int dirfd, const char *path, int *ret_fd, struct xw_error *err)
{
    struct sockaddr_un address;
    int folder = -1, fd, rc;

    rc = address_of(dirfd, path, &address, &folder, err);
    if (rc == 0)
        rc = clear_stale(&address, path, err);
    if (rc < 0)
        goto out;
    rc = fd = new_socket(path, err);
    if (rc < 0)
        goto out;
    rc = bind_and_listen(fd, &address, path, err);
    if (rc < 0) {
        close(fd);
        goto out;
    }
    *ret_fd = fd;
out:
    if (folder >= 0)
        close(folder);
    return rc < 0 ? rc : 0;
}
