/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A running program: its input, output and end.
 *
 * Output is read only as far as the stream has room, so a client that does not read stops the
 * program at its pipe.  Input is bounded by the client's window and handed on by CREDIT frames.
 * After the program's end only what its pipes still hold is sent: a daemon that it left behind may
 * keep them open for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"

/* Input is credited in pieces of this size, which keeps CREDIT frames few and always leaves the
 * client most of its window. */
#define CREDIT_STEP (LAB_STDIN_WINDOW / 4)

/* More than a terminal can hold. */
#define TERMINAL_DRAIN 131072u

/* Output is not read for the sake of less than this. */
#define OUTPUT_LEAST 4096u

#define GRACE_SECONDS 1

static unsigned orphans;

unsigned agent_program_orphans(void)
{
    return orphans;
}

static void close_streams(struct agent_program *program)
{
    agent_source_close(&program->input);
    agent_source_close(&program->output);
    agent_source_close(&program->errors);
}

static void release(struct agent_program *program)
{
    close_streams(program);
    agent_source_close(&program->exited);
    agent_source_close(&program->deadline);
    lab_bytes_free(&program->pending);
    free(program);
}

/* Collects the status once the program has ended. */
static void reap(struct agent_program *program)
{
    siginfo_t info = {0};

    if (program->dead || waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0)
        return;
    program->dead = true;
    program->kind = info.si_code == CLD_EXITED ? LAB_EXIT_STATUS : LAB_EXIT_SIGNAL;
    program->value = (uint32_t)info.si_status;
}

static size_t left_in(const struct agent_source *source, bool tty)
{
    int count = 0;

    if (source->fd < 0)
        return 0;
    if (tty) /* what is under way inside the terminal cannot be asked for */
        return TERMINAL_DRAIN;
    return ioctl(source->fd, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

static void source_ready(struct agent_source *source, struct agent_program *program)
{
    (void)source;
    if (program->stream)
        agent_stream_poke(program->stream);
}

static void input_ready(struct agent_source *source)
{
    source_ready(source, agent_container_of(source, struct agent_program, input));
}

static void output_ready(struct agent_source *source)
{
    source_ready(source, agent_container_of(source, struct agent_program, output));
}

static void errors_ready(struct agent_source *source)
{
    source_ready(source, agent_container_of(source, struct agent_program, errors));
}

static void exited_ready(struct agent_source *source)
{
    struct agent_program *program = agent_container_of(source, struct agent_program, exited);

    if (!program->stream) {
        agent_loop_queue(&program->ending);
        return;
    }
    reap(program);
    if (program->dead) {
        program->drain_output = left_in(&program->output, program->tty);
        program->drain_errors = left_in(&program->errors, false);
        program->output.readable = program->errors.readable = true;
    }
    agent_stream_poke(program->stream);
}

/* ---- starting ---- */

static int watch(struct agent_source *source, int *fd, void (*ready)(struct agent_source *source))
{
    int result = agent_source_open(source, *fd, ready);

    if (result == 0)
        *fd = -1;
    return result;
}

static int open_terminal(struct agent_program *program, const struct agent_request *request,
                         char path[static 32])
{
    struct winsize size = {.ws_row = request->rows, .ws_col = request->columns};
    int unlock = 0, number, result;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (master < 0)
        return -errno;
    if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0 ||
        ioctl(master, TIOCSWINSZ, &size) < 0)
        result = -errno;
    else
        result = agent_source_open(&program->output, master, output_ready);
    if (result < 0)
        close(master);
    else
        snprintf(path, 32, "/dev/pts/%d", number);
    return result;
}

/* Makes a pipe of which the agent's end (0: it reads, 1: it writes) does not block. */
static int make_pipe(int ends[static 2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    return fcntl(ends[ours], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* pipes: input, output, errors, each as pipe(2) gives it; -1 where not open. */
static int open_pipes(struct agent_program *program, const struct agent_request *request,
                      int pipes[static 6], struct agent_stdio *stdio)
{
    int result;

    if (request->flags & LAB_EXEC_NO_STDIN)
        result = (pipes[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0 ? -errno : 0;
    else if ((result = make_pipe(pipes, 1)) == 0)
        result = watch(&program->input, &pipes[1], input_ready);
    if (result < 0 || (result = make_pipe(pipes + 2, 0)) < 0 ||
        (result = watch(&program->output, &pipes[2], output_ready)) < 0 ||
        (result = make_pipe(pipes + 4, 0)) < 0 ||
        (result = watch(&program->errors, &pipes[4], errors_ready)) < 0)
        return result;
    stdio->in = pipes[0];
    stdio->out = pipes[3];
    stdio->err = pipes[5];
    return 0;
}

static int watch_end(struct agent_program *program)
{
    int fd = pidfd_open(program->pid, 0);
    int result = fd < 0 ? -errno : watch(&program->exited, &fd, exited_ready);

    if (result < 0) {
        kill(-program->pid, SIGKILL);
        waitpid(program->pid, NULL, 0);
        if (fd >= 0)
            close(fd);
    }
    return result;
}

/* Starts the program with its streams.  A result of -ENOEXEC or -ENOENT is about the program. */
static int launch(struct agent_program *program, const struct agent_request *request,
                  int directory, bool *spawned)
{
    struct agent_stdio stdio = {.directory = directory};
    int pipes[6] = {-1, -1, -1, -1, -1, -1};
    char terminal[32];
    int result = lab_bytes_alloc(&program->pending, LAB_STDIN_WINDOW);

    if (result == 0 && program->tty) {
        result = open_terminal(program, request, terminal);
        stdio.terminal = terminal;
    } else if (result == 0) {
        result = open_pipes(program, request, pipes, &stdio);
    }
    if (result == 0) {
        *spawned = true;
        program->pid = agent_spawn(request, &stdio);
        result = program->pid < 0 ? program->pid : watch_end(program);
    }
    for (int i = 0; i < 6; i++)
        if (pipes[i] >= 0)
            close(pipes[i]);
    return result;
}

static void put_exit(struct agent_stream *stream, enum lab_exit_kind kind, uint32_t value)
{
    unsigned char payload[8];

    lab_put32(payload, (uint32_t)kind);
    lab_put32(payload + 4, value);
    agent_stream_put(stream, LAB_FRAME_EXIT, payload, sizeof(payload));
}

/* Says why the program cannot be run, as a shell would. */
static void put_cannot_run(struct agent_stream *stream, const char *name, int error)
{
    bool missing = error == ENOENT || error == ENOTDIR;
    char line[512];
    int length = snprintf(line, sizeof(line), "%.400s: %s\n", name,
                          error == ENOENT ? "command not found" : strerror(error));

    agent_stream_put(stream, LAB_FRAME_STDERR, line, (size_t)length);
    put_exit(stream, LAB_EXIT_STATUS, missing ? 127 : 126);
}

static bool is_about_program(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ENOEXEC ||
           error == EISDIR || error == ELOOP || error == ENAMETOOLONG || error == E2BIG ||
           error == EPERM || error == ELIBBAD || error == ETXTBSY;
}

static int open_directory(const char *name)
{
    const char *home = access("/root", X_OK) == 0 ? "/root" : "/";
    int directory = open(*name ? name : home, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return directory < 0 ? -errno : directory;
}

static void start(struct agent_stream *stream, const struct agent_request *request)
{
    struct agent_program *program;
    unsigned char pid[4];
    bool spawned = false;
    int directory = open_directory(request->directory);

    if (directory < 0) {
        agent_stream_failed(stream, -directory, "directory %.400s: %s", request->directory,
                            strerror(-directory));
        return;
    }
    program = calloc(1, sizeof(*program));
    if (!program) {
        agent_stream_failed(stream, ENOMEM, "the agent is out of memory");
        close(directory);
        return;
    }
    program->stream = stream;
    program->tty = request->flags & LAB_EXEC_TTY;
    program->input.fd = program->output.fd = program->errors.fd = -1;
    program->exited.fd = program->deadline.fd = -1;
    int result = launch(program, request, directory, &spawned);
    close(directory);
    if (result == 0) {
        stream->program = program;
        lab_put32(pid, (uint32_t)program->pid);
        agent_stream_put(stream, LAB_FRAME_STARTED, pid, sizeof(pid));
        return;
    }
    release(program);
    if (spawned && is_about_program(-result))
        put_cannot_run(stream, request->argv[0], -result);
    else
        agent_stream_failed(stream, -result, "cannot start %.400s: %s", request->argv[0],
                            strerror(-result));
}

void agent_program_start(struct agent_stream *stream, const unsigned char *payload, size_t size)
{
    struct agent_request request;
    int result = agent_request_parse(&request, payload, size);

    if (result < 0) {
        agent_stream_failed(stream, -result, "exec: the request is malformed");
        return;
    }
    start(stream, &request);
    free(request.argv);
}

/* ---- running ---- */

/* Reads from the program into the stream, at most *limit bytes if limit is given. */
static bool collect(struct agent_program *program, struct agent_source *source,
                    enum lab_frame_type type, size_t *limit)
{
    struct agent_stream *stream = program->stream;
    size_t room = lab_bytes_room(&stream->out);

    if (source->fd < 0 || !source->readable || (limit && *limit == 0) ||
        room < LAB_FRAME_HEADER + OUTPUT_LEAST + AGENT_STREAM_RESERVE)
        return false;
    room -= LAB_FRAME_HEADER + AGENT_STREAM_RESERVE;
    if (room > LAB_FRAME_MAX)
        room = LAB_FRAME_MAX;
    if (limit && room > *limit)
        room = *limit;

    unsigned char *frame = lab_bytes_end(&stream->out);
    ssize_t got = read(source->fd, frame + LAB_FRAME_HEADER, room);

    if (got > 0) {
        lab_put_header(frame, type, (uint32_t)got);
        lab_bytes_produced(&stream->out, LAB_FRAME_HEADER + (size_t)got);
        if (limit)
            *limit -= (size_t)got;
        return true;
    }
    source->readable = false;
    /* A terminal says EIO while no program has it open; that may change until the leader ends. */
    if (got == 0 || (errno != EAGAIN && errno != EINTR && !program->tty))
        agent_source_close(source);
    if (limit)
        *limit = 0;
    return false;
}

/* Where input goes: a terminal is one descriptor for both ways. */
static struct agent_source *input_of(struct agent_program *program)
{
    return program->tty ? &program->output : &program->input;
}

static void give_credit(struct agent_program *program, size_t taken)
{
    unsigned char payload[4];

    program->credit += (uint32_t)taken;
    if (program->credit < CREDIT_STEP)
        return;
    lab_put32(payload, program->credit);
    agent_stream_put(program->stream, LAB_FRAME_CREDIT, payload, sizeof(payload));
    program->credit = 0;
}

/* At the end of the client's input a terminal gets what Ctrl-D sends: once to end a begun line,
 * and once on an empty one. */
static void end_input(struct agent_program *program)
{
    static const unsigned char ctrl_d = 4;

    if (!program->tty) {
        agent_source_close(&program->input);
        return;
    }
    int times = program->last_input && program->last_input != '\n' ? 2 : 1;
    for (; times > 0; times--) {
        memcpy(lab_bytes_end(&program->pending), &ctrl_d, 1);
        lab_bytes_produced(&program->pending, 1);
    }
}

static bool feed(struct agent_program *program)
{
    struct agent_source *source = input_of(program);
    size_t used = lab_bytes_used(&program->pending);

    if (used == 0 && program->input_ended) {
        program->input_ended = false;
        end_input(program);
        return true;
    }
    if (used == 0 || (source->fd >= 0 && !source->writable) ||
        !agent_stream_has_room(program->stream, 4))
        return false;
    ssize_t sent = -1;
    if (source->fd >= 0) {
        sent = write(source->fd, lab_bytes_start(&program->pending), used);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            source->writable = false;
            return false;
        }
        if (sent < 0 && !program->tty)
            agent_source_close(source);
    }
    /* Nobody reads it any more: let the client go on, as if it had written to /dev/null. */
    size_t taken = sent < 0 ? used : (size_t)sent;
    program->last_input = lab_bytes_start(&program->pending)[taken - 1];
    lab_bytes_consume(&program->pending, taken);
    give_credit(program, taken);
    return true;
}

static bool finish(struct agent_program *program)
{
    struct agent_stream *stream = program->stream;

    if (!program->dead || program->drain_output > 0 || program->drain_errors > 0 ||
        !agent_stream_has_room(stream, 8))
        return false;
    put_exit(stream, program->kind, program->value);
    stream->program = NULL;
    release(program);
    return true;
}

bool agent_program_pump(struct agent_program *program)
{
    bool dead = program->dead;
    bool moved = collect(program, &program->output, LAB_FRAME_STDOUT,
                         dead ? &program->drain_output : NULL);

    if (collect(program, &program->errors, LAB_FRAME_STDERR, dead ? &program->drain_errors : NULL))
        moved = true;
    if (feed(program))
        moved = true;
    return finish(program) || moved;
}

int agent_program_input(struct agent_program *program, const unsigned char *bytes, size_t size)
{
    if (size == 0) {
        program->input_ended = true;
        return 0;
    }
    if (size > lab_bytes_room(&program->pending))
        return -EPROTO;
    memcpy(lab_bytes_end(&program->pending), bytes, size);
    lab_bytes_produced(&program->pending, size);
    return 0;
}

void agent_program_signal(struct agent_program *program, uint32_t number)
{
    pid_t group = program->pid;

    /* With job control the shell's jobs are groups of their own; the terminal knows which one
     * would get a Ctrl-C. */
    if (program->tty && ioctl(program->output.fd, TIOCGPGRP, &group) < 0)
        group = program->pid;
    if (!program->dead && number > 0 && number < (uint32_t)SIGRTMAX)
        kill(-group, (int)number);
}

void agent_program_window(struct agent_program *program, uint16_t columns, uint16_t rows)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};

    if (program->tty)
        ioctl(program->output.fd, TIOCSWINSZ, &size);
}

/* ---- a program whose client has gone ---- */

static bool end_orphan(struct agent_loop_work *work)
{
    struct agent_program *program = agent_container_of(work, struct agent_program, ending);
    uint64_t expirations;

    /* The leader is not reaped before the group is killed, so that its number stays taken. */
    if (!program->killed && program->deadline.fd >= 0 &&
        read(program->deadline.fd, &expirations, sizeof(expirations)) < 0)
        return false;
    if (!program->killed && !program->dead)
        kill(-program->pid, SIGKILL);
    program->killed = true;
    agent_source_close(&program->deadline);
    reap(program);
    if (!program->dead)
        return false;
    orphans--;
    release(program);
    return false;
}

static void deadline_ready(struct agent_source *source)
{
    agent_loop_queue(&agent_container_of(source, struct agent_program, deadline)->ending);
}

void agent_program_orphan(struct agent_program *program)
{
    struct itimerspec grace = {.it_value.tv_sec = GRACE_SECONDS};
    int fd = -1;

    program->stream = NULL;
    program->ending.pump = end_orphan;
    close_streams(program);
    orphans++;
    if (!program->dead) {
        kill(-program->pid, SIGHUP);
        kill(-program->pid, SIGCONT);
        fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (fd >= 0 && (timerfd_settime(fd, 0, &grace, NULL) < 0 ||
                        agent_source_open(&program->deadline, fd, deadline_ready) < 0)) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) /* already dead, or no timer: at once */
        agent_loop_queue(&program->ending);
}
