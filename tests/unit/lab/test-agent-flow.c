/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Much data, slow readers, clients that vanish, streams left in the middle of a frame. */
#include "agent-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/wire.h"

#define MUCH (200u * 1024 * 1024)

static void test_much_output(void **state)
{
    struct fixture *f = *state;
    struct output output;

    assert_int_equal(run_script(f->client, "head -c 209715200 /dev/zero | tr '\\0' '\\1'",
                                &output).value, 0);
    assert_int_equal(output.out_size, MUCH);
    assert_int_equal(output.sum, MUCH);
}

static void test_much_both_ways(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    uint32_t sum;
    int in = pattern_file(MUCH, &sum);
    struct lab_exec exec = {
        .argv = (const char *const[]){"cat", NULL},
        .in = in,
        .output = keep_output,
        .data = &output,
    };

    assert_ok(lab_client_start_exec(f->client, &exec, 60000, &err), &err);
    assert_ok(lab_client_finish(f->client, &err), &err);
    close(in);
    assert_int_equal(lab_client_exec_end(f->client).value, 0);
    assert_int_equal(output.out_size, MUCH);
    assert_int_equal(output.sum, sum);
}

/* Input that nobody reads must not block the signal that ends the program. */
static void test_unread_input(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    uint32_t sum;
    int in = pattern_file(1024 * 1024, &sum);
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c", "echo ready; exec sleep 60", NULL},
        .in = in,
        .output = keep_output,
        .data = &output,
    };

    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    step_until(f->client, &output, "ready");
    lab_client_signal(f->client, SIGTERM);
    assert_ok(lab_client_finish(f->client, &err), &err);
    close(in);
    assert_int_equal(lab_client_exec_end(f->client).kind, LAB_EXIT_SIGNAL);
    assert_int_equal(lab_client_exec_end(f->client).value, SIGTERM);
}

/* A program that closes its input early does not hold up a client with more to send. */
static void test_closed_input(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    uint32_t sum;
    int in = pattern_file(8 * 1024 * 1024, &sum);
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c", "exec <&-; trap 'echo on; exit' USR1\n"
                                                  "sleep 60 & echo closed; wait", NULL},
        .in = in,
        .output = keep_output,
        .data = &output,
    };

    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    step_until(f->client, &output, "closed");
    while (lseek(in, 0, SEEK_CUR) < 8 * 1024 * 1024)
        assert_int_equal(lab_client_step(f->client, NULL, 0, &err), LAB_CLIENT_WAITING);
    lab_client_signal(f->client, SIGUSR1);
    assert_ok(lab_client_finish(f->client, &err), &err);
    close(in);
    assert_string_equal(output.out, "closed\non\n");
}

/* While the caller's output takes no more, the program has to wait, and nothing gets lost. */
static void test_slow_reader(void **state)
{
    enum { SIZE = 4 * 1024 * 1024 };
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct pollfd fds[LAB_CLIENT_POLLFDS];
    char buffer[65536];
    int out[2], result;
    size_t total = 0;
    struct lab_exec exec = {
        .argv = (const char *const[]){"head", "-c", "4194304", "/dev/zero", NULL},
        .in = -1,
        .err = -1,
    };

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    exec.out = out[1];
    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    do { /* nobody reads: in the end there is nothing to do but to wait for the pipe */
        int timeout_ms = 200;
        size_t count = lab_client_pollfds(f->client, fds, &timeout_ms);

        result = poll(fds, count, timeout_ms);
        assert_int_equal(lab_client_step(f->client, fds, count, &err), LAB_CLIENT_WAITING);
    } while (result > 0 || lab_client_pollfds(f->client, fds, &(int){-1}) != 2);
    while ((result = lab_client_step(f->client, NULL, 0, &err)) == LAB_CLIENT_WAITING) {
        fcntl(out[0], F_SETFL, O_NONBLOCK);
        for (ssize_t got; (got = read(out[0], buffer, sizeof(buffer))) > 0;)
            total += (size_t)got;
    }
    assert_int_equal(result, LAB_CLIENT_DONE);
    close(out[1]);
    for (ssize_t got; (got = read(out[0], buffer, sizeof(buffer))) > 0;)
        total += (size_t)got;
    close(out[0]);
    assert_int_equal(total, SIZE);
}

/* A transport like a vchan: what comes is announced once, to a reader that had found it empty. */
struct shy_transport {
    struct lab_transport base;
    int socket;
};

static ssize_t shy_read(struct lab_transport *transport, void *bytes, size_t size)
{
    ssize_t got = read(((struct shy_transport *)(void *)transport)->socket, bytes, size);

    return got < 0 ? -errno : got;
}

static ssize_t shy_write(struct lab_transport *transport, const void *bytes, size_t size)
{
    ssize_t put = write(((struct shy_transport *)(void *)transport)->socket, bytes, size);

    return put < 0 ? -errno : put;
}

static void shy_woken(struct lab_transport *transport)
{
    struct epoll_event event;

    epoll_wait(transport->fd, &event, 1, 0);
}

static void shy_close(struct lab_transport *transport)
{
    close(((struct shy_transport *)(void *)transport)->socket);
    close(transport->fd);
    free(transport);
}

static const struct lab_transport_ops shy_ops = {
    .read = shy_read,
    .write = shy_write,
    .woken = shy_woken,
    .close = shy_close,
    .write_wakes_as_input = 1,
};

static struct lab_transport *make_shy(int socket)
{
    struct shy_transport *shy = calloc(1, sizeof(*shy));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};

    assert_non_null(shy);
    shy->base = (struct lab_transport){.ops = &shy_ops, .fd = epoll_create1(EPOLL_CLOEXEC)};
    shy->socket = socket;
    assert_int_equal(fcntl(socket, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(epoll_ctl(shy->base.fd, EPOLL_CTL_ADD, socket, &event), 0);
    return &shy->base;
}

static void test_announced_once(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    struct lab_client *client;
    uint32_t sum;
    int in = pattern_file(MUCH / 8, &sum), out[2];
    struct lab_exec exec = {
        .argv = (const char *const[]){"cat", NULL},
        .in = in,
        .output = keep_output,
        .data = &output,
    };

    assert_ok(lab_client_open(&client, make_shy(dup(f->link)), "shy", &err), &err);
    assert_ok(lab_client_start_hello(client, 20000, &err), &err);
    assert_ok(lab_client_finish(client, &err), &err);
    assert_ok(lab_client_start_exec(client, &exec, 20000, &err), &err);
    assert_ok(lab_client_finish(client, &err), &err);
    assert_int_equal(output.sum, sum);
    /* and to a descriptor, so that output has to wait in the client's buffer */
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t reader = fork();
    assert_true(reader >= 0);
    if (reader == 0) {
        char buffer[512];

        close(out[1]);
        for (ssize_t got; (got = read(out[0], buffer, sizeof(buffer))) > 0;)
            continue;
        _exit(0);
    }
    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    exec.output = NULL;
    exec.out = exec.err = out[1];
    assert_ok(lab_client_start_exec(client, &exec, 20000, &err), &err);
    assert_ok(lab_client_finish(client, &err), &err);
    close(in);
    close(out[0]);
    close(out[1]);
    assert_int_equal(waitpid(reader, NULL, 0), reader);
    lab_client_close(client);
}

static void test_broken_output(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    int out[2];
    struct lab_exec exec = {.argv = (const char *const[]){"yes", NULL}, .in = -1, .err = -1};

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    close(out[0]);
    exec.out = out[1];
    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    assert_int_equal(lab_client_finish(f->client, &err), -EPIPE);
    assert_string_equal(err.message, "standard output: Broken pipe");
    close(out[1]);
}

static int start_and_get_pidfd(struct lab_client *client, const char *script)
{
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c", script, NULL},
        .in = -1,
        .output = keep_output,
        .data = &output,
    };

    assert_ok(lab_client_start_exec(client, &exec, 20000, &err), &err);
    step_until(client, &output, "\n");
    int fd = pidfd_open(atoi(output.out), 0);
    assert_true(fd >= 0);
    return fd;
}

static void assert_ends(int pidfd, int within_ms)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};

    assert_int_equal(poll(&end, 1, within_ms), 1);
    close(pidfd);
}

static void test_client_gone(void **state)
{
    static const char *const scripts[] = {
        "echo $$; sleep 60",
        "trap '' HUP TERM; echo $$; sleep 60; sleep 60",  /* has to be killed */
        "echo $$; kill -STOP $$",
        "sh -c 'trap \"\" HUP; echo $$; sleep 60; sleep 60' & sleep 60", /* not the leader */
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        int pidfd = start_and_get_pidfd(f->client, scripts[i]);

        /* a new client takes over, as after the death of the first */
        lab_client_close(f->client);
        f->client = fixture_client(f);
        assert_ends(pidfd, 5000);
    }
    /* and this one sees the stream end */
    int pidfd = start_and_get_pidfd(f->client, scripts[1]);
    lab_client_close(f->client);
    f->client = NULL;
    shutdown(f->link, SHUT_RDWR);
    assert_ends(pidfd, 5000);
    fixture_teardown(state);
    fixture_setup(state);
}

static void send_raw(struct fixture *f, const void *bytes, size_t size)
{
    assert_int_equal(send(f->link, bytes, size, 0), (ssize_t)size);
}

/* The stream is left with less than a whole frame, or with rubbish: a new client gets through. */
static void test_half_frames(void **state)
{
    static const unsigned char cases[][16] = {
        {LAB_FRAME_STDIN, 0, 0, 0, 0, 0, 1, 0, 'x', 'y'},  /* 64 KiB announced */
        {LAB_FRAME_STDIN, 0, 0, 0, 1, 0, 0, 0},            /* one byte missing */
        {LAB_FRAME_EXEC, 0},
        {LAB_FRAME_EXEC, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f}, /* too large */
        {LAB_FRAME_EXEC, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4}, /* malformed */
        {LAB_FRAME_HELLO, 0, 0, 0, 20, 0, 0, 0, 1},
        {99, 98, 97, 96},
        {LAB_FRAME_PING, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 20},
    };
    static const size_t sizes[] = {10, 8, 2, 8, 12, 9, 4, 13};
    struct fixture *f = *state;
    struct output output;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        send_raw(f, cases[i], sizes[i]);
        lab_client_close(f->client);
        f->client = fixture_client(f);
        assert_int_equal(run_script(f->client, "echo yes; exit 3", &output).value, 3);
        assert_string_equal(output.out, "yes\n");
    }
}

/* A client in the middle of much output dies; the next one finds its own answer behind it. */
static void test_leftover_output(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    struct lab_exec exec = {
        .argv = (const char *const[]){"yes", NULL},
        .in = -1,
        .output = keep_output,
        .data = &output,
    };

    for (int i = 0; i < 20; i++) {
        assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
        step_until(f->client, &output, "y\n");
        lab_client_close(f->client);
        f->client = fixture_client(f);
        assert_int_equal(run_script(f->client, "exit 6", &output).value, 6);
        assert_int_equal(output.out_size, 0);
    }
}

static void test_agent_gone(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c", "echo ready; exec sleep 5", NULL},
        .in = -1,
        .output = keep_output,
        .data = &output,
    };

    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    step_until(f->client, &output, "ready");
    int64_t start = xw_clock_ms();
    kill(f->agent, SIGKILL);
    assert_int_equal(lab_client_finish(f->client, &err), -ECONNRESET);
    assert_true(xw_clock_ms() - start < 2000);
    assert_string_equal(err.message, "the test's agent: the connection was lost");
}

static int teardown_killed(void **state)
{
    return fixture_teardown(state) != 0 ? 0 : -1;
}

static void test_nobody_answers(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct lab_client *client;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_ok(lab_client_open(&client, lab_transport_fd(ends[0]), "lab 'x'", &err), &err);
    assert_ok(lab_client_start_hello(client, 700, &err), &err);
    assert_int_equal(lab_client_finish(client, &err), -ETIMEDOUT);
    assert_string_equal(err.message, "lab 'x': its agent did not answer within 0.7 s");
    lab_client_close(client);
    close(ends[1]);
}

static void test_other_version(void **state)
{
    unsigned char frame[LAB_FRAME_HEADER + LAB_HELLO_SIZE];
    struct xw_error err = XW_ERROR_INIT;
    struct lab_client *client;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_ok(lab_client_open(&client, lab_transport_fd(ends[0]), "lab 'x'", &err), &err);
    assert_ok(lab_client_start_hello(client, 5000, &err), &err);
    assert_int_equal(lab_client_step(client, NULL, 0, &err), LAB_CLIENT_WAITING);
    assert_int_equal(recv(ends[1], frame, sizeof(frame), 0), sizeof(frame));
    lab_put32(frame + LAB_FRAME_HEADER, 77);
    assert_int_equal(send(ends[1], frame, sizeof(frame), 0), sizeof(frame));
    assert_int_equal(lab_client_finish(client, &err), -EPROTO);
    assert_non_null(strstr(err.message, "version 77"));
    lab_client_close(client);
    close(ends[1]);
}

#define with_agent(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_agent(test_much_output),
        with_agent(test_much_both_ways),
        with_agent(test_unread_input),
        with_agent(test_closed_input),
        with_agent(test_slow_reader),
        with_agent(test_announced_once),
        with_agent(test_broken_output),
        with_agent(test_client_gone),
        with_agent(test_half_frames),
        with_agent(test_leftover_output),
        cmocka_unit_test_setup_teardown(test_agent_gone, fixture_setup, teardown_killed),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_other_version),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("agent-flow", tests, NULL, NULL);
}
