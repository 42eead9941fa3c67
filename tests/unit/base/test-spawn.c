/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <poll.h>

#include "base/clock.h"
#include "base/spawn.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("sh", "-c", script)
#define LATE 10000 /* ms: for what must not time out */

static struct xw_spawn_result result;

static void run(const struct xw_spawn *spawn)
{
    struct xw_error err = XW_ERROR_INIT;

    xw_spawn_result_free(&result);
    assert_ok(xw_spawn_run(spawn, &result, &err));
}

static void output_and_status(void **state)
{
    (void)state;
    run(&(struct xw_spawn){.argv = SH("echo out; echo err >&2; exit 7")});
    assert_int_equal(result.end, XW_SPAWN_EXITED);
    assert_int_equal(result.status, 7);
    assert_string_equal(xw_buffer_text(&result.out), "out\n");
    assert_string_equal(xw_buffer_text(&result.err), "err\n");
    run(&(struct xw_spawn){.argv = SH("kill -USR1 $$")});
    assert_int_equal(result.end, XW_SPAWN_SIGNALLED);
    assert_int_equal(result.status, SIGUSR1);
    run(&(struct xw_spawn){.argv = ARGV("printf", "%s", "a  b$(c)\"'*")});
    assert_string_equal(xw_buffer_text(&result.out), "a  b$(c)\"'*");
}

/* More than the pipes hold, both ways at once; and a program that reads none of it. */
static void input_is_fed(void **state)
{
    size_t size = 1 << 20;
    char *input = malloc(size);

    (void)state;
    for (size_t i = 0; i < size; i++)
        input[i] = (char)(i * 31 >> 3);
    run(&(struct xw_spawn){.argv = ARGV("cat"), .input = input, .input_size = size});
    assert_int_equal(result.out.length, size);
    assert_memory_equal(result.out.data, input, size);
    run(&(struct xw_spawn){.argv = ARGV("true"), .input = input, .input_size = size});
    assert_int_equal(result.end, XW_SPAWN_EXITED);
    assert_int_equal(result.status, 0);
    run(&(struct xw_spawn){.argv = ARGV("cat"), .input = "", .input_size = 0});
    assert_int_equal(result.out.length, 0);
    run(&(struct xw_spawn){.argv = ARGV("cat")});
    assert_int_equal(result.out.length, 0);
    free(input);
}

static void failing_start_is_reported(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_child child;

    (void)state;
    xw_spawn_result_free(&result);
    assert_int_equal(
        xw_spawn_run(&(struct xw_spawn){.argv = ARGV("no-such-program")}, &result, &err), -ENOENT);
    assert_string_equal(err.message,
                        "'no-such-program' is not installed (not found in PATH)");
    assert_int_equal(
        xw_spawn_start(&(struct xw_spawn){.argv = ARGV("./absent")}, &child, &err), -ENOENT);
    assert_says("cannot start './absent' (exec)");
    put_file("text", "exit 3\n", 7);
    assert_int_equal(xw_spawn_start(&(struct xw_spawn){.argv = ARGV("./text")}, &child, &err),
                     -EACCES);
    /* Executable, but in no form the kernel knows: a shell must not be tried on it. */
    assert_int_equal(chmod("text", 0755), 0);
    assert_int_equal(xw_spawn_start(&(struct xw_spawn){.argv = ARGV("./text")}, &child, &err),
                     -ENOEXEC);
    assert_int_equal(
        xw_spawn_start(&(struct xw_spawn){.argv = ARGV("true"), .cwd_fd = 999}, &child, &err),
        -EBADF);
    assert_says("its folder");
    assert_true(xw_spawn_available("sh"));
    assert_false(xw_spawn_available("no-such-program"));
    assert_false(xw_spawn_available("./absent"));
}

/* The time-out ends the program's children too: a pipe that they alone hold is closed then. */
static void timeout_kills_the_group(void **state)
{
    int ends[2];
    struct xw_spawn_fd held = {.theirs = 3};
    struct xw_spawn spawn = {.argv = SH("sleep 1000 & wait"), .timeout_ms = 300, .fds = &held,
                             .fd_count = 1};
    struct xw_error err = XW_ERROR_INIT;
    struct pollfd poller = {.events = POLLIN};
    int64_t start = xw_clock_ms();

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    held.ours = ends[1];
    run(&spawn);
    close(ends[1]);
    assert_int_equal(result.end, XW_SPAWN_TIMED_OUT);
    assert_int_equal(result.status, SIGKILL);
    assert_in_range(xw_clock_ms() - start, 300, LATE);
    assert_int_equal(xw_spawn_result_check(&spawn, &result, &err), -ETIMEDOUT);
    assert_string_equal(err.message, "sh did not end within 0.300 s");
    poller.fd = ends[0];
    assert_int_equal(poll(&poller, 1, LATE), 1);
    close(ends[0]);
}

/* A daemon that keeps the pipes open must not keep us. */
static void leftover_is_not_waited_for(void **state)
{
    int64_t start = xw_clock_ms();

    (void)state;
    run(&(struct xw_spawn){.argv = SH("sleep 5 & echo here")});
    assert_string_equal(xw_buffer_text(&result.out), "here\n");
    assert_true(xw_clock_ms() - start < 4000);
}

static void output_is_limited(void **state)
{
    struct xw_spawn endless = {.argv = ARGV("yes"), .output_limit = 100000};
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    xw_spawn_result_free(&result);
    assert_int_equal(xw_spawn_run(&endless, &result, &err), -EFBIG);
    assert_says("'yes' wrote more than the 100000 bytes");
    /* Of stderr the end counts, however much there was. */
    run(&(struct xw_spawn){.argv = SH("seq 100000 >&2; echo last >&2")});
    assert_int_equal(result.status, 0);
    assert_string_equal(result.err.data + result.err.length - 12, "100000\nlast\n");
    assert_true(result.err.length <= 128 << 10);
}

static void check_quotes_the_last_line(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    const char *script = "printf 'W: some\\nE: no \\033[1mspace\\n\\n' >&2; exit 5";
    struct xw_spawn spawn = {.argv = ARGV("/bin/sh", "-c", script)};

    (void)state;
    assert_int_equal(xw_spawn_check(&spawn, NULL, &err), -ECHILD);
    assert_string_equal(err.message, "sh failed with exit status 5: E: no \\x1b[1mspace");
    spawn.argv = SH("kill -SEGV $$");
    assert_int_equal(xw_spawn_check(&spawn, NULL, &err), -ECHILD);
    assert_string_equal(err.message, "sh was ended by signal 11 (Segmentation fault)");
    assert_ok(xw_spawn_check(&(struct xw_spawn){.argv = ARGV("true")}, NULL, &err));
}

static void environment_and_folder(void **state)
{
    struct xw_spawn spawn = {
        .argv = SH("echo \"$ADDED\" \"${GONE-unset}\" \"$KEPT\"; pwd"),
        .environment = ARGV("ADDED=new one", "GONE"),
    };
    char expected[200];

    (void)state;
    setenv("GONE", "still there", 1);
    setenv("KEPT", "kept", 1);
    setenv("ADDED", "old", 1);
    assert_int_equal(mkdir("folder", 0700), 0);
    spawn.cwd_fd = open("folder", O_PATH | O_CLOEXEC);
    run(&spawn);
    close(spawn.cwd_fd);
    snprintf(expected, sizeof(expected), "new one unset kept\n%s/folder\n", test_folder);
    assert_string_equal(xw_buffer_text(&result.out), expected);
}

/* A number asked for may be in use here by another one of the list, or be the next one free. */
static void descriptors_get_their_numbers(void **state)
{
    const char *const low[] = {"sh", "-c", "for n in 3 4 5 6 7 8 9 10 11 12 13 14; do"
                                           " cat /proc/self/fd/$n; done", NULL};
    const char *const high[] = {"sh", "-c", "for n in 16 17 18 19 20 21 22 23 24 25 26 27; do"
                                            " cat /proc/self/fd/$n; done", NULL};
    struct xw_spawn_fd fds[12];
    struct xw_spawn spawn = {.argv = low, .fds = fds, .fd_count = COUNT(fds)};
    char text[COUNT(fds) + 1] = "";

    (void)state;
    for (size_t i = 0; i < COUNT(fds); i++) {
        char letter = (char)('a' + i);

        put_file("letter", &letter, 1);
        fds[i].ours = open("letter", O_RDONLY | O_CLOEXEC);
        assert_int_equal(unlink("letter"), 0);
        fds[i].theirs = 3 + (int)(i * 5 + 7) % (int)COUNT(fds);
        text[fds[i].theirs - 3] = letter;
    }
    run(&spawn);
    assert_string_equal(xw_buffer_text(&result.out), text);
    /* Again with the numbers above all of ours, where copies on their way would land. */
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i].theirs += 13;
    spawn.argv = high;
    run(&spawn);
    assert_string_equal(xw_buffer_text(&result.out), text);
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i].ours);
}

/* Nothing of ours leaks: descriptors without close-on-exec, ignored and blocked signals. */
static void child_starts_clean(void **state)
{
    sigset_t blocked, before;
    int leak = open("/dev/null", O_RDONLY);

    (void)state;
    assert_int_equal(dup2(leak, 77), 77);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    run(&(struct xw_spawn){.argv = SH("[ -e /proc/self/fd/77 ] && echo leaked; "
                                      "grep -E 'Sig(Blk|Ign)' /proc/self/status")});
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(leak);
    close(77);
    assert_string_equal(xw_buffer_text(&result.out),
                        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void collect(void *opaque, int stream, const char *line)
{
    xw_buffer_printf(opaque, NULL, "%d<%.20s>", stream, line);
}

static void lines_come_one_by_one(void **state)
{
    struct xw_buffer seen = XW_BUFFER_INIT(1000);

    (void)state;
    run(&(struct xw_spawn){.argv = SH("printf 'a\\nb\\r10%%\\r20%%\\n\\nend'"),
                           .on_line = collect, .opaque = &seen});
    assert_string_equal(xw_buffer_text(&seen), "1<a>1<b>1<10%>1<20%>1<end>");
    xw_buffer_clear(&seen);
    run(&(struct xw_spawn){.argv =
                               SH("exec >&2; head -c 9999 /dev/zero | tr '\\0' x; echo; echo y"),
                           .on_line = collect,
                           .opaque = &seen});
    assert_string_equal(xw_buffer_text(&seen), "2<xxxxxxxxxxxxxxxxxxxx>2<y>");
    xw_buffer_free(&seen);
}

static void started_child_is_waited_for(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_child child;
    enum xw_spawn_end end;
    int status, fd = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char *text;

    (void)state;
    assert_ok(xw_spawn_start(&(struct xw_spawn){.argv = SH("exec sleep 1000"),
                                                .stdout_fd = fd, .new_session = true},
                             &child, &err));
    assert_int_equal(getsid(child.pid), child.pid);
    assert_int_equal(xw_child_wait(&child, 20, &end, &status, &err), -ETIMEDOUT);
    assert_ok(xw_child_kill(&child, SIGTERM, &err));
    assert_ok(xw_child_wait(&child, LATE, &end, &status, &err));
    assert_int_equal(end, XW_SPAWN_SIGNALLED);
    assert_int_equal(status, SIGTERM);
    assert_int_equal(child.pidfd, -1);

    assert_ok(xw_spawn_start(&(struct xw_spawn){.argv = SH("echo to the log; exit 4"),
                                                .stdout_fd = fd}, &child, &err));
    assert_ok(xw_child_wait(&child, LATE, &end, &status, &err));
    assert_int_equal(end, XW_SPAWN_EXITED);
    assert_int_equal(status, 4);
    text = get_file("log");
    assert_non_null(strstr(text, "to the log\n"));
    free(text);
    close(fd);
}

/*
 * A process between starts a sleeper and is killed: the sleeper closes the pipe by dying with it.
 */
static void child_dies_with_its_parent(void **state)
{
    struct pollfd poller = {.events = POLLIN};
    int ends[2];
    pid_t between;
    char byte;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    between = fork();
    if (between == 0) {
        struct xw_child child;

        if (xw_spawn_start(&(struct xw_spawn){.argv = SH("echo; exec sleep 1000"),
                                              .stdout_fd = ends[1], .end_with_parent = SIGKILL},
                           &child, NULL) == 0)
            pause();
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    kill(between, SIGKILL);
    waitpid(between, NULL, 0);
    poller.fd = ends[0];
    assert_int_equal(poll(&poller, 1, LATE), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

/* One that is to clean up is asked to end instead, and says so here. */
static void child_is_told_of_its_parents_end(void **state)
{
    int ends[2];
    pid_t between;
    char text[8] = "";

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    between = fork();
    if (between == 0) {
        struct xw_child child;

        if (xw_spawn_start(&(struct xw_spawn){.argv = SH("trap 'echo told; exit' TERM; echo; "
                                                         "while :; do sleep 0.1; done"),
                                              .stdout_fd = ends[1], .end_with_parent = SIGTERM},
                           &child, NULL) == 0)
            pause();
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], text, 1), 1);
    kill(between, SIGKILL);
    waitpid(between, NULL, 0);
    assert_int_equal(read(ends[0], text, sizeof(text)), 5);
    assert_memory_equal(text, "told\n", 5);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status),
        cmocka_unit_test(input_is_fed),
        cmocka_unit_test(failing_start_is_reported),
        cmocka_unit_test(timeout_kills_the_group),
        cmocka_unit_test(leftover_is_not_waited_for),
        cmocka_unit_test(output_is_limited),
        cmocka_unit_test(check_quotes_the_last_line),
        cmocka_unit_test(environment_and_folder),
        cmocka_unit_test(descriptors_get_their_numbers),
        cmocka_unit_test(child_starts_clean),
        cmocka_unit_test(lines_come_one_by_one),
        cmocka_unit_test(started_child_is_waited_for),
        cmocka_unit_test(child_dies_with_its_parent),
        cmocka_unit_test(child_is_told_of_its_parents_end),
    };
    int failed = cmocka_run_group_tests_name("spawn", tests, enter_folder, leave_folder);

    xw_spawn_result_free(&result);
    return failed;
}
