/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Carries a guest's client on while watching whether the guest is still there. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/guest/guest.h"

/* Most requests are done before it is worth asking xenstore to watch. */
#define UNWATCHED_MS 500

void guest_window_size(uint16_t *columns, uint16_t *rows)
{
    struct winsize size;
    bool known = ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;

    *columns = known ? size.ws_col : 80;
    *rows = known ? size.ws_row : 24;
}

static void pass_signals(struct lab_client *client, int signals)
{
    struct signalfd_siginfo info;
    uint16_t columns, rows;

    while (read(signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGWINCH) {
            lab_client_signal(client, (int)info.ssi_signo);
            continue;
        }
        guest_window_size(&columns, &rows);
        lab_client_window(client, columns, rows);
    }
}

/* Reads what xenstore says.  Fails if the guest is gone. */
static int check_guest(struct guest_stream *stream, struct xw_error *err)
{
    const char *token;
    char *path;

    while (xw_xenstore_next(stream->xs, 0, &path, &token, NULL) == 0)
        free(path);
    if (guest_stream_alive(stream))
        return 0;
    return xw_error_set(err, ECONNRESET,
                        "guest '%s' went down meanwhile; what it said is in "
                        "/var/log/xen/console/guest-%s.log",
                        stream->name, stream->name);
}

/* Fills in what to wait for besides the client: signals, xenstore.  -1 where there is nothing. */
static void set_own(const struct guest_stream *stream, int signals, struct pollfd own[static 2])
{
    own[0] = (struct pollfd){.fd = signals, .events = POLLIN};
    own[1] = (struct pollfd){
        .fd = stream->watched >= 0 ? xw_xenstore_fd(stream->xs) : -1,
        .events = POLLIN,
    };
}

int guest_drive(struct guest_stream *stream, int signals, struct xw_error *err)
{
    int64_t watch_at = xw_deadline(UNWATCHED_MS);
    struct pollfd fds[2 + LAB_CLIENT_POLLFDS];
    size_t count = 0;
    int rc;

    while ((rc = lab_client_step(stream->client, fds + 2, count, err)) == LAB_CLIENT_WAITING) {
        int timeout_ms = stream->watched >= 0 ? -1 : xw_deadline_left(watch_at);

        set_own(stream, signals, fds);
        count = lab_client_pollfds(stream->client, fds + 2, &timeout_ms);
        if (poll(fds, 2 + count, timeout_ms) < 0) {
            if (errno != EINTR)
                return xw_error_set_errno(err, "poll");
            count = 0;
            continue;
        }
        if (fds[0].revents)
            pass_signals(stream->client, signals);
        if (stream->watched < 0 && xw_deadline_left(watch_at) == 0)
            rc = guest_stream_watch(stream, err);
        else if (fds[1].revents)
            rc = check_guest(stream, err);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : 0;
}
