/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network's switch is started when it is needed, once, and not another one beside it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "hub-fixture.h"
#include "lab/hub.h"

static void test_there_is_one_only(void **state)
{
    pid_t hub = hub_start(10000);
    int64_t start = xw_clock_ms();

    (void)state;
    assert_int_equal(lab_hub_run(hub_labs_fd, "net", -1, 10000, NULL), 0);
    assert_true(xw_clock_ms() - start < 9000);
    assert_int_equal(kill(hub, 0), 0);
    hub_kill(hub);
}

static pid_t running_hub(void)
{
    pid_t pid = 0;

    assert_true(xw_lock_is_held(hub_labs_fd, ".nets/net.lock", &pid));
    assert_true(pid > 0);
    return pid;
}

/* Kill the switch that lab_hub_ensure started and wait until it is gone. */
static void kill_running_hub(void)
{
    pid_t pid = running_hub();
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};

    assert_true(end.fd >= 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(poll(&end, 1, HUB_WAIT_MS), 1);
    close(end.fd);
}

static void test_ensure_starts_it_once(void **state)
{
    int a = -1, b = -1;
    pid_t hub;

    (void)state;
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", hub_self, NULL), 0);
    hub = running_hub();
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", hub_self, NULL), 0);
    assert_int_equal(running_hub(), hub);
    a = hub_join("a", "net");
    b = hub_join("b", "net");
    hub_send_frame(a, 1, hub_everyone, "hello");
    hub_expect(b, "hello");
    kill_running_hub();
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", hub_self, NULL), 0);
    assert_int_not_equal(running_hub(), hub);
    hub_send_frame(a, 1, hub_everyone, "again");
    hub_expect(b, "again");
    kill_running_hub();
    close(a);
    close(b);
}

/* Stopped, with all the datagrams at its socket that there may be: as one that gets no processor.
 */
static void test_a_busy_one_is_not_replaced(void **state)
{
    int a = hub_join("a", "net");
    struct xw_error err = XW_ERROR_INIT;
    pid_t hub;

    (void)state;
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", hub_self, NULL), 0);
    hub = running_hub();
    assert_int_equal(kill(hub, SIGSTOP), 0);
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", hub_self, &err), 0);
    assert_int_equal(fcntl(a, F_SETFL, O_NONBLOCK), 0);
    while (hub_send_bytes(a, hub_everyone, 6) == 6)
        ;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", hub_self, &err), 0);
    assert_int_equal(running_hub(), hub);
    assert_int_equal(kill(hub, SIGCONT), 0);
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", hub_self, &err), 0);
    assert_int_equal(running_hub(), hub);
    kill_running_hub();
    close(a);
}

static void test_many_ensure_it_at_once(void **state)
{
    pid_t children[6];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct xw_error err = XW_ERROR_INIT;

            if (lab_hub_ensure(hub_labs_fd, "net", hub_self, &err) == 0)
                _exit(0);
            print_message("# %s\n", err.message);
            fflush(stdout);
            _exit(1);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        int status = -1;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    kill_running_hub();
}

static void test_ensure_says_why_not(void **state)
{
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "a/b", hub_self, &err), -EINVAL);
    assert_non_null(strstr(err.message, "a/b"));
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", "/nothing/here", &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nothing/here"));
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", "echo", &err), -EIO);
    assert_string_equal(err.message, "network 'net': its switch did not start: __hub net");
    assert_int_equal(lab_hub_ensure(hub_labs_fd, "net", "true", &err), -EAGAIN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HUB_TEST(test_there_is_one_only),          HUB_TEST(test_ensure_starts_it_once),
        HUB_TEST(test_a_busy_one_is_not_replaced), HUB_TEST(test_many_ensure_it_at_once),
        HUB_TEST(test_ensure_says_why_not),
    };
    int status;

    if (hub_is_wanted(argc, argv, &status))
        return status;
    return cmocka_run_group_tests_name("hub-ensure", tests, NULL, NULL);
}
