/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP client against a peer whose whole part is written into the socket beforehand: command
 * ids count up from 1, so nothing has to run beside the client and no order is left to chance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "host/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define READY GREETING "{\"return\": {}, \"id\": 1}\r\n"
#define SOON 50       /* ms: for what must time out */
#define LATE 10000    /* ms: for what must not */

static int peer = -1; /* the other end of the last connection */

static int attach(const char *script, int timeout_ms, struct xw_qmp **qmp, struct xw_error *err)
{
    int pair[2];

    if (peer >= 0)
        close(peer);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    peer = pair[1];
    assert_int_equal(write(peer, script, strlen(script)), strlen(script));
    return xw_qmp_attach(qmp, pair[0], "fake", timeout_ms, err);
}

static struct xw_qmp *connected(const char *script)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qmp *qmp = NULL;

    if (attach(script, LATE, &qmp, &err))
        fail_msg("%s", err.message);
    return qmp;
}

/* The next line that the client sent. */
static void assert_sent(const char *expected)
{
    char line[4096];
    size_t length = 0;

    do
        assert_int_equal(read(peer, line + length, 1), 1);
    while (line[length++] != '\n' && length < sizeof(line) - 1);
    line[length - 1] = '\0';
    assert_string_equal(line, expected);
}

static void test_a_command_is_sent_and_answered(void **state)
{
    struct xw_qmp *qmp = connected(READY "{\"return\": {\"status\": \"running\"}, \"id\": 2}\n");
    struct xw_error err = XW_ERROR_INIT;
    json_t *reply = NULL;

    (void)state;
    assert_sent("{\"execute\":\"qmp_capabilities\",\"id\":1}");
    assert_int_equal(xw_qmp_execute(qmp, "query", json_pack("{s:i}", "n", 3), LATE, &reply, &err),
                     0);
    assert_sent("{\"execute\":\"query\",\"arguments\":{\"n\":3},\"id\":2}");
    assert_string_equal(json_string_value(json_object_get(reply, "status")), "running");
    json_decref(reply);
    xw_qmp_close(qmp);
}

static void test_a_refused_command_says_why(void **state)
{
    static const struct {
        const char *class;
        int code;
    } cases[] = {
        {"GenericError", EREMOTEIO},
        {"CommandNotFound", EOPNOTSUPP},
        {"DeviceNotFound", ENODEV},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_error err = XW_ERROR_INIT;
        struct xw_qmp *qmp;
        char script[512];

        snprintf(script, sizeof(script), READY "{\"error\": {\"class\": \"%s\", \"desc\": \"no\"},"
                 " \"id\": 2}\n{\"return\": {}, \"id\": 3}\n", cases[i].class);
        qmp = connected(script);
        assert_int_equal(xw_qmp_execute(qmp, "migrate", NULL, LATE, NULL, &err), -cases[i].code);
        assert_string_equal(err.message, "fake: migrate: no");
        assert_int_equal(xw_qmp_execute(qmp, "stop", NULL, LATE, NULL, &err), 0);
        xw_qmp_close(qmp);
    }
}

static void test_a_greeting_that_is_none_is_refused(void **state)
{
    static const struct {
        const char *script;
        const char *message;
    } cases[] = {
        {"SSH-2.0-OpenSSH_9.2\r\n", "fake: message"},
        {"{\"return\": {}}\n", "fake: what answers there does not begin with a QMP greeting"},
        {"{\"hello\": 1}\n", "fake: a message that is no greeting, answer or event arrived"},
        {"[]\n", "fake: a message that is no greeting, answer or event arrived"},
        {GREETING GREETING, "fake: a second greeting arrived"},
        {GREETING "{\"return\": {}}\n", "fake: an answer to a command that was never sent arrived"},
        {GREETING "{\"return\": {}, \"id\": 7}\n",
         "fake: an answer to a command that was never sent arrived"},
        {GREETING "{\"return\": {}, \"id\": \"x\"}\n",
         "fake: an answer to a command that was never sent arrived"},
        {GREETING "{\"error\": \"none\"}\n",
         "fake: a message that is no greeting, answer or event arrived"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_error err = XW_ERROR_INIT;
        struct xw_qmp *qmp = NULL;

        assert_int_equal(attach(cases[i].script, LATE, &qmp, &err), -EPROTO);
        assert_null(qmp);
        assert_int_equal(strncmp(err.message, cases[i].message, strlen(cases[i].message)), 0);
    }
}

static void test_silence_ends_in_time(void **state)
{
    static const char *const scripts[] = {"", "{\"QMP\": {", GREETING};

    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct xw_error err = XW_ERROR_INIT;
        struct xw_qmp *qmp = NULL;
        int64_t before = xw_clock_ms();

        assert_int_equal(attach(scripts[i], SOON, &qmp, &err), -ETIMEDOUT);
        assert_in_range(xw_clock_ms() - before, SOON, LATE - 1);
        assert_non_null(strstr(err.message, "in time"));
    }
}

static void test_a_late_answer_is_dropped(void **state)
{
    static const char late[] = "{\"return\": \"late\", \"id\": 2}\n"
                               "{\"return\": \"mine\", \"id\": 3}\n";
    struct xw_qmp *qmp = connected(READY);
    struct xw_error err = XW_ERROR_INIT;
    json_t *reply = NULL;

    (void)state;
    assert_int_equal(xw_qmp_execute(qmp, "slow", NULL, SOON, NULL, &err), -ETIMEDOUT);
    assert_string_equal(err.message, "fake: slow: no answer in time");
    assert_int_equal(write(peer, late, strlen(late)), strlen(late));
    assert_int_equal(xw_qmp_execute(qmp, "next", NULL, LATE, &reply, &err), 0);
    assert_string_equal(json_string_value(reply), "mine");
    json_decref(reply);
    xw_qmp_close(qmp);
}

static void test_a_peer_that_goes_away_is_noticed_at_once(void **state)
{
    struct xw_qmp *qmp = connected(READY "{\"event\": \"SHUTDOWN\"}\n{\"ret");
    struct xw_error err = XW_ERROR_INIT;
    json_t *event = NULL;

    (void)state;
    close(peer);
    peer = -1;
    assert_int_equal(xw_qmp_execute(qmp, "stop", NULL, LATE, NULL, &err), -ECONNRESET);
    assert_non_null(strstr(err.message, "fake: QEMU closed the connection"));
    assert_int_equal(xw_qmp_execute(qmp, "cont", NULL, LATE, NULL, &err), -ECONNRESET);
    assert_non_null(strstr(err.message, "fake: QEMU closed the connection"));
    assert_int_equal(xw_qmp_wait_event(qmp, "RESET", LATE, &event, &err), -ECONNRESET);
    xw_qmp_close(qmp);
}

static void test_garbage_breaks_the_connection_for_good(void **state)
{
    struct xw_qmp *qmp = connected(READY "{\"return\": {}, \"id\": 2\n"
                                   "{\"return\": {}, \"id\": 3}\n");
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_int_equal(xw_qmp_execute(qmp, "first", NULL, LATE, NULL, &err), -EPROTO);
    xw_error_clear(&err);
    assert_int_equal(xw_qmp_execute(qmp, "second", NULL, LATE, NULL, &err), -EPROTO);
    assert_int_equal(strncmp(err.message, "fake: ", 6), 0);
    xw_qmp_close(qmp);
}

static void test_events_are_kept_in_order(void **state)
{
    struct xw_qmp *qmp = connected(READY "{\"event\": \"A\", \"data\": {\"n\": 1}}\n"
                                   "{\"event\": \"B\"}\n"
                                   "{\"event\": \"A\", \"data\": {\"n\": 2}}\n"
                                   "{\"return\": {}, \"id\": 2}\n{\"event\": \"C\"}\n");
    static const struct {
        const char *asked;
        const char *got;
    } order[] = {{"B", "B"}, {"C", "C"}, {"A", "A"}, {NULL, "A"}};
    struct xw_error err = XW_ERROR_INIT;
    json_t *event = NULL;

    (void)state;
    assert_int_equal(xw_qmp_execute(qmp, "go", NULL, LATE, NULL, &err), 0);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        assert_int_equal(xw_qmp_wait_event(qmp, order[i].asked, LATE, &event, &err), 0);
        assert_string_equal(json_string_value(json_object_get(event, "event")), order[i].got);
        if (i == 2)
            assert_int_equal(
                json_integer_value(json_object_get(json_object_get(event, "data"), "n")), 1);
        json_decref(event);
    }
    assert_int_equal(xw_qmp_wait_event(qmp, NULL, 0, &event, &err), -ETIMEDOUT);
    assert_null(event);
    assert_string_equal(err.message, "fake: no event at all came in time");
    xw_qmp_close(qmp);
}

/* Five events more than are kept: E with n = 0, 1, 2 …, and END as the last. */
static void write_flood(int fd)
{
    for (int n = 0; n < XW_QMP_MAX_EVENTS + 4; n++)
        dprintf(fd, "{\"event\": \"E\", \"data\": {\"n\": %d}}\n", n);
    dprintf(fd, "{\"event\": \"END\"}\n");
}

static void test_a_flood_of_events_keeps_the_newest(void **state)
{
    struct xw_qmp *qmp = connected(READY);
    struct xw_error err = XW_ERROR_INIT;
    json_t *event = NULL;
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        write_flood(peer);
        _exit(0);
    }
    assert_int_equal(xw_qmp_wait_event(qmp, "END", LATE, &event, &err), 0);
    json_decref(event);
    assert_int_equal(xw_qmp_wait_event(qmp, "E", 0, &event, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(event, "data"), "n")), 5);
    json_decref(event);
    xw_qmp_close(qmp);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/*
 * A peer that writes `text` over and over until the client hangs up. *client becomes the other end
 * of its socket.
 */
static pid_t endless_peer(int *client, const char *first, const char *text)
{
    int pair[2];
    int fd;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *client = pair[0];
    fd = pair[1];
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pair[0]);
        if (write(fd, first, strlen(first)) != (ssize_t)strlen(first))
            _exit(1);
        while (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
            ;
        _exit(0);
    }
    close(fd);
    return pid;
}

static void test_an_endless_line_is_cut_off(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qmp *qmp = NULL;
    int client;
    int status;
    pid_t pid;

    (void)state;
    pid = endless_peer(&client, "{\"QMP\": \"", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(xw_qmp_attach(&qmp, client, "fake", LATE, &err), -EPROTO);
    assert_string_equal(err.message, "fake: a line of more than 1048576 bytes arrived");
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_endless_events_do_not_delay_the_timeout(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qmp *qmp = NULL;
    int64_t before;
    int client;
    int status;
    pid_t pid;

    (void)state;
    pid = endless_peer(&client, READY, "{\"event\": \"E\"}\n");
    assert_int_equal(xw_qmp_attach(&qmp, client, "fake", LATE, &err), 0);
    before = xw_clock_ms();
    assert_int_equal(xw_qmp_execute(qmp, "stop", NULL, SOON, NULL, &err), -ETIMEDOUT);
    assert_in_range(xw_clock_ms() - before, SOON, LATE - 1);
    xw_qmp_close(qmp);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Asks, and is answered with so many arrays, one in the other, in the object around them. */
static int nested_answer(int arrays)
{
    struct xw_error err = XW_ERROR_INIT;
    char script[512] = READY "{\"id\": 2, \"return\": ";
    struct xw_qmp *qmp;
    int ret;

    for (int i = 0; i < arrays; i++)
        strcat(script, "[");
    for (int i = 0; i < arrays; i++)
        strcat(script, "]");
    strcat(script, "}\n");
    qmp = connected(script);
    ret = xw_qmp_execute(qmp, "query", NULL, LATE, NULL, &err);
    xw_qmp_close(qmp);
    return ret;
}

static void test_json_too_deep_is_refused(void **state)
{
    (void)state;
    assert_int_equal(nested_answer(XW_QMP_MAX_DEPTH - 1), 0);
    assert_int_equal(nested_answer(XW_QMP_MAX_DEPTH), -EPROTO);
}

static void test_a_descriptor_is_passed_along(void **state)
{
    struct xw_qmp *qmp = connected(READY "{\"return\": {}, \"id\": 2}\n");
    struct xw_error err = XW_ERROR_INIT;
    char control[CMSG_SPACE(sizeof(int))];
    char bytes[512];
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof(control)};
    const struct cmsghdr *header;
    int ends[2];
    int got;
    char byte = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_sent("{\"execute\":\"qmp_capabilities\",\"id\":1}");
    assert_int_equal(xw_qmp_execute_fd(qmp, "getfd", json_pack("{s:s}", "fdname", "x"), ends[1],
                                       LATE, NULL, &err), 0);
    assert_true(recvmsg(peer, &message, 0) > 0);
    header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        fail_msg("no descriptor came along");
    memcpy(&got, CMSG_DATA(header), sizeof(got));
    assert_int_equal(write(got, "!", 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, '!');
    close(got);
    close(ends[0]);
    close(ends[1]);
    xw_qmp_close(qmp);
}

static void test_no_socket_is_told_by_its_path(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qmp *qmp = NULL;

    (void)state;
    assert_int_equal(xw_qmp_open(&qmp, "/nowhere/qmp.sock", LATE, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nowhere/qmp.sock"));
}

/* A QEMU without any machine, its monitor on the other end of a socket pair. */
static pid_t start_qemu(int *fd)
{
    int pair[2];
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char chardev[64];

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where a check fails */
        close(pair[0]);
        snprintf(chardev, sizeof(chardev), "socket,id=qmp,fd=%d", pair[1]);
        execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M", "none", "-nodefaults", "-display",
               "none", "-chardev", chardev, "-mon", "chardev=qmp,mode=control", (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    *fd = pair[0];
    return pid;
}

static void test_a_real_qemu_understands_us(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qmp *qmp = NULL;
    json_t *reply = NULL;
    char *text = NULL;
    int fd;
    int status;
    pid_t pid;

    (void)state;
    if (system("command -v qemu-system-x86_64 >/dev/null 2>&1")) {
        print_message("skipped: qemu-system-x86_64 is not installed\n");
        skip();
    }
    pid = start_qemu(&fd);
    if (xw_qmp_attach(&qmp, fd, "qemu", 60000, &err))
        fail_msg("%s", err.message);
    assert_int_equal(xw_qmp_execute(qmp, "query-version", NULL, LATE, &reply, &err), 0);
    assert_non_null(json_object_get(reply, "qemu"));
    json_decref(reply);
    assert_int_equal(xw_qmp_execute(qmp, "query-qmp-schema", NULL, LATE, &reply, &err), 0);
    assert_true(json_array_size(reply) > 100);
    json_decref(reply);
    assert_int_equal(xw_qmp_execute(qmp, "no-such-thing", NULL, LATE, NULL, &err), -EOPNOTSUPP);
    assert_int_equal(xw_qmp_execute_fd(qmp, "getfd", json_pack("{s:s}", "fdname", "zero"), 0, LATE,
                                       NULL, &err), 0);
    assert_int_equal(xw_qmp_monitor(qmp, "info status", LATE, &text, &err), 0);
    assert_non_null(strstr(text, "VM status"));
    free(text);
    assert_int_equal(xw_qmp_execute(qmp, "quit", NULL, LATE, NULL, &err), 0);
    assert_int_equal(xw_qmp_wait_event(qmp, "SHUTDOWN", LATE, &reply, &err), 0);
    json_decref(reply);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(xw_qmp_execute(qmp, "stop", NULL, LATE, NULL, &err), -ECONNRESET);
    xw_qmp_close(qmp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_is_sent_and_answered),
        cmocka_unit_test(test_a_refused_command_says_why),
        cmocka_unit_test(test_a_greeting_that_is_none_is_refused),
        cmocka_unit_test(test_silence_ends_in_time),
        cmocka_unit_test(test_a_late_answer_is_dropped),
        cmocka_unit_test(test_a_peer_that_goes_away_is_noticed_at_once),
        cmocka_unit_test(test_garbage_breaks_the_connection_for_good),
        cmocka_unit_test(test_events_are_kept_in_order),
        cmocka_unit_test(test_a_flood_of_events_keeps_the_newest),
        cmocka_unit_test(test_an_endless_line_is_cut_off),
        cmocka_unit_test(test_endless_events_do_not_delay_the_timeout),
        cmocka_unit_test(test_json_too_deep_is_refused),
        cmocka_unit_test(test_a_descriptor_is_passed_along),
        cmocka_unit_test(test_no_socket_is_told_by_its_path),
        cmocka_unit_test(test_a_real_qemu_understands_us),
    };

    return cmocka_run_group_tests_name("qmp", tests, NULL, NULL);
}
