/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running a program to its end with input, captured output and a timeout. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/spawn-path.h"
#include "base/text.h"

#define OUTPUT_LIMIT ((size_t)16 << 20)
#define ERROR_TAIL ((size_t)64 << 10)
#define READ_STEP ((size_t)64 << 10)
#define LINE_SIZE 4096

/* A line of output being put together; what goes beyond LINE_SIZE is dropped. */
struct line {
    char text[LINE_SIZE];
    size_t length;
};

struct run {
    const struct xw_spawn *spawn;
    struct xw_spawn_result *result;
    struct xw_child child;
    int input, output[2]; /* our ends of the pipes; -1: none or closed */
    size_t written;       /* of spawn->input */
    struct line lines[2];
    bool killed;
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A pipe with our end non-blocking and not inherited. ours: 0 when we read, 1 when we write. */
static int open_pipe(int ours, int *ret_ours, int *ret_theirs, struct xw_error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return xw_error_set_errno(err, "cannot make a pipe");
    fcntl(ends[ours], F_SETFL, O_NONBLOCK);
    *ret_ours = ends[ours];
    *ret_theirs = ends[!ours];
    return 0;
}

static void emit(struct run *run, int which)
{
    struct line *line = &run->lines[which];

    if (line->length == 0)
        return;
    line->text[line->length] = '\0';
    run->spawn->on_line(run->spawn->opaque, which + 1, line->text);
    line->length = 0;
}

static void feed_lines(struct run *run, int which, const char *data, size_t size)
{
    struct line *line = &run->lines[which];

    if (!run->spawn->on_line)
        return;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' || data[i] == '\r')
            emit(run, which);
        else if (line->length < sizeof(line->text) - 1)
            line->text[line->length++] = data[i];
    }
}

static void kill_all(struct run *run)
{
    run->killed = true;
    if (xw_spawn_own_group(run->spawn))
        kill(-run->child.pid, SIGKILL);
    else
        xw_child_kill(&run->child, SIGKILL, NULL);
}

/*
 * Everything that stdout (0) or stderr (1) has for us now; closes our end where theirs is closed.
 */
static int take_output(struct run *run, int which, struct xw_error *err)
{
    struct xw_buffer *buffer = which ? &run->result->err : &run->result->out;
    ssize_t n;

    for (;;) {
        if (which && buffer->length > ERROR_TAIL)
            xw_buffer_consume(buffer, buffer->length - ERROR_TAIL);
        n = xw_buffer_read(buffer, run->output[which], READ_STEP, err);
        if (n == -EAGAIN)
            return 0;
        if (n <= 0)
            break;
        feed_lines(run, which, buffer->data + buffer->length - n, (size_t)n);
    }
    close_end(&run->output[which]);
    if (n == -EFBIG)
        return xw_error_set(err, EFBIG, "'%s' wrote more than the %zu bytes expected at most",
                            run->spawn->argv[0], buffer->limit);
    if (n < 0)
        xw_error_prefix(err, "output of '%s'", run->spawn->argv[0]);
    return (int)n;
}

/* Hand over what the pipe takes. A program that does not want all of it is fine. */
static void give_input(struct run *run)
{
    const char *data = run->spawn->input;
    ssize_t n = write(run->input, data + run->written, run->spawn->input_size - run->written);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        run->written += (size_t)n;
    if (n < 0 || run->written == run->spawn->input_size)
        close_end(&run->input);
}

/* Serve the pipes until the program has ended. */
static int serve(struct run *run, int64_t deadline, struct xw_error *err)
{
    int rc = 0;

    for (;;) {
        struct pollfd pollers[4] = {
            {.fd = run->child.pidfd, .events = POLLIN},
            {.fd = run->input, .events = POLLOUT},
            {.fd = run->output[0], .events = POLLIN},
            {.fd = run->output[1], .events = POLLIN},
        };
        int n = poll(pollers, 4, run->killed ? -1 : xw_deadline_left(deadline));

        if (n < 0 && errno != EINTR)
            return xw_error_set_errno(err, "cannot wait for '%s'", run->spawn->argv[0]);
        if (n == 0) {
            run->result->end = XW_SPAWN_TIMED_OUT;
            kill_all(run);
        }
        if (n <= 0)
            continue;
        if (pollers[1].revents)
            give_input(run);
        for (int i = 0; i < 2; i++) {
            if (!pollers[2 + i].revents || rc < 0)
                continue;
            rc = take_output(run, i, err);
            if (rc < 0)
                kill_all(run);
        }
        if (pollers[0].revents)
            return rc;
    }
}

/* After the end: what is still in the pipes, without waiting for left-over grandchildren. */
static int finish(struct run *run, int rc, struct xw_error *err)
{
    bool timed_out = run->result->end == XW_SPAWN_TIMED_OUT;
    enum xw_spawn_end end = XW_SPAWN_EXITED;
    int waited;

    for (int i = 0; i < 2; i++) {
        if (run->output[i] >= 0 && rc == 0)
            rc = take_output(run, i, err);
        if (run->spawn->on_line)
            emit(run, i);
    }
    waited = xw_child_wait(&run->child, -1, &end, &run->result->status, rc < 0 ? NULL : err);
    run->result->end = timed_out ? XW_SPAWN_TIMED_OUT : end;
    return rc < 0 ? rc : waited;
}

/* The pipes asked for, the child's ends written into `child`. */
static int open_pipes(struct run *run, struct xw_spawn *child, int theirs[3],
                      struct xw_error *err)
{
    int rc = 0;

    if (child->stdin_fd == XW_SPAWN_DEFAULT && child->input) {
        rc = open_pipe(1, &run->input, &theirs[0], err);
        child->stdin_fd = theirs[0];
    }
    if (rc == 0 && child->stdout_fd == XW_SPAWN_DEFAULT) {
        rc = open_pipe(0, &run->output[0], &theirs[1], err);
        child->stdout_fd = theirs[1];
    }
    if (rc == 0 && child->stderr_fd == XW_SPAWN_DEFAULT) {
        rc = open_pipe(0, &run->output[1], &theirs[2], err);
        child->stderr_fd = theirs[2];
    }
    return rc;
}

static int run_in_pipes(struct run *run, struct xw_error *err)
{
    struct xw_spawn child = *run->spawn;
    int theirs[3] = {-1, -1, -1};
    int64_t deadline;
    int rc = open_pipes(run, &child, theirs, err);

    if (rc == 0)
        rc = xw_spawn_start(&child, &run->child, err);
    for (int i = 0; i < 3; i++)
        close_end(&theirs[i]);
    if (rc == 0) {
        deadline = xw_deadline(run->spawn->timeout_ms > 0 ? run->spawn->timeout_ms : -1);
        rc = serve(run, deadline, err);
        rc = finish(run, rc, err);
    }
    close_end(&run->input);
    close_end(&run->output[0]);
    close_end(&run->output[1]);
    return rc;
}

int xw_spawn_run(const struct xw_spawn *spawn, struct xw_spawn_result *ret, struct xw_error *err)
{
    struct run run = {.spawn = spawn, .result = ret, .input = -1, .output = {-1, -1}};
    const struct timespec at_once = {0, 0};
    sigset_t sigpipe, before, pending;
    bool was_pending;
    int rc;

    *ret = (struct xw_spawn_result){.end = XW_SPAWN_EXITED};
    xw_buffer_init(&ret->out, spawn->output_limit ? spawn->output_limit : OUTPUT_LIMIT);
    xw_buffer_init(&ret->err, ERROR_TAIL + READ_STEP);
    /* A program that stops reading must not end us: SIGPIPE waits, and is taken back at the end. */
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    rc = run_in_pipes(&run, err);
    if (!was_pending)
        while (sigtimedwait(&sigpipe, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void xw_spawn_result_free(struct xw_spawn_result *result)
{
    xw_buffer_free(&result->out);
    xw_buffer_free(&result->err);
}

/* ": <the last line that is not empty>" of what it wrote on stderr; nothing when there is none. */
static void last_words(const struct xw_buffer *buffer, char *out, size_t size)
{
    const char *text = xw_buffer_text(buffer);
    size_t end = buffer->length, start;

    out[0] = '\0';
    while (end > 0 && strchr("\r\n \t", text[end - 1]))
        end--;
    for (start = end; start > 0 && text[start - 1] != '\n' && text[start - 1] != '\r';)
        start--;
    if (start == end)
        return;
    memcpy(out, ": ", 2);
    xw_text_printable(out + 2, size - 2, text + start, end - start);
}

int xw_spawn_result_check(const struct xw_spawn *spawn, const struct xw_spawn_result *result,
                          struct xw_error *err)
{
    const char *slash = strrchr(spawn->argv[0], '/');
    const char *name = slash ? slash + 1 : spawn->argv[0], *description;
    char words[512];

    last_words(&result->err, words, sizeof(words));
    switch (result->end) {
    case XW_SPAWN_EXITED:
        if (result->status == 0)
            return 0;
        return xw_error_set(err, ECHILD, "%s failed with exit status %d%s", name, result->status,
                            words);
    case XW_SPAWN_SIGNALLED:
        description = sigdescr_np(result->status);
        return xw_error_set(err, ECHILD, "%s was ended by signal %d (%s)%s", name, result->status,
                            description ? description : "real-time", words);
    case XW_SPAWN_TIMED_OUT:
        break;
    }
    return xw_error_set(err, ETIMEDOUT, "%s did not end within %d.%03d s%s", name,
                        spawn->timeout_ms / 1000, spawn->timeout_ms % 1000, words);
}

int xw_spawn_check(const struct xw_spawn *spawn, struct xw_spawn_result *ret,
                   struct xw_error *err)
{
    struct xw_spawn_result own, *result = ret ? ret : &own;
    int rc = xw_spawn_run(spawn, result, err);

    if (rc == 0)
        rc = xw_spawn_result_check(spawn, result, err);
    if (!ret)
        xw_spawn_result_free(&own);
    return rc;
}
