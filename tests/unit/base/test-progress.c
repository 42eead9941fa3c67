/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <pty.h>
#include <sys/ioctl.h>

#include "base/progress.h"
#include "base/sparse.h"

static int64_t now_ms;

static int64_t fake_clock(void)
{
    return now_ms;
}

/* All that has been written so far. */
static const char *heard(int fd)
{
    static char text[10000];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void silent_without_a_terminal(void **state)
{
    struct xw_progress_setup setup = {.clock = fake_clock};
    struct xw_progress *progress;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    setup.fd = ends[1];
    progress = xw_progress_begin(&setup, "copy", 100);
    now_ms += 10000;
    xw_progress_update(progress, 50, 100);
    xw_progress_step(progress, "step", 5);
    xw_progress_end(progress);
    assert_string_equal(heard(ends[0]), "");
    xw_progress_update(NULL, 1, 2);
    xw_progress_step(NULL, "s", 1);
    xw_progress_hide();
    xw_progress_end(NULL);
    close(ends[0]);
    close(ends[1]);
}

static void json_lines_for_programs(void **state)
{
    struct xw_progress_setup setup = {.mode = XW_PROGRESS_JSON, .clock = fake_clock};
    struct xw_progress *progress;
    xw_sparse_progress *update = xw_progress_update;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    setup.fd = ends[1];
    progress = xw_progress_begin(&setup, "copy \"a\"", 9);
    update(progress, 1, 9);
    assert_string_equal(heard(ends[0]), "{\"task\":\"copy \\\"a\\\"\",\"done\":1,\"total\":9}\n");
    now_ms += 50;
    update(progress, 2, 9);
    assert_string_equal(heard(ends[0]), "");
    now_ms += 50;
    update(progress, 3, 9);
    assert_string_equal(heard(ends[0]), "{\"task\":\"copy \\\"a\\\"\",\"done\":3,\"total\":9}\n");
    xw_progress_step(progress, "installing", 37);
    assert_string_equal(heard(ends[0]), "{\"task\":\"copy \\\"a\\\"\",\"step\":\"installing\","
                                        "\"done\":37,\"total\":100}\n");
    xw_progress_step(progress, "installing", 37);
    now_ms += 1000;
    xw_progress_step(progress, "installing", 37);
    assert_string_equal(heard(ends[0]), "");
    xw_progress_update(progress, 9, 9);
    xw_progress_update(progress, 9, 10);
    assert_string_equal(heard(ends[0]), "{\"task\":\"copy \\\"a\\\"\",\"done\":9,\"total\":9}\n");
    xw_progress_end(progress);
    assert_string_equal(heard(ends[0]), "{\"task\":\"copy \\\"a\\\"\",\"done\":9,\"total\":10}\n");
    close(ends[0]);
    close(ends[1]);
}

/* A terminal of 50 columns; raw, so that what is read is what was written. */
static int open_terminal(int *ret_screen)
{
    struct winsize size = {.ws_row = 25, .ws_col = 50};
    struct termios raw;
    int terminal;

    assert_int_equal(openpty(ret_screen, &terminal, NULL, NULL, &size), 0);
    assert_int_equal(tcgetattr(terminal, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(terminal, TCSANOW, &raw), 0);
    fcntl(*ret_screen, F_SETFL, O_NONBLOCK);
    return terminal;
}

static void bar_after_two_seconds(void **state)
{
    struct xw_progress_setup setup = {.clock = fake_clock, .plain = true};
    struct xw_progress *progress;
    int screen, terminal = open_terminal(&screen);

    (void)state;
    setup.fd = terminal;
    progress = xw_progress_begin(&setup, "copy", 100);
    now_ms += 1999;
    xw_progress_update(progress, 40, 100);
    assert_string_equal(heard(screen), "");
    now_ms += 1;
    xw_progress_update(progress, 50, 100);
    assert_string_equal(heard(screen), "\r\033[Kcopy [############------------]  50%");
    now_ms += 99;
    xw_progress_update(progress, 51, 100);
    assert_string_equal(heard(screen), "");
    now_ms += 1;
    xw_progress_step(progress, "installing packages", 37);
    assert_string_equal(heard(screen),
                        "\r\033[Kcopy: installi... [########----------------]  37%");
    xw_progress_hide();
    assert_string_equal(heard(screen), "\r\033[K");
    xw_progress_hide();
    assert_string_equal(heard(screen), "");
    now_ms += 100;
    xw_progress_step(progress, "installing packages", 38);
    assert_string_equal(heard(screen),
                        "\r\033[Kcopy: installi... [#########---------------]  38%");
    xw_progress_end(progress);
    assert_string_equal(heard(screen), "\r\033[K");
    xw_progress_hide();
    assert_string_equal(heard(screen), "");
    close(terminal);
    close(screen);
}

static void short_operations_and_colour(void **state)
{
    struct xw_progress_setup setup = {.clock = fake_clock};
    struct xw_progress *progress;
    int screen, terminal = open_terminal(&screen);

    (void)state;
    setup.fd = terminal;
    progress = xw_progress_begin(&setup, "quick", 100);
    xw_progress_update(progress, 100, 100);
    xw_progress_end(progress);
    assert_string_equal(heard(screen), "");

    unsetenv("NO_COLOR");
    progress = xw_progress_begin(&setup, "a\033b", 0);
    setenv("NO_COLOR", "1", 1);
    now_ms += 5000;
    xw_progress_update(progress, 7, 0);
    assert_string_equal(heard(screen), "\r\033[K\033[36ma\\x1bb\033[0m");
    xw_progress_end(progress);
    assert_string_equal(heard(screen), "\r\033[K");
    progress = xw_progress_begin(&setup, "plain", 0);
    now_ms += 5000;
    xw_progress_update(progress, 7, 0);
    assert_string_equal(heard(screen), "\r\033[Kplain");
    xw_progress_end(progress);
    close(terminal);
    close(screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_without_a_terminal),
        cmocka_unit_test(json_lines_for_programs),
        cmocka_unit_test(bar_after_two_seconds),
        cmocka_unit_test(short_operations_and_colour),
    };

    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
