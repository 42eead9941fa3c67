/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be tried of lab/agent/personalise.c without changing the machine that runs the test. */
#include "agent-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int personalise(struct fixture *f, const char *lines, struct xw_error *err)
{
    int result = lab_client_start_personalise(f->client, lines, 5000, err);

    return result < 0 ? result : lab_client_finish(f->client, err);
}

static void assert_file(const char *path, const char *content, mode_t mode)
{
    char buffer[256];
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, buffer, sizeof(buffer));

    assert_int_equal(fstat(fd, &info), 0);
    close(fd);
    assert_int_equal(got, strlen(content));
    assert_memory_equal(buffer, content, (size_t)got);
    assert_int_equal(info.st_mode & 07777, mode);
}

static void test_files(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    char directory[] = "/tmp/test-agent-XXXXXX", lines[1024], a[128], b[128], c[128];

    assert_non_null(mkdtemp(directory));
    snprintf(a, sizeof(a), "%s/a", directory);
    snprintf(b, sizeof(b), "%s/b", directory);
    snprintf(c, sizeof(c), "%s/c", directory);
    snprintf(lines, sizeof(lines),
             "file=0600 %s aGVsbG8=\nfile=755 %s aGVsbG8hCg==\n\nfile=0644 %s \nfile=0640 %s YWJj",
             a, b, c, a);
    assert_ok(personalise(f, lines, &err), &err);
    assert_file(a, "abc", 0640);
    assert_file(b, "hello!\n", 0755);
    assert_file(c, "", 0644);
    unlink(a);
    unlink(b);
    unlink(c);
    assert_int_equal(rmdir(directory), 0); /* nothing else was left there */
}

static void test_refusals(void **state)
{
    const bool root = geteuid() == 0; /* the kernel asks that first */
    const struct {
        const char *lines, *message;
    } cases[] = {
        {"colour=red\n", "colour: Operation not supported"},
        {"time", "time: not a valid value"},
        {"time=\n", "time: not a valid value"},
        {"time=-1\n", "time: not a valid value: -1"},
        {"time=1e9\n", "time: not a valid value: 1e9"},
        {"time=99999999999999999999\n", "time: not a valid value: 99999999999999999999"},
        {"seed=\n", "seed: not a valid value"},
        {"seed=123\n", "seed: not a valid value"},
        {"seed=12zz\n", "seed: not a valid value"},
        {"hostname=\n", "hostname: not a valid value"},
        {"hostname=a b\n", "hostname: not a valid value: a b"},
        {"hostname=-a\n", "hostname: not a valid value: -a"},
        {"machine-id=0123\n", "machine-id: not a valid value: 0123"},
        {"machine-id=0123456789ABCDEF0123456789abcdef\n",
         "machine-id: not a valid value: 0123456789ABCDEF0123456789abcdef"},
        {"file=0644 /tmp/x\n", "file: not a valid value: 0644 /tmp/x"},
        {"file=0999 /tmp/x aaaa\n", "file: not a valid value: 0999 /tmp/x aaaa"},
        {"file=0644 tmp/x aaaa\n", "file: not a valid value: 0644 tmp/x aaaa"},
        {"file=0644 /tmp/x aaa\n", "file: not a valid value: 0644 /tmp/x aaa"},
        {"file=0644 /tmp/x a=aa\n", "file: not a valid value: 0644 /tmp/x a=aa"},
        {"file=0644 /tmp/x aa.a\n", "file: not a valid value: 0644 /tmp/x aa.a"},
        {"file=0644 /no/such/x aaaa\n",
         "file: No such file or directory: 0644 /no/such/x aaaa"},
        {"mac=eth0\n", "mac: not a valid value: eth0"},
        {"mac=nosuchnic0 1:2:3:4:5:6\n", "mac: not a valid value: nosuchnic0 1:2:3:4:5:6"},
        {"mac=nosuchnic0 02:00:00:00:00:01\n",
         root ? "mac: No such device: nosuchnic0 02:00:00:00:00:01"
              : "mac: Operation not permitted: nosuchnic0 02:00:00:00:00:01"},
        {"address=nosuchnic0 10.0.0.1\n", "address: not a valid value: nosuchnic0 10.0.0.1"},
        {"address=nosuchnic0 10.0.0.1/33\n", "address: not a valid value: nosuchnic0 10.0.0.1/33"},
        {"address=nosuchnic0 10.0.0.1/24\n",
         root ? "address: No such device: nosuchnic0 10.0.0.1/24"
              : "address: Operation not permitted: nosuchnic0 10.0.0.1/24"},
        {"address=a-name-that-is-too-long 10.0.0.1/24\n",
         "address: not a valid value: a-name-that-is-too-long 10.0.0.1/24"},
        {"gateway=10.0.0\n", "gateway: not a valid value: 10.0.0"},
    };
    struct fixture *f = *state;
    char message[256];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_error err = XW_ERROR_INIT;

        assert_int_equal(personalise(f, cases[i].lines, &err), -EREMOTEIO);
        snprintf(message, sizeof(message), "the test's agent: personalise: %s", cases[i].message);
        assert_string_equal(err.message, message);
    }
}

static void test_too_large(void **state)
{
    static char lines[LAB_FRAME_MAX + 2];
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;

    memset(lines, '\n', sizeof(lines) - 1);
    assert_int_equal(personalise(f, lines, &err), -E2BIG);
    lines[LAB_FRAME_MAX] = '\0';
    assert_ok(personalise(f, lines, &err), &err);
}

#define with_agent(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_agent(test_files),
        with_agent(test_refusals),
        with_agent(test_too_large),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("agent-personalise", tests, NULL, NULL);
}
