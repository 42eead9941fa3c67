/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xenstore when it does not do as it should. The daemon here is a small one of our own that
 * conflicts, falls silent and dies on demand (docs/misc/xenstore.txt, xen/io/xs_wire.h); the real
 * one is used by the tests in a lab.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>
#include <xenwright/xenstore.h>

#include "base/clock.h"
#include "base/socket.h"

#define SOON 50    /* ms: for what must time out */
#define LATE 10000 /* ms: for what must not */

static char folder[] = "/tmp/xenwright-xenstore-XXXXXX";

/* What the daemon does. */
struct part {
    const char *value; /* of every node; NULL: there is none */
    const char *later; /* replaces value after it was read once, and fires the watch */
    int conflicts;     /* so many transactions end with EAGAIN */
    bool dies_at_read;
    bool dies_after_watch;
};

static void answer(int fd, uint32_t type, const struct xsd_sockmsg *to, const void *body,
                   size_t size)
{
    struct xsd_sockmsg header = {.type = type, .len = (uint32_t)size};

    if (to) {
        header.req_id = to->req_id;
        header.tx_id = to->tx_id;
    }
    if (write(fd, &header, sizeof(header)) != sizeof(header) ||
        write(fd, body, size) != (ssize_t)size)
        _exit(1);
}

static void fire(int fd)
{
    answer(fd, XS_WATCH_EVENT, NULL, "/node\0wait", sizeof("/node\0wait"));
}

static void read_node(int fd, const struct xsd_sockmsg *to, struct part *part)
{
    if (part->dies_at_read)
        _exit(0);
    if (part->value)
        answer(fd, XS_READ, to, part->value, strlen(part->value));
    else
        answer(fd, XS_ERROR, to, "ENOENT", sizeof("ENOENT"));
    if (part->later) {
        part->value = *part->later ? part->later : NULL;
        part->later = NULL;
        fire(fd);
    }
}

static void serve(int fd, const struct xsd_sockmsg *message, const char *body, struct part *part)
{
    switch (message->type) {
    case XS_READ:
        read_node(fd, message, part);
        break;
    case XS_DIRECTORY:
        answer(fd, XS_DIRECTORY, message, "a\0bcd", sizeof("a\0bcd"));
        break;
    case XS_TRANSACTION_START:
        answer(fd, message->type, message, "1", sizeof("1"));
        break;
    case XS_TRANSACTION_END:
        if (body[0] == 'F')
            part->value = "aborted";
        if (body[0] == 'T' && part->conflicts-- > 0)
            answer(fd, XS_ERROR, message, "EAGAIN", sizeof("EAGAIN"));
        else
            answer(fd, message->type, message, "OK", sizeof("OK"));
        break;
    case XS_WATCH:
        answer(fd, message->type, message, "OK", sizeof("OK"));
        if (part->dies_after_watch)
            _exit(0);
        fire(fd);
        break;
    default:
        answer(fd, message->type, message, "OK", sizeof("OK"));
    }
}

/* One connection after the other, until it is killed. */
static void run_daemon(int listener, struct part *part)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        struct xsd_sockmsg message;

        while (fd >= 0 && recv(fd, &message, sizeof(message), MSG_WAITALL) == sizeof(message)) {
            char body[XENSTORE_PAYLOAD_MAX];

            if (message.len > sizeof(body) ||
                recv(fd, body, message.len, MSG_WAITALL) != (ssize_t)message.len)
                _exit(1);
            serve(fd, &message, body, part);
        }
        close(fd);
    }
}

static pid_t start(struct part part)
{
    struct xw_error err = XW_ERROR_INIT;
    int listener = -1;
    pid_t pid;

    if (xw_socket_listen(AT_FDCWD, getenv("XENSTORED_PATH"), &listener, &err))
        fail_msg("%s", err.message);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails does not come to stop() */
        run_daemon(listener, &part);
    }
    close(listener);
    return pid;
}

static void stop(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static struct xw_xenstore *opened(void)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xenstore *xs = NULL;

    if (xw_xenstore_open(&xs, &err))
        fail_msg("%s", err.message);
    return xs;
}

static void test_no_daemon(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xenstore *xs = NULL;

    (void)state;
    unlink(getenv("XENSTORED_PATH"));
    assert_true(xw_xenstore_open(&xs, &err) < 0);
    assert_non_null(strstr(err.message, "cannot connect to xenstored"));
    stop(start((struct part){0}));
    assert_int_equal(xw_xenstore_open(&xs, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.message, "xenstored does not answer (is it running?)"));
    assert_null(xs);
}

static void test_reads_have_limits(void **state)
{
    pid_t pid = start((struct part){.value = "12345"});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    char *value = NULL;
    size_t size = 0;

    (void)state;
    assert_int_equal(xw_xenstore_read(xs, XW_XENSTORE_NOW, "/n", 5, &value, &size, &err), 0);
    assert_string_equal(value, "12345");
    assert_int_equal(size, 5);
    free(value);
    value = NULL;
    assert_int_equal(xw_xenstore_read(xs, XW_XENSTORE_NOW, "/n", 4, &value, &size, &err), -EFBIG);
    assert_null(value);
    assert_string_equal(err.message, "/n in xenstore has 5 bytes, more than the 4 allowed");
    xw_xenstore_close(xs);
    stop(pid);
}

static void test_what_is_not_there_is_named(void **state)
{
    pid_t pid = start((struct part){0});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    char *value;

    (void)state;
    assert_int_equal(xw_xenstore_read(xs, XW_XENSTORE_NOW, "/n", 5, &value, NULL, &err), -ENOENT);
    assert_string_equal(err.message, "cannot read /n in xenstore: No such file or directory");
    xw_xenstore_close(xs);
    stop(pid);
}

static void test_a_directory(void **state)
{
    pid_t pid = start((struct part){0});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    char **names;
    size_t count;

    (void)state;
    assert_int_equal(xw_xenstore_directory(xs, XW_XENSTORE_NOW, "/n", &names, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "bcd");
    assert_null(names[2]);
    free(names);
    xw_xenstore_close(xs);
    stop(pid);
}

/* A body that counts its runs, and fails in the run whose number is at data[1]. */
static int count_runs(struct xw_xenstore *xs, xw_xenstore_tx tx, void *data, struct xw_error *err)
{
    int *runs = data;

    runs[0]++;
    if (runs[0] == runs[1])
        return xw_error_set(err, ENOTEMPTY, "the body failed");
    return xw_xenstore_write(xs, tx, "/n", "v", err);
}

static void test_a_transaction_is_tried_again(void **state)
{
    pid_t pid = start((struct part){.conflicts = 3});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    int runs[2] = {0, 0};

    (void)state;
    assert_int_equal(xw_xenstore_transact(xs, count_runs, runs, &err), 0);
    assert_int_equal(runs[0], 4);
    xw_xenstore_close(xs);
    stop(pid);
}

static void test_a_transaction_is_not_tried_for_ever(void **state)
{
    pid_t pid = start((struct part){.conflicts = 1000000});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    int runs[2] = {0, 0};

    (void)state;
    assert_int_equal(xw_xenstore_transact(xs, count_runs, runs, &err), -EBUSY);
    assert_int_equal(runs[0], 100);
    xw_xenstore_close(xs);
    stop(pid);
}

static void test_a_body_that_fails_aborts(void **state)
{
    pid_t pid = start((struct part){.conflicts = 1, .value = "untouched"});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    int runs[2] = {0, 2};
    char *value = NULL;

    (void)state;
    assert_int_equal(xw_xenstore_transact(xs, count_runs, runs, &err), -ENOTEMPTY);
    assert_string_equal(err.message, "the body failed");
    assert_int_equal(runs[0], 2);
    assert_int_equal(xw_xenstore_read(xs, XW_XENSTORE_NOW, "/n", 99, &value, NULL, &err), 0);
    assert_string_equal(value, "aborted");
    free(value);
    xw_xenstore_close(xs);
    stop(pid);
}

static void test_a_daemon_that_dies_is_an_error(void **state)
{
    pid_t pid = start((struct part){.dies_at_read = true});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    char *value;

    (void)state;
    assert_true(xw_xenstore_read(xs, XW_XENSTORE_NOW, "/n", 5, &value, NULL, &err) < 0);
    assert_true(xw_xenstore_write(xs, XW_XENSTORE_NOW, "/n", "v", &err) < 0);
    xw_xenstore_close(xs);
    stop(pid);
}

static void test_watches_fire_and_time_out(void **state)
{
    pid_t pid = start((struct part){0});
    struct xw_xenstore *xs = opened();
    struct xw_error err = XW_ERROR_INIT;
    int64_t before;
    char *path = NULL;
    const char *token = NULL;

    (void)state;
    assert_int_equal(xw_xenstore_next(xs, 0, &path, &token, &err), -EAGAIN);
    assert_int_equal(err.code, 0);
    assert_int_equal(xw_xenstore_watch(xs, "/node", "wait", &err), 0);
    assert_int_equal(xw_xenstore_next(xs, LATE, &path, &token, &err), 0);
    assert_string_equal(path, "/node");
    assert_string_equal(token, "wait");
    free(path);
    before = xw_clock_ms();
    assert_int_equal(xw_xenstore_next(xs, SOON, &path, &token, &err), -ETIMEDOUT);
    assert_in_range(xw_clock_ms() - before, SOON, LATE - 1);
    xw_xenstore_close(xs);
    stop(pid);
}

static void test_waiting_for_a_value(void **state)
{
    static const struct {
        struct part part;
        const char *wanted;
        int timeout;
        int ret;
        const char *message;
    } cases[] = {
        {{.value = "4"}, "4", LATE, 0, ""},
        {{.value = "1", .later = "4"}, "4", LATE, 0, ""},
        {{.value = NULL, .later = "4"}, "4", LATE, 0, ""},
        {{.value = "1", .later = ""}, NULL, LATE, 0, ""},
        {{.value = "1"}, "4", SOON, -ETIMEDOUT,
         "/node in xenstore did not become 4 in time (it is '1')"},
        {{.value = "1"}, NULL, SOON, -ETIMEDOUT,
         "/node in xenstore did not go away in time (it is '1')"},
        {{.value = NULL}, "4", SOON, -ETIMEDOUT,
         "/node in xenstore did not become 4 in time (it is not there)"},
        {{.dies_after_watch = true}, "4", LATE, -ECONNRESET, "xenstored closed the connection"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pid_t pid = start(cases[i].part);
        struct xw_error err = XW_ERROR_INIT;
        int64_t before = xw_clock_ms();

        assert_int_equal(xw_xenstore_wait("/node", cases[i].wanted, cases[i].timeout, &err),
                         cases[i].ret);
        assert_in_range(xw_clock_ms() - before, 0, LATE / 2); /* none waits for the time to end */
        assert_string_equal(err.message, cases[i].message);
        stop(pid);
    }
}

static int make_folder(void **state)
{
    char path[64];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/socket", folder);
    return setenv("XENSTORED_PATH", path, 1);
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(getenv("XENSTORED_PATH"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_daemon),
        cmocka_unit_test(test_reads_have_limits),
        cmocka_unit_test(test_what_is_not_there_is_named),
        cmocka_unit_test(test_a_directory),
        cmocka_unit_test(test_a_transaction_is_tried_again),
        cmocka_unit_test(test_a_transaction_is_not_tried_for_ever),
        cmocka_unit_test(test_a_body_that_fails_aborts),
        cmocka_unit_test(test_a_daemon_that_dies_is_an_error),
        cmocka_unit_test(test_watches_fire_and_time_out),
        cmocka_unit_test(test_waiting_for_a_value),
    };

    return cmocka_run_group_tests_name("xenstore", tests, make_folder, remove_folder);
}
