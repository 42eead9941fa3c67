/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs run through client and agent: streams, status, signals, terminals. */
#include "agent-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

static void test_status_and_streams(void **state)
{
    static const struct {
        const char *script, *out, *err;
        enum lab_exit_kind kind;
        uint32_t value;
    } cases[] = {
        {"true", "", "", LAB_EXIT_STATUS, 0},
        {"echo out; echo err >&2; exit 7", "out\n", "err\n", LAB_EXIT_STATUS, 7},
        {"exit 255", "", "", LAB_EXIT_STATUS, 255},
        {"kill -9 $$", "", "", LAB_EXIT_SIGNAL, SIGKILL},
        {"kill -PIPE $$", "", "", LAB_EXIT_SIGNAL, SIGPIPE},
        {"read line; echo \"$? [$line]\"", "1 []\n", "", LAB_EXIT_STATUS, 0},
        /* what a program left behind does not hold up its end */
        {"sleep 60 & echo $((6 * 7))", "42\n", "", LAB_EXIT_STATUS, 0},
        {"exec >&- 2>&-; exit 3", "", "", LAB_EXIT_STATUS, 3},
        {"ls /proc/self/fd | wc -l", "4\n", "", LAB_EXIT_STATUS, 0},
        {"grep SigBlk /proc/self/status", "SigBlk:\t0000000000000000\n", "", LAB_EXIT_STATUS, 0},
    };
    struct fixture *f = *state;
    struct output output;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab_exec_end end = run_script(f->client, cases[i].script, &output);

        assert_string_equal(output.out, cases[i].out);
        assert_string_equal(output.err, cases[i].err);
        assert_int_equal(end.kind, cases[i].kind);
        assert_int_equal(end.value, cases[i].value);
    }
}

static struct lab_exec_end run(struct fixture *f, struct lab_exec *exec, struct output *output)
{
    struct xw_error err = XW_ERROR_INIT;

    *output = (struct output){0};
    exec->output = keep_output;
    exec->data = output;
    assert_ok(lab_client_start_exec(f->client, exec, 20000, &err), &err);
    assert_ok(lab_client_finish(f->client, &err), &err);
    return lab_client_exec_end(f->client);
}

static void test_directory_and_environment(void **state)
{
    struct fixture *f = *state;
    struct output output;
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c", "pwd; echo $A,$B,$HOME,$LANG", NULL},
        .env = (const char *const[]){"A=1 2", "B=", "LANG=x", NULL},
        .directory = "/tmp",
        .in = -1,
    };

    assert_int_equal(run(f, &exec, &output).value, 0);
    assert_string_equal(output.out, "/tmp\n1 2,,/root,x\n");
}

static void test_program_that_cannot_run(void **state)
{
    static const struct {
        const char *program, *err;
        uint32_t status;
    } cases[] = {
        {"no-such-program", "no-such-program: command not found\n", 127},
        {"/no/such/program", "/no/such/program: command not found\n", 127},
        {"", ": command not found\n", 127},
        {"/etc/passwd", "/etc/passwd: Permission denied\n", 126},
        {"/etc", "/etc: Permission denied\n", 126},
        {"/etc/passwd/x", "/etc/passwd/x: Not a directory\n", 127},
    };
    struct fixture *f = *state;
    struct output output;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab_exec exec = {.argv = (const char *const[]){cases[i].program, NULL}, .in = -1};
        struct lab_exec_end end = run(f, &exec, &output);

        assert_string_equal(output.err, cases[i].err);
        assert_int_equal(end.kind, LAB_EXIT_STATUS);
        assert_int_equal(end.value, cases[i].status);
    }
}

/* A PATH of the request's own is used for the look-up too. */
static void test_own_path(void **state)
{
    struct fixture *f = *state;
    struct output output;
    struct lab_exec exec = {
        .argv = (const char *const[]){"ls", NULL},
        .env = (const char *const[]){"PATH=/etc:/nowhere", NULL},
        .in = -1,
    };

    assert_int_equal(run(f, &exec, &output).value, 127);
    exec.env = (const char *const[]){"PATH=/nowhere:/bin", NULL};
    assert_int_equal(run(f, &exec, &output).value, 0);
}

static void test_missing_directory(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output;
    struct lab_exec exec = {
        .argv = (const char *const[]){"true", NULL}, .directory = "/no/such", .in = -1};

    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    assert_int_equal(lab_client_finish(f->client, &err), -EREMOTEIO);
    assert_string_equal(err.message,
                        "the test's agent: directory /no/such: No such file or directory");
    /* the connection is still good */
    assert_int_equal(run_script(f->client, "exit 4", &output).value, 4);
}

static void test_command_too_large(void **state)
{
    static char large[LAB_FRAME_MAX];
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output;
    struct lab_exec exec = {.argv = (const char *const[]){"true", large, NULL}, .in = -1};

    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(lab_client_start_exec(f->client, &exec, -1, &err), -E2BIG);
    assert_int_equal(run_script(f->client, "exit 5", &output).value, 5);
}

static void test_signal_reaches_whole_group(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c", "trap 'echo got it; exit 9' TERM\n"
                                                  "sleep 60 & echo ready; wait; wait", NULL},
        .in = -1,
        .output = keep_output,
        .data = &output,
    };

    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    step_until(f->client, &output, "ready");
    lab_client_signal(f->client, SIGTERM);
    assert_ok(lab_client_finish(f->client, &err), &err);
    assert_string_equal(output.out, "ready\ngot it\n");
    assert_int_equal(lab_client_exec_end(f->client).value, 9);
}

static void test_time_runs_out(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct lab_exec exec = {.argv = (const char *const[]){"sleep", "60", NULL}, .in = -1};

    exec.out = exec.err = -1;
    assert_ok(lab_client_start_exec(f->client, &exec, 50, &err), &err);
    assert_int_equal(lab_client_finish(f->client, &err), -ETIMEDOUT);
    assert_string_equal(err.message, "the test's agent: the program did not end within 0.05 s");
}

static void test_terminal(void **state)
{
    int input[2];
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c",
                                      "trap 'stty size; echo changed' WINCH\n"
                                      "tty -s && stty size; echo to-err >&2; echo $TERM\n"
                                      "while read line; do echo \"<$line>\"; done; echo end", NULL},
        .env = (const char *const[]){"TERM=vt220", NULL},
        .tty = true,
        .columns = 91,
        .rows = 17,
        .output = keep_output,
        .data = &output,
    };

    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    exec.in = input[0];
    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    step_until(f->client, &output, "vt220\r\n");
    assert_string_equal(output.out, "17 91\r\nto-err\r\nvt220\r\n");
    assert_int_equal(write(input[1], "hi\n", 3), 3);
    step_until(f->client, &output, "<hi>\r\n");
    assert_non_null(strstr(output.out, "vt220\r\nhi\r\n<hi>\r\n")); /* echoed by the terminal */
    lab_client_window(f->client, 33, 22);
    assert_int_equal(write(input[1], "x\n", 2), 2);
    step_until(f->client, &output, "changed\r\n");
    assert_non_null(strstr(output.out, "22 33\r\n"));
    close(input[1]);
    assert_ok(lab_client_finish(f->client, &err), &err);
    close(input[0]);
    assert_non_null(strstr(output.out, "end\r\n"));
    assert_int_equal(lab_client_exec_end(f->client).value, 0);
}

static void test_terminal_gets_ctrl_c(void **state)
{
    int input[2];
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;
    struct output output = {0};
    struct lab_exec exec = {
        .argv = (const char *const[]){"sh", "-c", "echo ready; exec sleep 60", NULL},
        .tty = true,
        .output = keep_output,
        .data = &output,
    };

    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    exec.in = input[0];
    assert_ok(lab_client_start_exec(f->client, &exec, 20000, &err), &err);
    step_until(f->client, &output, "ready\r\n");
    assert_int_equal(write(input[1], "\003", 1), 1);
    assert_ok(lab_client_finish(f->client, &err), &err);
    assert_int_equal(lab_client_exec_end(f->client).kind, LAB_EXIT_SIGNAL);
    assert_int_equal(lab_client_exec_end(f->client).value, SIGINT);
    close(input[0]);
    close(input[1]);
}

static void test_ping(void **state)
{
    struct fixture *f = *state;
    struct xw_error err = XW_ERROR_INIT;

    for (int i = 0; i < 100; i++) {
        assert_ok(lab_client_start_ping(f->client, 5000, &err), &err);
        assert_ok(lab_client_finish(f->client, &err), &err);
    }
}

#define with_agent(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_agent(test_status_and_streams),
        with_agent(test_directory_and_environment),
        with_agent(test_program_that_cannot_run),
        with_agent(test_own_path),
        with_agent(test_missing_directory),
        with_agent(test_command_too_large),
        with_agent(test_signal_reaches_whole_group),
        with_agent(test_time_runs_out),
        with_agent(test_terminal),
        with_agent(test_terminal_gets_ctrl_c),
        with_agent(test_ping),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("agent-exec", tests, NULL, NULL);
}
