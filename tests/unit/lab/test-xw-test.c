/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The programs that test guests run: do they find what is wrong? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/spawn.h"

#define MIB (1024 * 1024)

static char folder[] = "/tmp/test-xw-XXXXXX";

/* Runs xw-test in the folder with words of a line; "" where nothing has to be said. */
static void expect(int status, const char *said, const char *line)
{
    char words[256], *rest = words;
    const char *argv[16] = {getenv("XENWRIGHT_XW_TEST")};
    struct xw_error err = XW_ERROR_INIT;
    struct xw_spawn_result result = {0};
    xw_auto_close int cwd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    snprintf(words, sizeof(words), "%s", line);
    for (int i = 1; i < 15 && (argv[i] = strtok_r(rest, " ", &rest)); i++)
        continue;
    struct xw_spawn spawn = {.argv = argv, .cwd_fd = cwd, .timeout_ms = 20000};
    if (xw_spawn_run(&spawn, &result, &err) < 0)
        fail_msg("%s", err.message);
    xw_buffer_append(&result.out, xw_buffer_text(&result.err), result.err.length, NULL);
    if (result.end != XW_SPAWN_EXITED || result.status != status ||
        !strstr(xw_buffer_text(&result.out), said))
        fail_msg("%s: status %d and '%s'", line, result.status, xw_buffer_text(&result.out));
    xw_spawn_result_free(&result);
}

static int open_file(const char *name)
{
    xw_auto_close int cwd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(cwd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    return fd;
}

/* Copies a block, or writes zeroes over it if `from` is below 0. */
static void copy_block(const char *name, int from, int to)
{
    char block[4096] = {0};
    xw_auto_close int fd = open_file(name);

    if (from >= 0)
        assert_int_equal(pread(fd, block, sizeof(block), from * 4096), sizeof(block));
    assert_int_equal(pwrite(fd, block, sizeof(block), to * 4096), sizeof(block));
}

static void change_byte(const char *name, off_t at)
{
    unsigned char byte;
    xw_auto_close int fd = open_file(name);

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void test_pattern(void **state)
{
    (void)state;
    expect(0, "256 blocks of seed 3 written", "pattern write a --size=1M --seed=3");
    expect(0, "256 blocks of seed 3 are right", "pattern verify a --seed=3");
    expect(0, "16 blocks of seed 3 are right", "pattern verify a --seed=3 --size=64K");
    expect(1, "block 0 (byte 0) is wrong: it is block 0 of seed 3", "pattern verify a --seed=4");
    copy_block("a", 5, 100);
    expect(1, "block 100 (byte 409600) is wrong: it is block 5 of seed 3",
           "pattern verify a --seed=3");
    copy_block("a", -1, 50);
    expect(1, "block 50 (byte 204800) is wrong: it is all zeroes", "pattern verify a --seed=3");
    change_byte("a", 7 * 4096 + 4095);
    expect(1, "block 7 (byte 28672) is wrong: it begins like block 7 of seed 3, but its checksum",
           "pattern verify a --seed=3");
    change_byte("a", 0);
    expect(1, "block 0 (byte 0) is wrong: it begins with", "pattern verify a --seed=3");
    expect(1, "4 of 256 blocks are wrong", "pattern verify a --seed=3");
    expect(1, "a: the file ends before the pattern does", "pattern verify a --seed=3 --size=2M");
}

static void make_disk(const char *name)
{
    xw_auto_close int fd = open_file(name);

    assert_int_equal(ftruncate(fd, MIB), 0);
}

static void test_records(void **state)
{
    (void)state;
    make_disk("r1");
    make_disk("r2");
    make_disk("r3");
    expect(0, "r1 0\nr2 0\nr3 0\n", "records --check r1 r2 r3");
    expect(0, "1\n2\n3\n", "records --count=3 r1 r2 r3");
    expect(0, "r1 3\nr2 3\nr3 3\n", "records --check r1 r2 r3");
    expect(0, "", "records --quiet --count=600 r1 r2 r3"); /* goes on, and around the ring */
    expect(0, "r1 600\nr2 600\nr3 600\n", "records --check r1 r2 r3");
    expect(0, "", "records --quiet --count=601 r1 r2");
    expect(0, "r1 601\nr2 601\nr3 600\n", "records --check r1 r2 r3"); /* in the middle of 601 */
    expect(0, "", "records --quiet --count=602 r1");
    expect(1, "the disks are not of one moment", "records --check r1 r2 r3"); /* 602, 601, 600 */
    expect(1, "the disks are not of one moment", "records --check r1 r3");
    copy_block("r1", -1, 590 % 256);
    expect(1, "r1: record 590 is missing, and 602 is there", "records --check r1 r2");
}

static void test_records_of_another_disk(void **state)
{
    (void)state;
    make_disk("s1");
    make_disk("s2");
    expect(0, "", "records --quiet --count=9 s1 s2");
    expect(1, "the disks are not of one moment", "records --check s1 s1"); /* as second disk */
}

static void test_misuse(void **state)
{
    static const char *const lines[] = {
        "pattern", "pattern read a", "pattern write", "pattern write a b", "records",
        "send 127.0.0.1", "send localhost 1", "send 127.0.0.1 0", "receive", "receive 65536", "x",
        "pattern write a --size=x", "pattern write a --size=1T2", "pattern write a --colour",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect(2, "", lines[i]);
    expect(1, "No such file", "pattern verify missing");
    expect(1, "Connection refused", "send 127.0.0.1 1");
}

/* Starts a receiver and gives the port on which it listens. */
static int start_receiver(struct xw_child *child, const char *seed)
{
    struct xw_error err = XW_ERROR_INIT;
    char line[64] = "";
    int out[2], port = 20000 + getpid() % 20000;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    for (;; port++) {
        char number[16];
        const char *argv[] = {getenv("XENWRIGHT_XW_TEST"), "receive", number, seed, NULL};
        struct xw_spawn spawn = {.argv = argv, .stdout_fd = out[1], .stderr_fd = out[1]};

        snprintf(number, sizeof(number), "%d", port);
        assert_int_equal(xw_spawn_start(&spawn, child, &err), 0);
        assert_true(read(out[0], line, sizeof(line) - 1) > 0);
        if (strncmp(line, "listening", 9) == 0)
            break;
        xw_child_wait(child, 5000, &(enum xw_spawn_end){0}, &(int){0}, &err); /* port in use */
    }
    close(out[0]);
    close(out[1]);
    return port;
}

static int end_of(struct xw_child *child)
{
    struct xw_error err = XW_ERROR_INIT;
    enum xw_spawn_end end;
    int status;

    assert_int_equal(xw_child_wait(child, 20000, &end, &status, &err), 0);
    assert_int_equal(end, XW_SPAWN_EXITED);
    return status;
}

static void test_traffic(void **state)
{
    struct xw_child receiver;
    char line[128];

    (void)state;
    snprintf(line, sizeof(line), "send 127.0.0.1 %d --seed=1 --size=3M",
             start_receiver(&receiver, "--seed=1"));
    expect(0, "3145728 bytes sent and received", line);
    end_of(&receiver);
    snprintf(line, sizeof(line), "send 127.0.0.1 %d --seed=2 --size=3M",
             start_receiver(&receiver, "--seed=1"));
    expect(1, "127.0.0.1", line); /* what arrived was wrong, or the connection was reset */
    assert_int_equal(end_of(&receiver), 1);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return xw_file_remove_tree(AT_FDCWD, folder, NULL);
}

/* Its standard input is at its end from the start, so it is told of the first tick. */
static void test_ticks(void **state)
{
    (void)state;
    expect(0, "1 ticks, the longest gap ", "ticks");
    expect(0, "256 blocks of seed 3 written", "pattern write ticked --size=1M --seed=3");
    expect(0, "1 ticks, the longest gap ", "ticks ticked");
    expect(1, "block 1 ", "pattern verify ticked --seed=3");
    close(open_file("small"));
    expect(1, "No space left", "ticks small");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_records_of_another_disk),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_traffic),
        cmocka_unit_test(test_ticks),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("xw-test", tests, setup, teardown);
}
