/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent runs programs inside a lab's dom0 or inside a test guest for a client outside.  One
 * single-threaded epoll loop (loop.c) serves all streams; a stream (stream.c) carries frames for
 * at most one client, who runs at most one program (program.c) at a time.
 *
 * All descriptors are registered edge-triggered: a virtio-serial port reports EPOLLHUP for as long
 * as nobody is connected on the host, which would keep a level-triggered loop spinning.  A source
 * therefore remembers what it was told, and forgets it when a call says EAGAIN.
 */
#ifndef LAB_AGENT_H
#define LAB_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab/bytes.h"
#include "lab/transport.h"
#include "lab/wire.h"

#define AGENT_STREAMS 16

#define agent_container_of(member_pointer, type, member)                                           \
    ((type *)(void *)((char *)(member_pointer) - offsetof(type, member)))

/* ---- loop.c: descriptors that are waited for ---- */

struct agent_source {
    /* Called after readable and writable have been set.  May close this and other sources. */
    void (*ready)(struct agent_source *source);
    int fd; /* -1: not open */
    bool readable, writable;
};

int agent_loop_init(void);
/* Watches fd, edge-triggered.  Returns 0 or -errno. */
int agent_source_open(struct agent_source *source, int fd,
                      void (*ready)(struct agent_source *source));
/* Stops watching and closes the descriptor; harmless when not open. */
void agent_source_close(struct agent_source *source);
/* Stops watching, without closing. */
void agent_source_forget(struct agent_source *source);
/* Has pump() called in each round until it returns false (nothing left to do before an event). */
struct agent_loop_work {
    bool (*pump)(struct agent_loop_work *work);
    struct agent_loop_work *next;
    bool queued;
};
void agent_loop_queue(struct agent_loop_work *work);
/* Serves events until agent_loop_quit() has been called and no orphaned program is left. */
int agent_loop_run(void);
void agent_loop_quit(void);

/* ---- program.c: a program and its pipes or terminal ---- */

struct agent_stream;

struct agent_program {
    struct agent_stream *stream; /* NULL once the client has gone */
    pid_t pid;
    bool tty;
    struct agent_source input, output, errors; /* with a terminal only output is open */
    struct agent_source exited;                /* a pidfd */
    struct agent_source deadline;              /* a timerfd, when the program was told to end */
    struct agent_loop_work ending;             /* takes over from the stream's work then */
    bool killed;
    struct lab_bytes pending;                /* input not taken by the program yet */
    bool input_ended;
    bool dead;
    unsigned char last_input;
    uint32_t credit;
    enum lab_exit_kind kind;
    uint32_t value;
    size_t drain_output, drain_errors; /* what a dead program's pipes still hold */
};

/* Starts what an EXEC frame asks for and queues STARTED, or EXIT or FAILED if it cannot. */
void agent_program_start(struct agent_stream *stream, const unsigned char *payload, size_t size);
/* Moves what can be moved between program and stream.  Returns whether anything was. */
bool agent_program_pump(struct agent_program *program);
/* Takes the payload of a STDIN frame; empty is end of file.  Returns -EPROTO when the client sent
 * more than its window. */
int agent_program_input(struct agent_program *program, const unsigned char *bytes, size_t size);
void agent_program_signal(struct agent_program *program, uint32_t number);
void agent_program_window(struct agent_program *program, uint16_t columns, uint16_t rows);
/* The client has gone: the program is told to end and killed a second later if it does not. */
void agent_program_orphan(struct agent_program *program);
/* Programs that were told to end and have not yet. */
unsigned agent_program_orphans(void);

/* ---- spawn.c ---- */

struct agent_request {
    uint32_t flags;
    uint16_t columns, rows;
    const char *directory;
    char **argv; /* one allocation for both lists; the strings lie in the frame */
    char **env;
};

/* The child's working directory and ends of its standard streams, or the path of its terminal. */
struct agent_stdio {
    int directory;
    int in, out, err;
    const char *terminal;
};

/* Takes an EXEC payload apart.  The caller frees request->argv.  Returns 0 or -EPROTO, -ENOMEM. */
int agent_request_parse(struct agent_request *request, const unsigned char *payload, size_t size);
/* Starts the program as the leader of a new session.  Returns its pid or -errno. */
pid_t agent_spawn(const struct agent_request *request, const struct agent_stdio *stdio);

/* ---- stream.c ---- */

struct agent_stream {
    struct lab_transport *transport; /* NULL: not in use */
    struct agent_source link;
    struct agent_loop_work work;
    struct lab_bytes in, out;
    bool greeted;
    struct agent_program *program;
    /* Called when the client has gone (error 0) or the transport failed (a negative errno).  Closes
     * the stream, or leaves it open if the next client comes over the same transport. */
    void (*lost)(struct agent_stream *stream, int error);
};

/* Begins to serve a transport, which the stream owns from here on, also when this fails. */
int agent_stream_open(struct agent_stream *stream, struct lab_transport *transport,
                      void (*lost)(struct agent_stream *stream, int error));
void agent_stream_close(struct agent_stream *stream);
/* The client has gone, or cannot be understood any more: as before its HELLO. */
void agent_stream_reset(struct agent_stream *stream);
/* Room for a frame with the given payload is there. */
bool agent_stream_has_room(struct agent_stream *stream, size_t payload);
/* Queues a frame; there must be room for it. */
void agent_stream_put(struct agent_stream *stream, enum lab_frame_type type, const void *payload,
                      size_t size);
void agent_stream_failed(struct agent_stream *stream, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Has the stream pumped in this round of the loop. */
void agent_stream_poke(struct agent_stream *stream);

/* What program output leaves free in a stream's buffer for EXIT, CREDIT and FAILED frames. */
#define AGENT_STREAM_RESERVE 4096u

/* ---- personalise.c, network.c ---- */

struct agent_failure {
    int error;
    char text[256];
};

/* Carries out "key=value\n" lines.  Returns 0 or -errno with the failure described. */
int agent_personalise(char *lines, struct agent_failure *failure);
int agent_set_mac(char *value);
int agent_set_address(char *value);
int agent_set_gateway(char *value);

/* ---- where clients come from ---- */

struct agent_listener {
    const char *option, *argument, *help;
    int (*start)(const char *argument);
};
/* Ends with NULL.  Which listeners an agent has is decided by the source files linked into it. */
extern const struct agent_listener *const agent_listeners[];
extern const struct agent_listener agent_listener_fd, agent_listener_virtio, agent_listener_vchan;

/* One line to stderr. */
void agent_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
