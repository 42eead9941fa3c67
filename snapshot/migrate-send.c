/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/migrate-send.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <xenwright/domain.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/socket.h"
#include "base/spawn.h"
#include "snapshot/migrate-link.h"
#include "snapshot/relay.h"

struct xw_send {
    struct xw_send_how how;
    int events; /* an epoll descriptor for all of the following */
    int listening, connection;
    char socket[PATH_MAX];
    struct xw_child xl, receiver; /* pid 0: does not run */
    struct xw_relay *relay;
    bool released; /* from here on the receiver may open the images */
    int64_t switch_us;
    struct xw_error why; /* of what we broke off */
};

static void watch(const struct xw_send *send, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    epoll_ctl(send->events, EPOLL_CTL_ADD, fd, &event);
}

/* xl runs the "host" as a shell command where it is told of no ssh (xl_migrate.c). */
static int start_xl(struct xw_send *send, struct xw_error *err)
{
    char domid[16];
    xw_auto_free char *command = NULL;
    struct xw_spawn spawn = {
        .stdin_fd = XW_SPAWN_NULL, .stdout_fd = XW_SPAWN_INHERIT, .stderr_fd = XW_SPAWN_INHERIT};
    int rc;

    xw_mirror_socket(send->how.mirrors, "xl", send->socket);
    rc = xw_socket_listen(AT_FDCWD, send->socket, &send->listening, err);
    if (rc)
        return rc;
    if (asprintf(&command, "exec '%s' __migrate %s", send->how.program, send->socket) < 0) {
        command = NULL;
        return xw_error_set(err, ENOMEM, "a migration to '%s': out of memory", send->how.host);
    }
    snprintf(domid, sizeof(domid), "%" PRIu32, send->how.domid);
    spawn.argv = (const char *const[]){"xl", "migrate", "-s", "", domid, command, NULL};
    rc = xw_spawn_start(&spawn, &send->xl, err);
    if (rc)
        return rc;
    watch(send, send->listening);
    watch(send, send->xl.pidfd);
    return 0;
}

static int start_receiver(struct xw_send *send, struct xw_relay_ends *ends, struct xw_error *err)
{
    const char *const argv[] = {"xl", "migrate-receive", NULL};
    const char *words[XW_MIRROR_WORDS];
    xw_auto_free char *memory = NULL;
    int there[2], back[2];
    int rc = xw_mirror_link_words(send->how.mirrors, send->how.host, argv, &memory, words, err);

    if (rc)
        return rc;
    if (pipe2(there, O_CLOEXEC) < 0)
        return xw_error_set_errno(err, "a pipe");
    if (pipe2(back, O_CLOEXEC) < 0) {
        rc = xw_error_set_errno(err, "a pipe");
        close(there[0]);
        close(there[1]);
        return rc;
    }
    ends->to_receiver = there[1];
    ends->from_receiver = back[0];
    rc = xw_spawn_start(&(struct xw_spawn){.argv = words,
                                           .stdin_fd = there[0],
                                           .stdout_fd = back[1],
                                           .stderr_fd = XW_SPAWN_INHERIT},
                        &send->receiver, err);
    close(there[0]);
    close(back[1]);
    if (rc) {
        close(there[1]);
        close(back[0]);
    }
    return rc;
}

static int connect_both(struct xw_send *send, struct xw_error *err)
{
    struct xw_relay_ends ends;
    int fds[2];
    int rc = xw_migrate_accept(send->listening, &send->connection, fds, err);

    close(send->listening);
    send->listening = -1;
    unlink(send->socket);
    if (rc)
        return rc;
    ends.from_sender = fds[0];
    ends.to_sender = fds[1];
    rc = start_receiver(send, &ends, err);
    if (rc) {
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    rc = xw_relay_open(&ends, &send->relay, err);
    if (!rc)
        watch(send, xw_relay_fd(send->relay));
    return rc;
}

static bool is_suspended(const struct xw_send *send)
{
    struct xw_domain *domain;
    char domid[16];
    bool suspended;

    snprintf(domid, sizeof(domid), "%" PRIu32, send->how.domid);
    if (xw_domain_find(send->how.snapshots->host, domid, &domain, NULL))
        return false;
    suspended = (domain->flags & XW_DOMAIN_SHUTDOWN) && domain->shutdown == XW_SHUTDOWN_SUSPEND;
    xw_domain_free(domain);
    return suspended;
}

/* The guest writes nothing any more, and nothing there has opened the images yet. */
static int hand_over(struct xw_send *send, struct xw_error *err)
{
    int64_t since = xw_clock_ns();
    int rc = xw_mirror_end(send->how.mirrors, err);

    if (rc)
        return rc;
    send->switch_us = (xw_clock_ns() - since) / 1000;
    send->released = true;
    xw_relay_release(send->relay);
    return 0;
}

/* xl sees a broken connection, and has the guest go on. */
static void hang_up(struct xw_send *send)
{
    xw_relay_close(send->relay);
    send->relay = NULL;
    if (send->connection >= 0)
        close(send->connection);
    send->connection = -1;
    if (send->listening >= 0) {
        close(send->listening);
        unlink(send->socket);
    }
    send->listening = -1;
}

static void carry(struct xw_send *send, bool cancelled)
{
    bool waiting = false;
    int rc = xw_relay_step(send->relay, &waiting, &send->why);

    if (rc == 1 && cancelled && !send->released)
        rc = xw_error_set(&send->why, ECANCELED, "cancelled");
    if (rc == 1 && waiting && is_suspended(send)) {
        rc = hand_over(send, &send->why);
        rc = rc ? rc : 1;
    }
    if (rc != 1)
        hang_up(send);
}

static void end_receiver(struct xw_send *send)
{
    enum xw_spawn_end end;
    int status;

    if (!send->receiver.pid)
        return;
    if (xw_child_wait(&send->receiver, 10000, &end, &status, NULL) == -ETIMEDOUT &&
        !xw_child_kill(&send->receiver, SIGTERM, NULL))
        xw_child_wait(&send->receiver, -1, &end, &status, NULL);
    send->receiver = (struct xw_child){0};
}

/* xl has ended. */
static int finish(struct xw_send *send, bool well, struct xw_error *err)
{
    hang_up(send);
    end_receiver(send);
    if (well)
        return 0;
    if (send->why.code)
        return xw_error_set(err, send->why.code, "it runs on here: %s", send->why.message);
    return xw_error_set(err, EIO, "'xl migrate' failed (see above)%s",
                        send->released ? "; the images at the other host are left there" : "");
}

static int wait_for_xl(struct xw_send *send, struct xw_error *err)
{
    enum xw_spawn_end end;
    int status;
    int rc = xw_child_wait(&send->xl, 0, &end, &status, NULL);

    if (rc == -ETIMEDOUT)
        return 1;
    send->xl = (struct xw_child){0};
    return finish(send, !rc && end == XW_SPAWN_EXITED && status == 0, err);
}

int xw_send_step(struct xw_send *send, bool cancelled, struct xw_error *err)
{
    int rc = wait_for_xl(send, err);

    if (rc != 1)
        return rc;
    if (send->relay) {
        carry(send, cancelled);
    } else if (send->listening >= 0 && cancelled) {
        xw_error_set(&send->why, ECANCELED, "cancelled");
        hang_up(send);
    } else if (send->listening >= 0 && connect_both(send, &send->why)) {
        hang_up(send);
    }
    return 1;
}

int xw_send_start(const struct xw_send_how *how, struct xw_send **ret, struct xw_error *err)
{
    struct xw_send *send = calloc(1, sizeof(*send));
    int rc = 0;

    if (!send)
        return xw_error_set(err, ENOMEM, "a migration to '%s': out of memory", how->host);
    send->how = *how;
    send->listening = send->connection = -1;
    send->events = epoll_create1(EPOLL_CLOEXEC);
    if (send->events < 0)
        rc = xw_error_set_errno(err, "descriptors for a migration");
    if (!rc)
        rc = start_xl(send, err);
    if (rc)
        xw_send_free(send);
    else
        *ret = send;
    return rc;
}

void xw_send_free(struct xw_send *send)
{
    if (!send)
        return;
    hang_up(send);
    if (send->events >= 0)
        close(send->events);
    free(send);
}

int xw_send_fd(const struct xw_send *send)
{
    return send->events;
}

bool xw_send_is_released(const struct xw_send *send)
{
    return send && send->released;
}

int64_t xw_send_switch_us(const struct xw_send *send)
{
    return send->switch_us;
}
