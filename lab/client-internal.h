/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What client.c, client-frames.c and client-streams.c share. */
#ifndef LAB_CLIENT_INTERNAL_H
#define LAB_CLIENT_INTERNAL_H

#include <sys/stat.h>

#include "lab/bytes.h"
#include "lab/client.h"
#include "lab/wire.h"

enum lab_request {
    LAB_REQUEST_NONE,
    LAB_REQUEST_HELLO,
    LAB_REQUEST_PING,
    LAB_REQUEST_PERSONALISE,
    LAB_REQUEST_EXEC,
};

struct lab_client {
    struct lab_transport *transport;
    char peer[128];
    struct lab_bytes in, out;
    unsigned char nonce[LAB_NONCE_SIZE];
    bool synced;         /* the agent has answered the HELLO: what comes now is for us */
    bool more;           /* the last step stopped before there was nothing left to do */
    bool lost;           /* nothing more will come */
    enum lab_request request;
    int timeout_ms;
    int64_t deadline;
    int64_t next_hello;  /* when to say HELLO again */
    int hello_pause_ms;

    struct lab_exec exec;
    struct lab_exec_end end;
    uint32_t window;     /* bytes of input that may still be sent */
    bool in_ended;
    bool in_always_ready, out_never_blocks, err_never_blocks;

    /* An output frame is passed on while it comes in. */
    enum lab_frame_type output_type;
    size_t output_left;
    int blocked_on;      /* the caller's descriptor that takes no more now, or -1 */
};

/* Queues a frame.  The caller has made sure of the room. */
void lab_client_put(struct lab_client *client, enum lab_frame_type type, const void *payload,
                    size_t size);

/* client-frames.c: handles what has come in.  Returns a progress or a negative errno. */
int lab_client_take_frames(struct lab_client *client, struct xw_error *err);

/* client-streams.c: sends input; passes on output.  Both return the number of bytes that were
 * moved (or 1 for the end of the input), 0 if none could be, or a negative errno. */
ssize_t lab_client_send_input(struct lab_client *client, struct xw_error *err);
ssize_t lab_client_pass_output(struct lab_client *client, struct xw_error *err);
void lab_client_look_at_streams(struct lab_client *client);

#endif
