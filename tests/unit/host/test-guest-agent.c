/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of qemu-guest-agent, and what the guard makes of it, against an agent with a script.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/socket.h"
#include "host/guard/freeze.h"
#include "host/guest-agent.h"
#include "host/socket-users.h"
#include "tests/unit/host/agent-peer.h"

#define SOON 200   /* ms: for what must time out */
#define LATE 10000 /* ms: for what must not */

#define FREEZE "guest-fsfreeze-freeze"
#define STATUS "guest-fsfreeze-status"
#define THAW "guest-fsfreeze-thaw"
#define FROZEN "{\"return\": \"frozen\"}\n"
#define THAWED "{\"return\": \"thawed\"}\n"
#define SAYS(said, back)                    \
    {                                       \
        .command = (said), .answer = (back) \
    }

static pid_t peer;

static int attach(const struct agent_script *script, int timeout_ms, struct xw_guest_agent **agent,
                  struct xw_error *err)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    peer = agent_start(pair[1], false, pair[0], script);
    close(pair[1]);
    return xw_guest_agent_attach(agent, pair[0], "fake", timeout_ms, err);
}

static struct xw_guest_agent *connected(const struct agent_script *script)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_guest_agent *agent = NULL;

    if (attach(script, LATE, &agent, &err))
        fail_msg("%s", err.message);
    return agent;
}

static void test_freeze_and_thaw(void **state)
{
    static const struct agent_line lines[] = {
        SAYS(STATUS, THAWED), SAYS(FREEZE, "{\"return\": 2}\n"),
        SAYS(STATUS, FROZEN), SAYS(THAW, "{\"return\": 2}\n"),
        SAYS(STATUS, THAWED), {0}};
    struct xw_guest_agent *agent = connected(&(struct agent_script){.lines = lines});
    bool frozen = true;
    int64_t count = 0;

    (void)state;
    assert_int_equal(xw_guest_agent_status(agent, LATE, &frozen, NULL), 0);
    assert_false(frozen);
    assert_int_equal(xw_guest_agent_freeze(agent, LATE, &count, NULL), 0);
    assert_int_equal(count, 2);
    count = 0;
    assert_int_equal(xw_guest_agent_thaw(agent, LATE, &count, NULL), 0);
    assert_int_equal(count, 2);
    xw_guest_agent_close(agent);
    assert_int_equal(agent_end(peer), 0);
}

static void test_what_was_left_on_the_line_is_skipped(void **state)
{
    static const char *const left[] = {
        "{\"return\": 5}\n",
        "{\"ret",
        "\xff{\"return\": 1}\n",
        "\xff\xff\n\xff",
        "\xff{\"return\": 1",
        "\xff{\"return\": \"x\"}\n\xff[]\n\xff{\"return\": {}, \n",
        "garbage \x01\x02\n",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\n",
    };
    static const struct agent_line lines[] = {SAYS(STATUS, FROZEN), {0}};

    (void)state;
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        struct xw_guest_agent *agent =
            connected(&(struct agent_script){.before = left[i], .lines = lines});
        bool frozen = false;

        assert_int_equal(xw_guest_agent_status(agent, LATE, &frozen, NULL), 0);
        assert_true(frozen);
        xw_guest_agent_close(agent);
        assert_int_equal(agent_end(peer), 0);
    }
}

static void refused(const struct agent_script *script, int timeout_ms, int code, const char *said)
{
    int64_t before = xw_clock_ms();
    struct xw_error err = XW_ERROR_INIT;
    struct xw_guest_agent *agent = NULL;

    assert_int_equal(attach(script, timeout_ms, &agent, &err), -code);
    assert_non_null(strstr(err.message, said));
    assert_true(xw_clock_ms() - before < timeout_ms + LATE);
    agent_end(peer);
}

static void test_one_that_does_not_answer_is_told_in_time(void **state)
{
    static char endless[65536];

    (void)state;
    memset(endless, 'x', sizeof(endless) - 1);
    refused(&(struct agent_script){.deaf = true}, SOON, ETIMEDOUT, "does not answer");
    refused(&(struct agent_script){.echo = true}, SOON, ETIMEDOUT, "does not answer");
    refused(&(struct agent_script){.flood = "\xff{\"return\": 1}\n"}, SOON, ETIMEDOUT,
            "does not answer");
    refused(&(struct agent_script){.flood = endless}, LATE, EPROTO, "sends without end");
}

/* An answer to guest-fsfreeze-status. */
static void answered(const char *answer, int size, int code, const char *said)
{
    const struct agent_line lines[] = {{.command = STATUS, .answer = answer, .size = size}, {0}};
    struct xw_guest_agent *agent = connected(&(struct agent_script){.lines = lines});
    struct xw_error err = XW_ERROR_INIT;
    bool frozen;

    assert_int_equal(xw_guest_agent_status(agent, code == ETIMEDOUT ? SOON : LATE, &frozen, &err),
                     -code);
    assert_non_null(strstr(err.message, said));
    xw_guest_agent_close(agent);
    agent_end(peer);
}

static void test_answers_that_are_none_are_refused(void **state)
{
    const int size = 1200000;
    char *big = malloc((size_t)size);

    (void)state;
    assert_non_null(big);
    memset(big, '[', (size_t)size);
    answered("", 0, ETIMEDOUT, "no answer in time");
    answered("\n\n", 0, ETIMEDOUT, "no answer in time");
    answered("garbage\n", 0, EPROTO, "fake: message");
    answered("{\"return\": 7}\n", 0, EPROTO, "neither 'frozen' nor 'thawed'");
    answered("{\"return\": \"warm\"}\n", 0, EPROTO, "neither 'frozen' nor 'thawed'");
    answered("{\"event\": \"X\"}\n", 0, EPROTO, "no answer");
    answered("{\"error\": {\"class\": \"GenericError\", \"desc\": \"not today\"}}\n", 0, EREMOTEIO,
             STATUS ": not today");
    answered("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"x\"}}\n", 0, EOPNOTSUPP,
             "x");
    big[200] = '\n';
    answered(big, 201, EPROTO, "fake: message");
    big[200] = '[';
    answered(big, size, EPROTO, "a line of more than");
    free(big);
}

static void test_an_agent_that_goes_away_is_told(void **state)
{
    static const struct agent_line none[] = {{0}};
    struct xw_guest_agent *agent = connected(&(struct agent_script){.lines = none});
    struct xw_error err = XW_ERROR_INIT;
    bool frozen;

    (void)state;
    assert_int_equal(xw_guest_agent_status(agent, LATE, &frozen, &err), -ECONNRESET);
    assert_string_equal(
        err.message, "fake: the guest's agent closed the connection (it has ended or been killed)");
    assert_int_equal(xw_guest_agent_status(agent, LATE, &frozen, &err), -ECONNRESET);
    xw_guest_agent_close(agent);
    agent_end(peer);
}

/* What it says of the freeze at last comes before the answers to what is asked then. */
static void test_a_late_answer_to_a_freeze_is_skipped(void **state)
{
    static const struct agent_line lines[] = {
        {.command = FREEZE, .answer = "", .late = "{\"return\": 1}\n"},
        SAYS(STATUS, FROZEN),
        SAYS(THAW, "{\"return\": 1}\n"),
        SAYS(STATUS, THAWED),
        {0}};
    struct xw_guest_agent *agent = connected(&(struct agent_script){.lines = lines});
    struct xw_error err = XW_ERROR_INIT;
    int64_t count = 0;

    (void)state;
    assert_int_equal(xw_guest_agent_freeze(agent, SOON, &count, &err), -ETIMEDOUT);
    assert_string_equal(err.message, "fake: " FREEZE ": qemu-guest-agent gave no answer in time");
    assert_int_equal(xw_guest_agent_thaw(agent, LATE, &count, &err), 0);
    xw_guest_agent_close(agent);
    assert_int_equal(agent_end(peer), 0);
}

static void test_a_thaw_that_does_nothing_is_no_thaw(void **state)
{
    static const struct agent_line lines[] = {
        SAYS(STATUS, FROZEN), SAYS(THAW, "{\"return\": 1}\n"), SAYS(STATUS, FROZEN), {0}};
    struct xw_guest_agent *agent = connected(&(struct agent_script){.lines = lines});
    struct xw_error err = XW_ERROR_INIT;
    int64_t count;

    (void)state;
    assert_int_equal(xw_guest_agent_thaw(agent, LATE, &count, &err), -EIO);
    assert_string_equal(err.message, "fake: the guest's file systems are frozen after a thaw");
    xw_guest_agent_close(agent);
    assert_int_equal(agent_end(peer), 0);
}

/* The guard, with a script on a socket that it connects to by its path. */
static int guarded(const struct agent_line *lines, int timeout_ms, struct guard_freeze *freeze,
                   struct xw_error *err)
{
    char folder[] = "/tmp/xw-agent-XXXXXX", path[64];
    int fd = -1, rc;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/s", folder);
    assert_int_equal(xw_socket_listen(AT_FDCWD, path, &fd, NULL), 0);
    peer = agent_start(fd, true, -1, &(struct agent_script){.lines = lines});
    close(fd);
    snprintf(freeze->order.path, sizeof(freeze->order.path), "%s", path);
    freeze->order.timeout_ms = timeout_ms;
    freeze->order.limit_ms = LATE;
    rc = guard_freeze(freeze, err);
    unlink(path);
    rmdir(folder);
    return rc;
}

static void test_the_guard_thaws_what_it_froze(void **state)
{
    static const struct agent_line lines[] = {
        SAYS(STATUS, THAWED), SAYS(FREEZE, "{\"return\": 1}\n"),
        SAYS(STATUS, FROZEN), SAYS(THAW, "{\"return\": 1}\n"),
        SAYS(STATUS, THAWED), {0}};
    struct guard_freeze freeze = {0};

    (void)state;
    assert_int_equal(guarded(lines, LATE, &freeze, NULL), 0);
    assert_true(freeze.frozen);
    assert_int_equal(guard_thaw(&freeze, NULL), 0);
    assert_false(freeze.frozen);
    assert_int_equal(agent_end(peer), 0);
}

static void test_the_guard_tells_of_a_thaw_by_others(void **state)
{
    static const struct agent_line lines[] = {
        SAYS(STATUS, THAWED), SAYS(FREEZE, "{\"return\": 1}\n"), SAYS(STATUS, THAWED), {0}};
    struct guard_freeze freeze = {0};

    (void)state;
    assert_int_equal(guarded(lines, LATE, &freeze, NULL), 0);
    assert_int_equal(guard_thaw(&freeze, NULL), -ESTALE);
    assert_false(freeze.frozen);
    assert_int_equal(agent_end(peer), 0);
}

static void test_the_guard_leaves_alone_what_others_froze(void **state)
{
    static const struct agent_line lines[] = {SAYS(STATUS, FROZEN), {0}};
    struct guard_freeze freeze = {0};
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_int_equal(guarded(lines, LATE, &freeze, &err), -EBUSY);
    assert_string_equal(err.message, "its file systems are frozen already, by somebody else");
    guard_thaw_at_last(&freeze);
    assert_int_equal(agent_end(peer), 0);
}

static void test_the_guard_thaws_after_a_freeze_that_failed(void **state)
{
    static const struct agent_line refuses[] = {
        SAYS(STATUS, THAWED),
        SAYS(FREEZE, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n"),
        SAYS(STATUS, FROZEN),
        SAYS(THAW, "{\"return\": 1}\n"),
        SAYS(STATUS, THAWED),
        {0}};
    static const struct agent_line hangs[] = {SAYS(STATUS, THAWED), SAYS(FREEZE, ""),
                                              SAYS(STATUS, FROZEN), SAYS(THAW, "{\"return\": 1}\n"),
                                              SAYS(STATUS, THAWED), {0}};
    static const struct agent_line nothing[] = {
        SAYS(STATUS, THAWED), SAYS(FREEZE, "{\"return\": 0}\n"), SAYS(STATUS, THAWED), {0}};
    static const struct {
        const struct agent_line *lines;
        int timeout_ms, code;
    } cases[] = {{refuses, LATE, EREMOTEIO}, {hangs, SOON, ETIMEDOUT}, {nothing, LATE, ENODATA}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct guard_freeze freeze = {0};

        assert_int_equal(guarded(cases[i].lines, cases[i].timeout_ms, &freeze, NULL),
                         -cases[i].code);
        assert_false(freeze.frozen);
        assert_int_equal(agent_end(peer), 0);
    }
}

/* The other end of a connection is in this process, which does not name itself. */
static void test_a_socket_in_use_is_not_waited_for_without_end(void **state)
{
    char folder[] = "/tmp/xw-agent-XXXXXX", path[64];
    struct xw_guest_agent *agent = NULL;
    struct xw_error err = XW_ERROR_INIT;
    int fd = -1, other = -1;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/s", folder);
    assert_int_equal(xw_socket_listen(AT_FDCWD, path, &fd, NULL), 0);
    assert_int_equal(xw_socket_connect(AT_FDCWD, path, LATE, &other, NULL), 0);
    if (xw_socket_user(path, NULL)) {
        assert_int_equal(xw_guest_agent_open(&agent, path, SOON, &err), -EBUSY);
        assert_non_null(strstr(err.message, "talks to the agent"));
    }
    close(other);
    close(fd);
    assert_false(xw_socket_user(path, NULL));
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freeze_and_thaw),
        cmocka_unit_test(test_what_was_left_on_the_line_is_skipped),
        cmocka_unit_test(test_one_that_does_not_answer_is_told_in_time),
        cmocka_unit_test(test_answers_that_are_none_are_refused),
        cmocka_unit_test(test_an_agent_that_goes_away_is_told),
        cmocka_unit_test(test_a_socket_in_use_is_not_waited_for_without_end),
        cmocka_unit_test(test_a_late_answer_to_a_freeze_is_skipped),
        cmocka_unit_test(test_a_thaw_that_does_nothing_is_no_thaw),
        cmocka_unit_test(test_the_guard_thaws_what_it_froze),
        cmocka_unit_test(test_the_guard_tells_of_a_thaw_by_others),
        cmocka_unit_test(test_the_guard_leaves_alone_what_others_froze),
        cmocka_unit_test(test_the_guard_thaws_after_a_freeze_that_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
