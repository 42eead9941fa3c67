/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting a switch where there is none, and making sure that it stays for whoever comes next. */
#include "lab/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/spawn.h"
#include "lab/hub-internal.h"
#include "lab/place.h"

#define START_MS 5000
#define ATTEMPTS 3
#define ANSWER_MS 500

int lab_hub_address(const char *net, struct sockaddr_un *ret, struct xw_error *err)
{
    int length;

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(ret->sun_path, sizeof(ret->sun_path), LAB_HUB_FOLDER "/%s.sock", net);
    if (length < 0 || (size_t)length >= sizeof(ret->sun_path))
        return xw_error_set(err, ENAMETOOLONG, "network '%s': its name is too long", net);
    return 0;
}

int lab_hub_member_address(const char *lab, const char *net, struct sockaddr_un *ret)
{
    int length;

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/link-%s.sock", lab, net);
    return length < 0 || (size_t)length >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

/* The switch's address as seen from here, by a descriptor of the labs' folder. */
static int address_from_here(int labs_dirfd, const char *net, struct sockaddr_un *ret,
                             struct xw_error *err)
{
    int length;

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(ret->sun_path, sizeof(ret->sun_path),
                      "/proc/self/fd/%d/" LAB_HUB_FOLDER "/%s.sock", labs_dirfd, net);
    if (length < 0 || (size_t)length >= sizeof(ret->sun_path))
        return xw_error_set(err, ENAMETOOLONG, "network '%s': its name is too long", net);
    return 0;
}

static void wait_for(int fd, short events, int64_t deadline)
{
    struct pollfd wait = {.fd = fd, .events = events};

    while (poll(&wait, 1, xw_deadline_left(deadline)) < 0 && errno == EINTR)
        ;
}

enum lab_hub_hello lab_hub_says_hello(const struct sockaddr_un *address)
{
    static const struct sockaddr_un any_name = {.sun_family = AF_UNIX};
    xw_auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int64_t deadline = xw_deadline(ANSWER_MS);
    char text[16];
    ssize_t size;

    /* A name that the kernel makes up (unix(7), autobind), so that there can be an answer. */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&any_name, sizeof(sa_family_t)) != 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return LAB_HUB_NOBODY;
    /* Ten datagrams are all that waits at a socket (net.unix.max_dgram_qlen). */
    wait_for(fd, POLLOUT, deadline);
    if (send(fd, LAB_HUB_HELLO, strlen(LAB_HUB_HELLO), MSG_NOSIGNAL) < 0)
        return errno == EAGAIN ? LAB_HUB_SILENT : LAB_HUB_NOBODY;
    wait_for(fd, POLLIN, deadline);
    size = recv(fd, text, sizeof(text), 0);
    if (size != (ssize_t)strlen(LAB_HUB_ANSWER) || memcmp(text, LAB_HUB_ANSWER, (size_t)size) != 0)
        return LAB_HUB_SILENT;
    return LAB_HUB_ANSWERED;
}

/* Reads what the new process says until it is "ready". -EAGAIN: it ended without a word. */
static int wait_ready(int fd, const char *net, int64_t deadline, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer said = XW_BUFFER_INIT(4096);

    for (;;) {
        struct pollfd more = {.fd = fd, .events = POLLIN};
        int rc = poll(&more, 1, xw_deadline_left(deadline));
        ssize_t size;

        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0)
            return xw_error_set(err, ETIMEDOUT, "network '%s': its switch does not start", net);
        size = xw_buffer_read(&said, fd, 1024, err);
        if (size < 0)
            return (int)size;
        if (strcmp(xw_buffer_text(&said), "ready\n") == 0)
            return 0;
        if (size == 0 && said.length == 0)
            return xw_error_set(err, EAGAIN, "network '%s': another process holds it", net);
        if (size == 0)
            return xw_error_set(err, EIO, "network '%s': its switch did not start: %.*s", net,
                                (int)strcspn(xw_buffer_text(&said), "\n"), xw_buffer_text(&said));
    }
}

static int start(int labs_dirfd, const char *net, const char *program, int64_t deadline,
                 struct xw_error *err)
{
    const char *const argv[] = {program, "__hub", net, NULL};
    struct xw_child child;
    int said[2], rc;

    if (pipe2(said, O_CLOEXEC) != 0)
        return xw_error_set_errno(err, "network '%s': cannot make a pipe", net);
    rc = xw_spawn_start(&(struct xw_spawn){.argv = argv,
                                           .cwd_fd = labs_dirfd,
                                           .stdin_fd = XW_SPAWN_NULL,
                                           .stdout_fd = said[1],
                                           .stderr_fd = said[1],
                                           .new_session = true},
                        &child, err);
    close(said[1]);
    if (rc == 0) {
        rc = wait_ready(said[0], net, deadline, err);
        xw_child_forget(&child);
    }
    close(said[0]);
    return rc;
}

int lab_hub_ensure(int labs_dirfd, const char *net, const char *program, struct xw_error *err)
{
    struct xw_error failure = XW_ERROR_INIT;
    int64_t deadline = xw_deadline(START_MS);
    struct sockaddr_un address;
    int rc = lab_name_check("network", net, err);

    if (rc == 0)
        rc = address_from_here(labs_dirfd, net, &address, err);
    if (rc != 0)
        return rc;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        enum lab_hub_hello hello = lab_hub_says_hello(&address);

        /* One that was about to end has ended by the second time; one that is busy goes on. */
        if (hello == LAB_HUB_SILENT)
            hello = lab_hub_says_hello(&address);
        if (hello != LAB_HUB_NOBODY)
            return 0;
        /* Where another starts it at the same time, ours steps back, and theirs will say hello. */
        rc = start(labs_dirfd, net, program, deadline, &failure);
        if (rc != -EAGAIN)
            break;
    }
    if (rc != 0 && err)
        *err = failure;
    return rc;
}
