/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a guest's name to a stream of its agent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenwright/xenstore.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "lab/guest/guest.h"
#include "lab/transport-vchan.h"

#define NAME_MAX_BYTES 1024

/* A guest that was found, and watches that tell when that should be looked at again. */
struct search {
    struct xw_xenstore *xs;
    const char *name;
    int64_t deadline;
    int domid;
};

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
        *domid = atoi(ids[i]);
        return 0;
    }
    return rc ? rc : xw_error_set(err, ENOENT, "there is no guest '%s'; 'xl list' shows them", name);
}

static bool is_announced(const struct search *search, int stream)
{
    xw_auto_free char *port = NULL;
    char path[128];

    snprintf(path, sizeof(path), "/local/domain/%d/%s/%d/event-channel", search->domid,
             GUEST_AGENT_PATH, stream);
    return xw_xenstore_read(search->xs, XW_XENSTORE_NOW, path, 64, &port, NULL, NULL) == 0;
}

static int wait_for_change(struct search *search, struct xw_error *err)
{
    xw_auto_free char *path = NULL;
    const char *token;
    int rc = xw_xenstore_next(search->xs, xw_deadline_left(search->deadline), &path, &token, NULL);

    if (rc == -EAGAIN || rc == -ETIMEDOUT)
        return xw_error_set(err, ETIMEDOUT,
                            "guest '%s': its agent did not announce itself in time; what it said is "
                            "in /var/log/xen/console/guest-%s.log",
                            search->name, search->name);
    return rc ? xw_error_set(err, -rc, "guest '%s': xenstore: %s", search->name, strerror(-rc)) : 0;
}

/* Takes a stream that nobody else uses, without waiting: 0, or -EBUSY. */
static int lock_stream(struct xw_lock *lock, int domid, int stream, struct xw_error *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), GUEST_RUN_DIR "/stream-%d.%d", domid, stream);
    return xw_lock_take(lock, AT_FDCWD, path, XW_LOCK_EXCLUSIVE, 0, err);
}

static int greet(struct guest_stream *stream, struct lab_transport *transport,
                 const struct search *search, struct xw_error *err)
{
    char peer[160];
    int left = xw_deadline_left(search->deadline);

    snprintf(peer, sizeof(peer), "guest '%.100s'", search->name);
    int rc = lab_client_open(&stream->client, transport, peer, err);
    if (rc)
        return rc;
    rc = lab_client_start_hello(stream->client, left, err);
    if (!rc)
        rc = lab_client_finish(stream->client, err);
    if (rc) {
        lab_client_close(stream->client);
        stream->client = NULL;
    }
    return rc;
}

/* Tries each stream once: 0, -EBUSY (all are in use), -EAGAIN (none is announced yet). */
static int try_streams(struct guest_stream *stream, const struct search *search,
                       struct xw_error *err)
{
    char path[128];
    int result = -EAGAIN;

    for (int i = 0; i < GUEST_STREAMS; i++) {
        if (!is_announced(search, i))
            continue;
        result = lock_stream(&stream->lock, search->domid, i, err);
        if (result == -EBUSY)
            continue;
        if (result)
            return result;
        snprintf(path, sizeof(path), "/local/domain/%d/%s/%d", search->domid, GUEST_AGENT_PATH, i);
        struct lab_transport *transport = lab_transport_vchan_client(search->domid, path);
        result = transport ? greet(stream, transport, search, err) : -EAGAIN;
        if (result)
            xw_lock_release(&stream->lock);
        return result;
    }
    return result;
}

static int look(struct guest_stream *stream, struct search *search, struct xw_error *err)
{
    for (;;) {
        int rc = find_domain(search->xs, search->name, &search->domid, err);

        if (!rc)
            rc = try_streams(stream, search, err);
        if (rc != -EAGAIN && rc != -EBUSY)
            return rc;
        if (rc == -EBUSY && xw_deadline_left(search->deadline) == 0)
            return xw_error_set(err, EBUSY, "guest '%s': all %d streams of its agent are in use",
                                search->name, GUEST_STREAMS);
        if (rc == -EBUSY) {
            /* Any of four locks may be the next to come free; there is no waiting for all. */
            poll(NULL, 0, 20);
            continue;
        }
        rc = wait_for_change(search, err);
        if (rc)
            return rc;
    }
}

int guest_stream_open(struct guest_stream *stream, const char *name, int timeout_ms,
                      struct xw_error *err)
{
    struct search search = {.name = name, .deadline = xw_deadline(timeout_ms)};
    char path[128];
    int rc = xw_file_make_folders(AT_FDCWD, GUEST_RUN_DIR, 0755, err);

    *stream = (struct guest_stream){.lock = XW_LOCK_INIT};
    if (!rc)
        rc = xw_xenstore_open(&search.xs, err);
    if (rc)
        return rc;
    rc = find_domain(search.xs, name, &search.domid, err);
    snprintf(path, sizeof(path), "/local/domain/%d/data", search.domid);
    if (!rc)
        rc = xw_xenstore_watch(search.xs, path, "agent", err);
    if (!rc)
        rc = xw_xenstore_watch(search.xs, "@releaseDomain", "gone", err);
    if (!rc)
        rc = look(stream, &search, err);
    xw_xenstore_close(search.xs);
    return rc;
}

void guest_stream_close(struct guest_stream *stream)
{
    lab_client_close(stream->client);
    xw_lock_release(&stream->lock);
}
