/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a guest's name to a stream of its agent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "lab/guest/guest.h"
#include "lab/transport-vchan.h"

#define NAME_MAX_BYTES 1024
#define BUSY_PAUSE_MS 20

/* Finds the domain of that name: 0 and *domid, or -ENOENT. */
static int find_domain(struct xw_xenstore *xs, const char *name, int *domid, struct xw_error *err)
{
    xw_auto_free char **ids = NULL;
    size_t count;
    int rc = xw_xenstore_directory(xs, XW_XENSTORE_NOW, "/local/domain", &ids, &count, err);

    for (size_t i = 0; !rc && i < count; i++) {
        xw_auto_free char *found = NULL;
        char path[128];

        snprintf(path, sizeof(path), "/local/domain/%.32s/name", ids[i]);
        /* A domain that goes at this moment has no name any more. */
        if (xw_xenstore_read(xs, XW_XENSTORE_NOW, path, NAME_MAX_BYTES, &found, NULL, NULL) < 0 ||
            strcmp(found, name) != 0)
            continue;
        if (sscanf(ids[i], "%9d", domid) == 1)
            return 0;
    }
    return rc ? rc
              : xw_error_set(err, ENOENT, "there is no guest '%s'; 'xl list' shows them", name);
}

/* Whether there is a node beneath the guest's part of xenstore. */
static bool has_node(const struct guest_stream *stream, const char *node)
{
    xw_auto_free char *value = NULL;
    char path[256];

    snprintf(path, sizeof(path), "/local/domain/%d/%s", stream->domid, node);
    return xw_xenstore_read(stream->xs, XW_XENSTORE_NOW, path, NAME_MAX_BYTES, &value, NULL,
                            NULL) == 0;
}

bool guest_stream_alive(const struct guest_stream *stream)
{
    return has_node(stream, "name");
}

int guest_stream_watch(struct guest_stream *stream, struct xw_error *err)
{
    char path[128];

    snprintf(path, sizeof(path), "/local/domain/%d/data", stream->domid);
    stream->watched = stream->domid;
    int rc = xw_xenstore_watch(stream->xs, path, "agent", err);
    return rc ? rc : xw_xenstore_watch(stream->xs, "@releaseDomain", "gone", err);
}

/* New watches fire at once, so nothing that happened before is missed. */
static int wait_for_change(struct guest_stream *stream, int64_t deadline, struct xw_error *err)
{
    xw_auto_free char *path = NULL;
    const char *token;

    if (stream->watched != stream->domid) /* also when the guest came back as another domain */
        return guest_stream_watch(stream, err);
    int rc = xw_xenstore_next(stream->xs, xw_deadline_left(deadline), &path, &token, NULL);
    if (rc == -EAGAIN || rc == -ETIMEDOUT)
        return xw_error_set(
            err, ETIMEDOUT,
            "guest '%s': its agent did not announce itself in time; what it said is "
            "in /var/log/xen/console/guest-%s.log",
            stream->name, stream->name);
    return rc ? xw_error_set(err, -rc, "guest '%s': xenstore: %s", stream->name, strerror(-rc)) : 0;
}

/* Takes a stream that nobody else uses, without waiting: 0, or -EBUSY. */
static int lock_stream(struct guest_stream *stream, int number, struct xw_error *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), GUEST_RUN_DIR "/stream-%d.%d", stream->domid, number);
    return xw_lock_take(&stream->lock, AT_FDCWD, path, XW_LOCK_EXCLUSIVE, 0, err);
}

static int greet(struct guest_stream *stream, struct lab_transport *transport, int64_t deadline,
                 struct xw_error *err)
{
    char peer[160];

    snprintf(peer, sizeof(peer), "guest '%s'", stream->name);
    int rc = lab_client_open(&stream->client, transport, peer, err);
    if (rc)
        return rc;
    rc = lab_client_start_hello(stream->client, xw_deadline_left(deadline), err);
    if (!rc)
        rc = guest_drive(stream, -1, err);
    if (rc) {
        lab_client_close(stream->client);
        stream->client = NULL;
    }
    return rc;
}

/* Tries the streams in turn: 0, -EBUSY (all are in use), -EAGAIN (none is announced yet). */
static int try_streams(struct guest_stream *stream, int64_t deadline, struct xw_error *err)
{
    char node[64], path[128];
    int result = -EAGAIN;

    for (int i = 0; i < GUEST_STREAMS; i++) {
        snprintf(node, sizeof(node), "%s/%d/event-channel", GUEST_AGENT_PATH, i);
        if (!has_node(stream, node))
            continue;
        result = lock_stream(stream, i, err);
        if (result == -EBUSY)
            continue;
        if (result)
            return result;
        snprintf(path, sizeof(path), "/local/domain/%d/%s/%d", stream->domid, GUEST_AGENT_PATH, i);
        struct lab_transport *transport = lab_transport_vchan_client(stream->domid, path);
        result = transport ? greet(stream, transport, deadline, err) : -EAGAIN;
        if (result)
            xw_lock_release(&stream->lock);
        return result;
    }
    return result;
}

static int look(struct guest_stream *stream, int64_t deadline, struct xw_error *err)
{
    for (;;) {
        int rc = find_domain(stream->xs, stream->name, &stream->domid, err);

        if (!rc)
            rc = try_streams(stream, deadline, err);
        if (rc == -EBUSY) {
            if (xw_deadline_left(deadline) == 0)
                return xw_error_set(err, EBUSY,
                                    "guest '%s': all %d streams of its agent are in use",
                                    stream->name, GUEST_STREAMS);
            /* Any of four locks may be the next to come free; there is no waiting for all. */
            poll(NULL, 0, BUSY_PAUSE_MS);
            continue;
        }
        if (rc != -EAGAIN)
            return rc;
        rc = wait_for_change(stream, deadline, err);
        if (rc)
            return rc;
    }
}

int guest_stream_open(struct guest_stream *stream, const char *name, int timeout_ms,
                      struct xw_error *err)
{
    int rc = xw_file_make_folders(AT_FDCWD, GUEST_RUN_DIR, 0755, err);

    *stream = (struct guest_stream){.lock = XW_LOCK_INIT, .watched = -1};
    snprintf(stream->name, sizeof(stream->name), "%s", name);
    if (!rc)
        rc = xw_xenstore_open(&stream->xs, err);
    if (rc)
        return rc;
    rc = look(stream, xw_deadline(timeout_ms), err);
    if (rc)
        xw_xenstore_close(stream->xs);
    return rc;
}

void guest_stream_close(struct guest_stream *stream)
{
    lab_client_close(stream->client);
    xw_lock_release(&stream->lock);
    xw_xenstore_close(stream->xs);
}
