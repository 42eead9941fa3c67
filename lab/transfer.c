/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/transfer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/killpoint.h"

#define QMP_TIMEOUT_MS 30000
#define STALL_TIMEOUT_MS 60000 /* no byte moved for so long: QEMU hangs */
#define CHUNK (1024 * 1024)

/* Set the capability and speed, and hand QEMU its end of a socket pair, known as "state". */
static int prepare(struct xw_qmp *qmp, bool without_memory, int *ret_ours, struct xw_error *err)
{
    int pair[2];
    int rc = xw_qmp_execute(qmp, "migrate-set-capabilities",
                            json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability",
                                      "x-ignore-shared", "state", without_memory),
                            QMP_TIMEOUT_MS, NULL, err);

    if (!rc)
        rc = xw_qmp_execute(qmp, "migrate-set-parameters",
                            json_pack("{s:I}", "max-bandwidth", (json_int_t)1 << 40),
                            QMP_TIMEOUT_MS, NULL, err);
    if (rc)
        return rc;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return xw_error_set_errno(err, "socketpair");
    rc = xw_qmp_execute_fd(qmp, "getfd", json_pack("{s:s}", "fdname", "state"), pair[1],
                           QMP_TIMEOUT_MS, NULL, err);
    close(pair[1]);
    if (rc)
        close(pair[0]);
    else
        *ret_ours = pair[0];
    return rc;
}

/* Wait for the end of a migration, whose bytes have all been moved. */
static int wait_completed(struct xw_qmp *qmp, struct xw_error *err)
{
    int64_t deadline = xw_deadline(STALL_TIMEOUT_MS);

    for (;;) {
        xw_auto_json json_t *reply = NULL;
        const char *status, *why;
        int rc = xw_qmp_execute(qmp, "query-migrate", NULL, QMP_TIMEOUT_MS, &reply, err);

        if (rc)
            return rc;
        status = json_string_value(json_object_get(reply, "status"));
        if (status && strcmp(status, "completed") == 0)
            return 0;
        if (status && (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0)) {
            why = json_string_value(json_object_get(reply, "error-desc"));
            return xw_error_set(err, EIO, "QEMU: %s", why ? why : status);
        }
        if (xw_deadline_left(deadline) == 0)
            return xw_error_set(err, ETIMEDOUT, "QEMU has not finished with the state in %d s",
                                STALL_TIMEOUT_MS / 1000);
        poll(NULL, 0,
             2); /* there is no event for "completed" in all versions without setting it up */
    }
}

static int wait_ready(int fd, short events, struct xw_error *err)
{
    struct pollfd ready = {.fd = fd, .events = events};

    if (poll(&ready, 1, STALL_TIMEOUT_MS) <= 0)
        return xw_error_set(err, ETIMEDOUT, "QEMU has not moved a byte of the state in %d s",
                            STALL_TIMEOUT_MS / 1000);
    return 0;
}

static int receive_all(int from, int to, lab_transfer_progress *progress, void *opaque,
                       struct xw_error *err)
{
    xw_auto_free char *chunk = malloc(CHUNK);
    uint64_t total = 0;

    if (!chunk)
        return xw_error_set(err, ENOMEM, "out of memory");
    for (;;) {
        int rc = wait_ready(from, POLLIN, err);
        ssize_t count = rc ? 0 : recv(from, chunk, CHUNK, 0);

        if (rc)
            return rc;
        if (count < 0)
            return xw_error_set_errno(err, "QEMU");
        if (count == 0)
            return 0;
        rc = xw_file_write_all(to, chunk, (size_t)count, "the file of the state", err);
        if (rc)
            return rc;
        total += (uint64_t)count;
        if (progress)
            progress(opaque, total);
    }
}

static int send_all(int to, int from, lab_transfer_progress *progress, void *opaque,
                    struct xw_error *err)
{
    xw_auto_free char *chunk = malloc(CHUNK);
    uint64_t total = 0;

    if (!chunk)
        return xw_error_set(err, ENOMEM, "out of memory");
    for (;;) {
        ssize_t count = read(from, chunk, CHUNK), sent = 0;

        if (count < 0)
            return xw_error_set_errno(err, "the file of the state");
        if (count == 0)
            return 0;
        while (sent < count) {
            int rc = wait_ready(to, POLLOUT, err);
            ssize_t more = rc ? 0 : send(to, chunk + sent, (size_t)(count - sent), MSG_NOSIGNAL);

            if (rc)
                return rc;
            if (more < 0)
                return -EPIPE; /* QEMU has given up; it says why */
            sent += more;
        }
        total += (uint64_t)count;
        if (progress)
            progress(opaque, total);
    }
}

int lab_transfer_save(struct xw_qmp *qmp, int fd, bool without_memory,
                      lab_transfer_progress *progress, void *opaque, struct xw_error *err)
{
    int ours;
    int rc = prepare(qmp, without_memory, &ours, err);

    if (rc)
        return rc;
    rc = xw_qmp_execute(qmp, "migrate", json_pack("{s:s}", "uri", "fd:state"), QMP_TIMEOUT_MS, NULL,
                        err);
    xw_kill_point("transfer/begun");
    if (!rc)
        rc = receive_all(ours, fd, progress, opaque, err);
    close(ours);
    if (!rc)
        rc = wait_completed(qmp, err);
    return rc;
}

int lab_transfer_load(struct xw_qmp *qmp, int fd, bool without_memory,
                      lab_transfer_progress *progress, void *opaque, struct xw_error *err)
{
    int ours;
    int rc = prepare(qmp, without_memory, &ours, err);

    if (rc)
        return rc;
    rc = xw_qmp_execute(qmp, "migrate-incoming", json_pack("{s:s}", "uri", "fd:state"),
                        QMP_TIMEOUT_MS, NULL, err);
    if (!rc)
        rc = send_all(ours, fd, progress, opaque, err);
    close(ours);
    if (!rc || rc == -EPIPE)
        rc = wait_completed(qmp, err);
    return rc;
}
