/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection to an agent: requests, and the step function that carries them on. */
#include "lab/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "lab/client-internal.h"

#define IN_SIZE (2u * (LAB_FRAME_HEADER + LAB_FRAME_MAX))
#define OUT_SIZE (4u * (LAB_FRAME_HEADER + LAB_FRAME_MAX))

/* An agent that is there answers at once; one that starts, or sits in an overloaded emulator,
 * may need longer, and is not helped by being asked often. */
#define FIRST_HELLO_PAUSE_MS 500
#define LONGEST_HELLO_PAUSE_MS 4000

/* How much one step does before it returns to the caller, who may have other things to watch. */
#define STEP_ROUNDS 64

int lab_client_open(struct lab_client **ret, struct lab_transport *transport, const char *peer,
                    struct xw_error *err)
{
    struct lab_client *client = calloc(1, sizeof(*client));

    if (!client) {
        transport->ops->close(transport);
        return xw_error_set(err, ENOMEM, "%s: out of memory", peer);
    }
    client->transport = transport;
    client->blocked_on = -1;
    snprintf(client->peer, sizeof(client->peer), "%s", peer);
    if (lab_bytes_alloc(&client->in, IN_SIZE) < 0 || lab_bytes_alloc(&client->out, OUT_SIZE) < 0) {
        lab_client_close(client);
        return xw_error_set(err, ENOMEM, "%s: out of memory", peer);
    }
    *ret = client;
    return 0;
}

void lab_client_close(struct lab_client *client)
{
    if (!client)
        return;
    client->transport->ops->close(client->transport);
    lab_bytes_free(&client->in);
    lab_bytes_free(&client->out);
    free(client);
}

void lab_client_put(struct lab_client *client, enum lab_frame_type type, const void *payload,
                    size_t size)
{
    unsigned char *frame = lab_bytes_end(&client->out);

    lab_put_header(frame, type, (uint32_t)size);
    if (size > 0)
        memcpy(frame + LAB_FRAME_HEADER, payload, size);
    lab_bytes_produced(&client->out, LAB_FRAME_HEADER + size);
}

/* ---- requests ---- */

static int begin(struct lab_client *client, enum lab_request request, int timeout_ms,
                 struct xw_error *err)
{
    if (client->request != LAB_REQUEST_NONE || lab_bytes_room(&client->out) < OUT_SIZE / 2)
        return xw_error_set(err, EBUSY, "%s: another request is under way", client->peer);
    client->request = request;
    client->timeout_ms = timeout_ms;
    client->deadline = xw_deadline(timeout_ms);
    client->more = true;
    return 0;
}

static void say_hello(struct lab_client *client)
{
    unsigned char payload[LAB_HELLO_SIZE];

    lab_put32(payload, LAB_PROTOCOL_VERSION);
    memcpy(payload + 4, client->nonce, LAB_NONCE_SIZE);
    lab_client_put(client, LAB_FRAME_HELLO, payload, sizeof(payload));
    client->next_hello = xw_clock_ms() + client->hello_pause_ms;
}

int lab_client_start_hello(struct lab_client *client, int timeout_ms, struct xw_error *err)
{
    int result = xw_random_bytes(client->nonce, sizeof(client->nonce), err);

    if (result == 0)
        result = begin(client, LAB_REQUEST_HELLO, timeout_ms, err);
    if (result < 0)
        return result;
    client->synced = false;
    client->hello_pause_ms = FIRST_HELLO_PAUSE_MS;
    say_hello(client);
    return 0;
}

/* A client that died in the middle of a frame leaves the agent waiting for the rest: padding as
 * long as the longest frame ends that.  While what was said before is still on its way, the agent
 * is not reading at all and more of the same would be useless. */
static void repeat_hello(struct lab_client *client)
{
    static const size_t padding = LAB_FRAME_MAX + LAB_FRAME_HEADER;

    if (client->request != LAB_REQUEST_HELLO || xw_clock_ms() < client->next_hello)
        return;
    client->hello_pause_ms *= 2;
    if (client->hello_pause_ms > LONGEST_HELLO_PAUSE_MS)
        client->hello_pause_ms = LONGEST_HELLO_PAUSE_MS;
    client->next_hello = xw_clock_ms() + client->hello_pause_ms;
    if (lab_bytes_used(&client->out) > 0)
        return;
    memset(lab_bytes_end(&client->out), LAB_FRAME_PAD, padding);
    lab_bytes_produced(&client->out, padding);
    say_hello(client);
}

int lab_client_start_ping(struct lab_client *client, int timeout_ms, struct xw_error *err)
{
    int result = begin(client, LAB_REQUEST_PING, timeout_ms, err);

    if (result == 0)
        lab_client_put(client, LAB_FRAME_PING, client->nonce, LAB_NONCE_SIZE);
    return result;
}

int lab_client_start_personalise(struct lab_client *client, const char *lines, int timeout_ms,
                                 struct xw_error *err)
{
    if (strlen(lines) > LAB_FRAME_MAX)
        return xw_error_set(err, E2BIG, "%s: its new identity is larger than %u bytes",
                            client->peer, LAB_FRAME_MAX);
    int result = begin(client, LAB_REQUEST_PERSONALISE, timeout_ms, err);
    if (result == 0)
        lab_client_put(client, LAB_FRAME_PERSONALISE, lines, strlen(lines));
    return result;
}

/* Puts a string with its NUL at *at.  Returns false when it does not fit before the end. */
static bool put_string(unsigned char **at, const unsigned char *end, const char *string)
{
    size_t size = strlen(string) + 1;

    if (size > (size_t)(end - *at))
        return false;
    memcpy(*at, string, size);
    *at += size;
    return true;
}

static bool put_strings(unsigned char **at, const unsigned char *end, const char *const *list,
                        uint32_t *count)
{
    for (*count = 0; list && list[*count]; (*count)++)
        if (!put_string(at, end, list[*count]))
            return false;
    return true;
}

/* Writes an EXEC payload of at most LAB_FRAME_MAX bytes.  Returns its size, or 0: too large. */
static size_t make_exec(unsigned char *payload, const struct lab_exec *exec)
{
    unsigned char *at = payload + 16, *end = payload + LAB_FRAME_MAX;
    uint32_t argc = 0, envc = 0;

    if (!put_string(&at, end, exec->directory ? exec->directory : "") ||
        !put_strings(&at, end, exec->argv, &argc) || !put_strings(&at, end, exec->env, &envc))
        return 0;
    lab_put32(payload, (exec->tty ? LAB_EXEC_TTY : 0u) | (exec->in < 0 ? LAB_EXEC_NO_STDIN : 0u));
    lab_put16(payload + 4, exec->columns);
    lab_put16(payload + 6, exec->rows);
    lab_put32(payload + 8, argc);
    lab_put32(payload + 12, envc);
    return (size_t)(at - payload);
}

int lab_client_start_exec(struct lab_client *client, const struct lab_exec *exec, int timeout_ms,
                          struct xw_error *err)
{
    if (!exec->argv[0])
        return xw_error_set(err, EINVAL, "%s: no program was named", client->peer);
    int result = begin(client, LAB_REQUEST_EXEC, timeout_ms, err);
    if (result < 0)
        return result;
    unsigned char *frame = lab_bytes_end(&client->out);
    size_t size = make_exec(frame + LAB_FRAME_HEADER, exec);
    if (size == 0) {
        client->request = LAB_REQUEST_NONE;
        return xw_error_set(err, E2BIG,
                            "%s: command and environment are larger than %u bytes; put them into "
                            "a file there and run that",
                            client->peer, LAB_FRAME_MAX);
    }
    lab_put_header(frame, LAB_FRAME_EXEC, (uint32_t)size);
    lab_bytes_produced(&client->out, LAB_FRAME_HEADER + size);
    client->exec = *exec;
    client->exec.directory = NULL;
    client->exec.argv = client->exec.env = NULL;
    client->window = LAB_STDIN_WINDOW;
    client->in_ended = false;
    lab_client_look_at_streams(client);
    return 0;
}

static void tell_program(struct lab_client *client, enum lab_frame_type type,
                         const unsigned char payload[static 4])
{
    if (client->request == LAB_REQUEST_EXEC && lab_bytes_room(&client->out) >= LAB_FRAME_HEADER + 4)
        lab_client_put(client, type, payload, 4);
    client->more = true;
}

void lab_client_signal(struct lab_client *client, int number)
{
    unsigned char payload[4];

    lab_put32(payload, (uint32_t)number);
    tell_program(client, LAB_FRAME_SIGNAL, payload);
}

void lab_client_window(struct lab_client *client, uint16_t columns, uint16_t rows)
{
    unsigned char payload[4];

    lab_put16(payload, columns);
    lab_put16(payload + 2, rows);
    tell_program(client, LAB_FRAME_WINDOW, payload);
}

struct lab_exec_end lab_client_exec_end(const struct lab_client *client)
{
    return client->end;
}

/* ---- steps ---- */

static int lost(const struct lab_client *client, int error, struct xw_error *err)
{
    return xw_error_set(err, ECONNRESET, "%s: the connection was lost%s%s", client->peer,
                        error ? ": " : "", error ? strerror(error) : "");
}

/* Both return whether anything was moved, or a negative errno. */
static int send_queued(struct lab_client *client, struct xw_error *err)
{
    const struct lab_transport_ops *ops = client->transport->ops;
    size_t used = lab_bytes_used(&client->out);

    if (used == 0)
        return 0;
    ssize_t sent = ops->write(client->transport, lab_bytes_start(&client->out), used);
    if (sent == -EAGAIN)
        return 0;
    /* The answer may have come before the connection broke: reading decides. */
    if (sent == -EPIPE || sent == -ECONNRESET) {
        lab_bytes_clear(&client->out);
        return 0;
    }
    if (sent < 0)
        return lost(client, (int)-sent, err);
    lab_bytes_consume(&client->out, (size_t)sent);
    return 1;
}

static int read_some(struct lab_client *client)
{
    const struct lab_transport_ops *ops = client->transport->ops;
    size_t room = lab_bytes_room(&client->in);

    if (room == 0 || client->lost || client->blocked_on >= 0)
        return 0;
    ssize_t got = ops->read(client->transport, lab_bytes_end(&client->in), room);
    if (got == -EAGAIN)
        return 0;
    if (got <= 0) {
        client->lost = true;
        return 0;
    }
    lab_bytes_produced(&client->in, (size_t)got);
    return 1;
}

static int step_round(struct lab_client *client, bool *moved, struct xw_error *err)
{
    int received = read_some(client);
    size_t waiting = lab_bytes_used(&client->in);
    int result = lab_client_take_frames(client, err);
    bool taken = lab_bytes_used(&client->in) < waiting;

    if (result != LAB_CLIENT_WAITING)
        return result;
    if (client->lost && client->blocked_on < 0)
        return lost(client, 0, err);
    ssize_t input = client->request == LAB_REQUEST_EXEC ? lab_client_send_input(client, err) : 0;
    if (input < 0)
        return (int)input;
    int sent = send_queued(client, err);
    if (sent < 0)
        return sent;
    /* A vchan announces only what comes after it was found empty: it has to be read until then. */
    *moved = received > 0 || taken || input > 0 || sent > 0;
    return LAB_CLIENT_WAITING;
}

static void wake(struct lab_client *client, const struct pollfd *fds, size_t count)
{
    const struct lab_transport *transport = client->transport;

    for (size_t i = 0; fds && i < count; i++)
        if (fds[i].fd == transport->fd && (fds[i].revents & POLLIN) && transport->ops->woken)
            transport->ops->woken(client->transport);
}

int lab_client_step(struct lab_client *client, const struct pollfd *fds, size_t count,
                    struct xw_error *err)
{
    int result = LAB_CLIENT_WAITING;
    bool moved = true;

    if (client->request == LAB_REQUEST_NONE)
        return LAB_CLIENT_DONE;
    wake(client, fds, count);
    repeat_hello(client);
    for (int round = 0; moved && round < STEP_ROUNDS && result == LAB_CLIENT_WAITING; round++)
        result = step_round(client, &moved, err);
    client->more = moved && result == LAB_CLIENT_WAITING;
    if (result == LAB_CLIENT_DONE)
        client->request = LAB_REQUEST_NONE;
    if (result == LAB_CLIENT_WAITING && xw_deadline_left(client->deadline) == 0)
        return xw_error_set(err, ETIMEDOUT, "%s: %s within %g s", client->peer,
                            client->request == LAB_REQUEST_EXEC ? "the program did not end"
                                                                : "its agent did not answer",
                            client->timeout_ms / 1000.0);
    return result;
}

static void lower_timeout(int *timeout_ms, int left_ms)
{
    if (left_ms >= 0 && (*timeout_ms < 0 || left_ms < *timeout_ms))
        *timeout_ms = left_ms;
}

size_t lab_client_pollfds(const struct lab_client *client, struct pollfd fds[LAB_CLIENT_POLLFDS],
                          int *timeout_ms)
{
    const struct lab_transport *transport = client->transport;
    bool wakes_as_input = transport->ops->write_wakes_as_input;
    bool sends = lab_bytes_used(&client->out) > 0;
    size_t count = 1;

    if (client->more)
        lower_timeout(timeout_ms, 0);
    lower_timeout(timeout_ms, xw_deadline_left(client->deadline));
    if (client->request == LAB_REQUEST_HELLO)
        lower_timeout(timeout_ms, xw_deadline_left(client->next_hello));
    fds[0] = (struct pollfd){.fd = transport->fd};
    if (client->blocked_on < 0 || wakes_as_input)
        fds[0].events |= POLLIN;
    if (sends && !wakes_as_input)
        fds[0].events |= POLLOUT;
    if (fds[0].events == 0) /* or a peer that has gone would be reported again and again */
        fds[0].fd = -1;
    if (client->request != LAB_REQUEST_EXEC)
        return count;
    if (client->blocked_on >= 0)
        fds[count++] = (struct pollfd){.fd = client->blocked_on, .events = POLLOUT};
    if (client->exec.in >= 0 && !client->in_ended && client->window > 0 && !sends)
        fds[count++] = (struct pollfd){.fd = client->exec.in, .events = POLLIN};
    return count;
}

int lab_client_finish(struct lab_client *client, struct xw_error *err)
{
    struct pollfd fds[LAB_CLIENT_POLLFDS];
    size_t count = 0;
    int result;

    while ((result = lab_client_step(client, fds, count, err)) == LAB_CLIENT_WAITING) {
        int timeout_ms = -1;

        count = lab_client_pollfds(client, fds, &timeout_ms);
        if (poll(fds, count, timeout_ms) < 0) {
            if (errno != EINTR)
                return xw_error_set_errno(err, "poll");
            count = 0;
        }
    }
    return result < 0 ? result : 0;
}
