/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent says. */
#include <errno.h>
#include <string.h>

#include "lab/client-internal.h"

static int nonsense(const struct lab_client *client, struct xw_error *err)
{
    return xw_error_set(err, EPROTO, "%s: its agent sent something that is no answer",
                        client->peer);
}

/* Throws away what comes before the answer to our HELLO.  Returns whether the answer is there. */
static bool seek_hello(struct lab_client *client)
{
    unsigned char expected[LAB_FRAME_HEADER + LAB_HELLO_SIZE];
    struct lab_bytes *in = &client->in;

    lab_put_header(expected, LAB_FRAME_HELLO, LAB_HELLO_SIZE);
    memcpy(expected + sizeof(expected) - LAB_NONCE_SIZE, client->nonce, LAB_NONCE_SIZE);
    while (lab_bytes_used(in) >= sizeof(expected)) {
        const unsigned char *at = lab_bytes_start(in);

        if (memcmp(at, expected, LAB_FRAME_HEADER) == 0 &&
            memcmp(at + LAB_FRAME_HEADER + 4, client->nonce, LAB_NONCE_SIZE) == 0)
            return true;
        at = memchr(at + 1, LAB_FRAME_HELLO, lab_bytes_used(in) - 1);
        lab_bytes_consume(in, at ? (size_t)(at - lab_bytes_start(in)) : lab_bytes_used(in));
    }
    return false;
}

static int take_hello(struct lab_client *client, const unsigned char *payload, struct xw_error *err)
{
    uint32_t version = lab_get32(payload);

    client->synced = true;
    if (version != LAB_PROTOCOL_VERSION)
        return xw_error_set(err, EPROTO,
                            "%s: its agent speaks version %u of the protocol and this program "
                            "version %u; make it anew with this version of xenwright",
                            client->peer, version, LAB_PROTOCOL_VERSION);
    /* If HELLO had to be said more than once there are more answers, which mean nothing. */
    return client->request == LAB_REQUEST_HELLO ? LAB_CLIENT_DONE : LAB_CLIENT_WAITING;
}

static int take_exit(struct lab_client *client, const unsigned char *payload, size_t size,
                     struct xw_error *err)
{
    if (client->request != LAB_REQUEST_EXEC || size != 8 ||
        lab_get32(payload) > LAB_EXIT_SIGNAL)
        return nonsense(client, err);
    client->end = (struct lab_exec_end){
        .kind = lab_get32(payload),
        .value = lab_get32(payload + 4),
    };
    return LAB_CLIENT_DONE;
}

static int take_failed(struct lab_client *client, const unsigned char *payload, size_t size,
                       struct xw_error *err)
{
    enum lab_request request = client->request;

    if (size < 4 || (request != LAB_REQUEST_EXEC && request != LAB_REQUEST_PERSONALISE))
        return nonsense(client, err);
    client->request = LAB_REQUEST_NONE;
    return xw_error_set(err, EREMOTEIO, "%s: %.*s", client->peer, (int)(size - 4),
                        (const char *)payload + 4);
}

static int take_frame(struct lab_client *client, const unsigned char *frame, size_t size,
                      struct xw_error *err)
{
    const unsigned char *payload = frame + LAB_FRAME_HEADER;
    enum lab_request request = client->request;

    switch (frame[0]) {
    case LAB_FRAME_HELLO:
        return size == LAB_HELLO_SIZE ? take_hello(client, payload, err) : nonsense(client, err);
    case LAB_FRAME_STARTED:
        return request == LAB_REQUEST_EXEC && size == 4 ? LAB_CLIENT_WAITING
                                                        : nonsense(client, err);
    case LAB_FRAME_CREDIT:
        if (request != LAB_REQUEST_EXEC || size != 4 ||
            lab_get32(payload) > LAB_STDIN_WINDOW - client->window)
            return nonsense(client, err);
        client->window += lab_get32(payload);
        return LAB_CLIENT_WAITING;
    case LAB_FRAME_EXIT:
        return take_exit(client, payload, size, err);
    case LAB_FRAME_FAILED:
        return take_failed(client, payload, size, err);
    case LAB_FRAME_DONE:
        return request == LAB_REQUEST_PERSONALISE ? LAB_CLIENT_DONE : nonsense(client, err);
    case LAB_FRAME_PONG:
        return request == LAB_REQUEST_PING && size == LAB_NONCE_SIZE &&
                       memcmp(payload, client->nonce, size) == 0
                   ? LAB_CLIENT_DONE
                   : nonsense(client, err);
    default:
        return nonsense(client, err);
    }
}

/* Handles the next frame, or begins to pass it on.  *progress stays if there is no whole one. */
static int next_frame(struct lab_client *client, bool *moved, struct xw_error *err)
{
    struct lab_bytes *in = &client->in;
    const unsigned char *frame = lab_bytes_start(in);

    *moved = false;
    if ((!client->synced && !seek_hello(client)) || lab_bytes_used(in) < LAB_FRAME_HEADER)
        return LAB_CLIENT_WAITING;
    frame = lab_bytes_start(in);
    size_t size = lab_get32(frame + 4);
    if (!lab_header_sane(frame))
        return nonsense(client, err);
    if (frame[0] == LAB_FRAME_STDOUT || frame[0] == LAB_FRAME_STDERR) {
        if (client->request != LAB_REQUEST_EXEC)
            return nonsense(client, err);
        client->output_type = frame[0];
        client->output_left = size;
        lab_bytes_consume(in, LAB_FRAME_HEADER);
        *moved = true;
        return LAB_CLIENT_WAITING;
    }
    if (lab_bytes_used(in) < LAB_FRAME_HEADER + size)
        return LAB_CLIENT_WAITING;
    *moved = true;
    int result = take_frame(client, frame, size, err);
    lab_bytes_consume(in, LAB_FRAME_HEADER + size);
    return result;
}

int lab_client_take_frames(struct lab_client *client, struct xw_error *err)
{
    bool moved = true;
    int result = LAB_CLIENT_WAITING;

    while (moved && result == LAB_CLIENT_WAITING) {
        if (client->output_left > 0) {
            ssize_t taken = lab_client_pass_output(client, err);

            if (taken < 0)
                return (int)taken;
            moved = taken > 0;
        } else {
            result = next_frame(client, &moved, err);
        }
    }
    return result;
}
