/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/socket.h"
#include "lab/machine.h"
#include "lab/record.h"

#define QMP_TIMEOUT_MS 30000
#define LISTEN_TIMEOUT_MS 2000
#define QUIT_TIMEOUT_MS 3000
#define KILL_TIMEOUT_MS 30000

int lab_control_qmp(const struct lab_place *place, const char *name, struct xw_qmp **ret,
                    struct xw_error *err)
{
    char path[LAB_NAME_MAX + 32], peer[LAB_NAME_MAX + 32];
    int64_t deadline = xw_deadline(LISTEN_TIMEOUT_MS);
    struct xw_error why = XW_ERROR_INIT;
    int fd, rc;

    snprintf(path, sizeof(path), "%s/qmp", name);
    snprintf(peer, sizeof(peer), "QEMU of lab '%s'", name);
    for (;;) {
        rc = xw_socket_connect(place->labs, path, QMP_TIMEOUT_MS, &fd, &why);
        /* One that has just been started may have made its socket, and not listen at it yet. */
        if (rc != -ECONNREFUSED || !lab_is_alive(place, name) || xw_deadline_left(deadline) == 0)
            break;
        poll(NULL, 0, 5);
    }
    if (rc)
        return xw_error_set(err, -rc, "lab '%s': its QEMU does not answer (%s)", name, why.message);
    return xw_qmp_attach(ret, fd, peer, QMP_TIMEOUT_MS, err);
}

/* Try one channel: -EAGAIN when somebody has it. */
static int try_channel(const struct lab_place *place, const char *name, int number,
                       struct lab_channel *ret, struct xw_error *err)
{
    char path[LAB_NAME_MAX + 32], peer[LAB_NAME_MAX + 32];
    struct lab_transport *transport;
    int fd, rc;

    snprintf(path, sizeof(path), "%s/agent.%d.lock", name, number);
    ret->lock = openat(place->labs, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ret->lock < 0)
        return xw_error_set_errno(err, "lab '%s': %s", name, path);
    if (flock(ret->lock, LOCK_EX | LOCK_NB) < 0) {
        close(ret->lock);
        return -EAGAIN;
    }
    snprintf(path, sizeof(path), "%s/agent.%d", name, number);
    snprintf(peer, sizeof(peer), "lab '%s'", name);
    rc = xw_socket_connect(place->labs, path, QMP_TIMEOUT_MS, &fd, err);
    if (!rc) {
        transport = lab_transport_fd(fd);
        rc = transport ? lab_client_open(&ret->client, transport, peer, err)
                       : xw_error_set_errno(err, "%s", peer);
    }
    if (rc)
        close(ret->lock);
    return rc;
}

int lab_channel_take(const struct lab_place *place, const char *name, int timeout_ms,
                     struct lab_channel *ret, struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);

    for (;;) {
        for (int number = 0; number < LAB_CHANNELS; number++) {
            int rc = try_channel(place, name, number, ret, err);

            if (rc != -EAGAIN)
                return rc;
        }
        /* flock cannot wait for any one of several locks: look again now and then. */
        if (xw_deadline_left(deadline) == 0)
            return xw_error_set(err, EBUSY, "lab '%s': %d commands run in it already, more cannot; "
                                "wait for one to end", name, LAB_CHANNELS);
        poll(NULL, 0, 50);
    }
}

void lab_channel_release(struct lab_channel *channel)
{
    lab_client_close(channel->client);
    close(channel->lock);
}

/* Wait until the lock is free, which means that no process of this QEMU is left. */
static bool wait_gone(const struct lab_place *place, const char *name, int timeout_ms)
{
    char path[LAB_NAME_MAX + 32];
    struct xw_lock lock = XW_LOCK_INIT;
    int rc;

    snprintf(path, sizeof(path), "%s/alive", name);
    rc = xw_lock_take(&lock, place->labs, path, XW_LOCK_EXCLUSIVE, timeout_ms, NULL);
    xw_lock_release(&lock);
    return rc == 0 || rc == -ENOENT;
}

/* The pid that QEMU's own monitor socket belongs to; 0 when nobody listens there yet. */
static pid_t pid_of_socket(const struct lab_place *place, const char *name)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    char path[LAB_NAME_MAX + 32];
    int fd;

    snprintf(path, sizeof(path), "%s/qmp", name);
    if (xw_socket_connect(place->labs, path, 0, &fd, NULL))
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        peer.pid = 0;
    close(fd);
    return peer.pid;
}

/*
 * The pid of a QEMU that no record names: xenwright was killed right after it had started it, and
 * its socket may be a moment away.
 */
static pid_t find_pid(const struct lab_place *place, const char *name)
{
    int64_t deadline = xw_deadline(QUIT_TIMEOUT_MS);
    pid_t pid = pid_of_socket(place, name);

    while (pid == 0 && xw_deadline_left(deadline) && lab_is_alive(place, name)) {
        poll(NULL, 0, 20);
        pid = pid_of_socket(place, name);
    }
    return pid;
}

static void ask_to_quit(const struct lab_place *place, const char *name)
{
    struct xw_qmp *qmp;
    char path[LAB_NAME_MAX + 32];
    int fd;

    snprintf(path, sizeof(path), "%s/qmp", name);
    if (xw_socket_connect(place->labs, path, 0, &fd, NULL) == 0 &&
        xw_qmp_attach(&qmp, fd, name, QUIT_TIMEOUT_MS, NULL) == 0) {
        xw_qmp_execute(qmp, "quit", NULL, QUIT_TIMEOUT_MS, NULL, NULL);
        xw_qmp_close(qmp);
    }
}

int lab_control_end(const struct lab_place *place, const char *name, pid_t pid,
                    struct xw_error *err)
{
    xw_auto_close int pidfd = -1;

    if (!lab_is_alive(place, name))
        return 0;
    if (pid == 0)
        pid = find_pid(place, name);
    /* The pid cannot belong to another process as long as the lock is held: take hold of it now. */
    if (pid > 0)
        pidfd = pidfd_open(pid, 0);
    ask_to_quit(place, name);
    if (wait_gone(place, name, QUIT_TIMEOUT_MS))
        return 0;
    if (pidfd < 0)
        return xw_error_set(err, EBUSY,
                            "lab '%s': its QEMU neither answers nor is known by pid; end "
                            "the process 'xenwright-lab-%s'",
                            name, name);
    if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return xw_error_set_errno(err, "lab '%s': cannot kill its QEMU (pid %d)", name, (int)pid);
    if (!wait_gone(place, name, KILL_TIMEOUT_MS))
        return xw_error_set(err, ETIMEDOUT,
                            "lab '%s': its QEMU (pid %d) was killed but does not go "
                            "away",
                            name, (int)pid);
    return 0;
}
