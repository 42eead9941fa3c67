/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

void assert_ok(int result, const struct xw_error *err)
{
    if (result != 0)
        fail_msg("result %d: %s", result, err->message);
}

static pid_t start_agent(int fd)
{
    const char *path = getenv("XENWRIGHT_TEST_AGENT");
    char number[16];
    pid_t pid = fork();

    assert_non_null(path);
    assert_true(pid >= 0);
    if (pid == 0) {
        snprintf(number, sizeof(number), "%d", dup(fd));
        execl(path, path, "--fd", number, (char *)NULL);
        _exit(127);
    }
    return pid;
}

struct lab_client *fixture_client(struct fixture *f)
{
    struct xw_error err = XW_ERROR_INIT;
    struct lab_client *client = NULL;
    struct lab_transport *transport = lab_transport_fd(dup(f->link));

    assert_non_null(transport);
    assert_ok(lab_client_open(&client, transport, "the test's agent", &err), &err);
    assert_ok(lab_client_start_hello(client, 20000, &err), &err);
    assert_ok(lab_client_finish(client, &err), &err);
    return client;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int ends[2];

    assert_non_null(f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->agent = start_agent(ends[1]);
    close(ends[1]);
    f->link = ends[0];
    f->client = fixture_client(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    int status;

    lab_client_close(f->client);
    shutdown(f->link, SHUT_RDWR); /* also for clients that a failed test has left open */
    close(f->link);
    assert_int_equal(waitpid(f->agent, &status, 0), f->agent);
    free(f);
    return status == 0 ? 0 : -1; /* also what sanitizers found in the agent */
}

int keep_output(void *data, bool is_stderr, const void *bytes, size_t size, struct xw_error *err)
{
    struct output *output = data;
    char *text = is_stderr ? output->err : output->out;
    size_t *used = is_stderr ? &output->err_size : &output->out_size;
    size_t room = *used < sizeof(output->out) - 1 ? sizeof(output->out) - 1 - *used : 0;

    (void)err;
    memcpy(text + (*used < sizeof(output->out) ? *used : 0), bytes, size < room ? size : room);
    *used += size;
    for (size_t i = 0; !is_stderr && i < size; i++)
        output->sum += ((const unsigned char *)bytes)[i];
    return 0;
}

struct lab_exec_end run_script(struct lab_client *client, const char *script, struct output *output)
{
    struct xw_error err = XW_ERROR_INIT;
    const char *argv[] = {"sh", "-c", script, NULL};
    struct lab_exec exec = {.argv = argv, .in = -1, .output = keep_output, .data = output};

    *output = (struct output){0};
    assert_ok(lab_client_start_exec(client, &exec, 20000, &err), &err);
    assert_ok(lab_client_finish(client, &err), &err);
    return lab_client_exec_end(client);
}

void step_until(struct lab_client *client, const struct output *output, const char *text)
{
    struct xw_error err = XW_ERROR_INIT;
    struct pollfd fds[LAB_CLIENT_POLLFDS];
    int64_t deadline = xw_deadline(10000);
    size_t count = 0;
    int result;

    while ((result = lab_client_step(client, fds, count, &err)) == LAB_CLIENT_WAITING &&
           !strstr(output->out, text)) {
        int timeout_ms = xw_deadline_left(deadline);

        if (timeout_ms == 0)
            fail_msg("no '%s' in '%s'", text, output->out);
        count = lab_client_pollfds(client, fds, &timeout_ms);
        poll(fds, count, timeout_ms);
    }
    if (result < 0)
        fail_msg("%s", err.message);
}

int pattern_file(size_t size, uint32_t *sum)
{
    int fd = memfd_create("pattern", MFD_CLOEXEC);
    unsigned char block[4096];

    *sum = 0;
    for (size_t at = 0; at < size; at += sizeof(block)) {
        size_t now = size - at < sizeof(block) ? size - at : sizeof(block);

        for (size_t i = 0; i < now; i++) {
            block[i] = (unsigned char)(i * 31 + at / sizeof(block));
            *sum += block[i];
        }
        assert_int_equal(write(fd, block, now), (ssize_t)now);
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}
