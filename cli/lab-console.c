/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab console: the serial console of a lab, or the console of a guest in it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/socket.h"
#include "cli/lab-remote.h"

#define ESCAPE 0x1d /* Ctrl-], as xl console has it */
#define CONNECT_TIMEOUT_MS 5000

/*
 * Xen keeps 128 bytes of console input and drops what comes on top without a word
 * (xen/drivers/char/console.c): what is typed or pasted goes out in drops.
 */
#define DROP_BYTES 16
#define DROP_INTERVAL_MS 10

struct session {
    int socket;
    bool typing;          /* standard input is open */
    bool leaving;         /* as soon as all that was typed is sent */
    char waiting[4096];   /* typed, not sent yet */
    size_t waiting_size;
    int64_t next_drop;    /* ms */
};

static int take_output(struct session *session, struct xw_error *err)
{
    char bytes[4096];
    ssize_t count = read(session->socket, bytes, sizeof(bytes));

    if (count < 0 && errno != ECONNRESET)
        return xw_error_set_errno(err, "the console");
    if (count <= 0)
        return 1;
    return xw_file_write_all(STDOUT_FILENO, bytes, (size_t)count, "standard output", err);
}

static void take_input(struct session *session)
{
    char *room = session->waiting + session->waiting_size;
    ssize_t count = read(STDIN_FILENO, room, sizeof(session->waiting) - session->waiting_size);
    const char *escape = count > 0 ? memchr(room, ESCAPE, (size_t)count) : NULL;

    session->typing = count > 0 && !escape;
    session->leaving = escape;
    if (count > 0)
        session->waiting_size += (size_t)(escape ? escape - room : count);
}

static void send_drop(struct session *session)
{
    size_t size = session->waiting_size < DROP_BYTES ? session->waiting_size : DROP_BYTES;
    ssize_t sent = size ? write(session->socket, session->waiting, size) : 0;

    if (sent <= 0)
        return;
    session->waiting_size -= (size_t)sent;
    memmove(session->waiting, session->waiting + sent, session->waiting_size);
    session->next_drop = xw_clock_ms() + DROP_INTERVAL_MS;
}

static int converse(struct session *session, struct xw_error *err)
{
    while (!session->leaving || session->waiting_size) {
        bool room = session->waiting_size < sizeof(session->waiting);
        struct pollfd fds[] = {
            {.fd = session->socket, .events = POLLIN},
            {.fd = session->typing && room ? STDIN_FILENO : -1, .events = POLLIN},
        };
        int timeout = session->waiting_size ? DROP_INTERVAL_MS : -1;

        if (poll(fds, 2, timeout) < 0 && errno != EINTR)
            return xw_error_set_errno(err, "poll");
        if (fds[0].revents) {
            int rc = take_output(session, err);

            if (rc)
                return rc < 0 ? rc : 0;
        }
        if (fds[1].revents)
            take_input(session);
        if (session->waiting_size && xw_clock_ms() >= session->next_drop)
            send_drop(session);
    }
    return 0;
}

/* QEMU serves one at a time, and lets a second one wait without a word. */
static int take_console(const struct lab_place *place, const char *name, struct xw_lock *ret,
                        struct xw_error *err)
{
    char path[LAB_NAME_MAX + 32];
    int rc;

    snprintf(path, sizeof(path), "%s/console.lock", name);
    rc = xw_lock_take(ret, place->labs, path, XW_LOCK_EXCLUSIVE, 0, err);
    if (rc == -EBUSY)
        xw_error_prefix(err, "lab '%s': its console serves one terminal at a time", name);
    return rc;
}

static int attach(const struct lab_place *place, const char *name, struct xw_error *err)
{
    struct session session = {.typing = true};
    struct termios before, raw;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    char path[LAB_NAME_MAX + 32];
    int rc;

    snprintf(path, sizeof(path), "%s/console", name);
    rc = xw_socket_connect(place->labs, path, CONNECT_TIMEOUT_MS, &session.socket, err);
    if (rc)
        return rc;
    if (terminal) {
        fprintf(stderr,
                "console of lab '%s': Ctrl-] leaves it; Ctrl-A three times switches between "
                "dom0 and Xen\r\n",
                name);
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    rc = converse(&session, err);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
        fputs("\n", stderr);
    }
    close(session.socket);
    return rc;
}

static int run_console(struct cli_call *call, struct xw_error *err)
{
    const char *guest = cli_argument(call, 1);
    const char *const argv[] = {"xl", "console", guest, NULL};
    struct lab_place place;
    struct lab_record record;
    struct xw_lock lock = XW_LOCK_INIT;
    int rc;

    if (guest)
        return cli_lab_remote(call, argv, true, err);
    rc = cli_lab_open(call, 0, &place, &record, err);
    if (rc)
        return rc;
    rc = take_console(&place, record.name, &lock, err);
    if (!rc)
        rc = attach(&place, record.name, err);
    xw_lock_release(&lock);
    lab_record_free(&record);
    lab_place_close(&place);
    return rc;
}

const struct cli_command cli_lab_console = {
    .verb = "console",
    .purpose = "Attach to the console of a lab or of a guest in it",
    .description = "The lab's console is the serial line of the machine: Xen writes to it, and "
                   "dom0 has a root shell "
                   "there. Ctrl-] leaves it. Of a guest: 'xl console' in dom0. One terminal at a "
                   "time; 'lab log' "
                   "shows what has been written.",
    .arguments = {.usage = "NAME [GUEST]",
                  .min = 1,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names}}},
    .examples =
        (const struct cli_example[]){
            {"xenwright lab console lab", "Xen and dom0"},
            {"xenwright lab console lab web", "the guest 'web'"},
            {0},
        },
    .run = run_console,
};
