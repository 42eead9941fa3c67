/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands between the two ends of a migration: what it passes on, and what it holds back. */
#include "tests/unit/base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "snapshot/relay.h"

/* The far ends of the four pipes. */
struct ends {
    struct xw_relay *relay;
    int sender_says, sender_hears, receiver_says, receiver_hears;
};

static void make_pipe(int *read_end, int *write_end)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    *read_end = fds[0];
    *write_end = fds[1];
}

static int setup(void **state)
{
    struct ends *ends = calloc(1, sizeof(*ends));
    struct xw_error err = XW_ERROR_INIT;
    struct xw_relay_ends ours;

    assert_non_null(ends);
    make_pipe(&ours.from_sender, &ends->sender_says);
    make_pipe(&ends->sender_hears, &ours.to_sender);
    make_pipe(&ours.from_receiver, &ends->receiver_says);
    make_pipe(&ends->receiver_hears, &ours.to_receiver);
    fcntl(ends->sender_hears, F_SETFL, O_NONBLOCK);
    fcntl(ends->receiver_hears, F_SETFL, O_NONBLOCK);
    assert_ok(xw_relay_open(&ours, &ends->relay, &err));
    *state = ends;
    return 0;
}

static int teardown(void **state)
{
    struct ends *ends = *state;

    xw_relay_close(ends->relay);
    close(ends->sender_says);
    close(ends->sender_hears);
    close(ends->receiver_says);
    close(ends->receiver_hears);
    free(ends);
    return 0;
}

/* Steps until it waits, or has ended; what step said last. */
static int run(struct ends *ends, bool *waiting)
{
    struct xw_error err = XW_ERROR_INIT;
    int rc = 1;

    *waiting = false;
    for (int i = 0; i < 200 && rc == 1 && !*waiting; i++) {
        struct pollfd in = {.fd = xw_relay_fd(ends->relay), .events = POLLIN};

        if (poll(&in, 1, 50) == 0)
            break;
        rc = xw_relay_step(ends->relay, waiting, &err);
    }
    return rc;
}

static void say(int fd, const char *text, size_t size)
{
    assert_int_equal(write(fd, text, size), size);
}

static void hears(int fd, const char *text, size_t size)
{
    char got[256];

    assert_int_equal(read(fd, got, sizeof(got)), size);
    assert_memory_equal(got, text, size);
}

static void hears_nothing(int fd)
{
    char byte;

    assert_int_equal(read(fd, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
}

static void the_end_is_held_back(void **state)
{
    struct ends *ends = *state;
    bool waiting;

    say(ends->sender_says, "memory\0\0\0\0\0\0\0\0", 14);
    assert_int_equal(run(ends, &waiting), 1);
    assert_true(waiting);
    hears(ends->receiver_hears, "memory", 6);
    hears_nothing(ends->receiver_hears);

    xw_relay_release(ends->relay);
    assert_int_equal(run(ends, &waiting), 1);
    assert_false(waiting);
    hears(ends->receiver_hears, "\0\0\0\0\0\0\0\0", 8);
    say(ends->sender_says, "GO", 2);
    run(ends, &waiting);
    hears(ends->receiver_hears, "GO", 2);
}

/* Eight bytes of anything else are not the end, and stay all the same until more comes. */
static void another_end_is_not_waited_for(void **state)
{
    struct ends *ends = *state;
    bool waiting;

    say(ends->sender_says, "memory\0\0\0\0\0\0\0\1", 14);
    assert_int_equal(run(ends, &waiting), 1);
    assert_false(waiting);
    hears(ends->receiver_hears, "memory", 6);
    say(ends->sender_says, "\0\0\0\0\0\0\0\0", 8);
    run(ends, &waiting);
    assert_true(waiting);
    hears(ends->receiver_hears, "\0\0\0\0\0\0\0\1", 8);
}

static void the_receiver_is_heard_at_once(void **state)
{
    struct ends *ends = *state;
    bool waiting;

    say(ends->receiver_says, "ready", 5);
    run(ends, &waiting);
    hears(ends->sender_hears, "ready", 5);
}

/* A sender that breaks off must not look like one that came to its end. */
static void a_sender_that_hangs_up_does_not_end_well(void **state)
{
    struct ends *ends = *state;
    bool waiting;
    char byte;

    say(ends->sender_says, "memory\0\0\0\0\0\0\0\0", 14);
    close(ends->sender_says);
    ends->sender_says = -1;
    run(ends, &waiting);
    assert_false(waiting);
    hears(ends->receiver_hears, "memory", 6);
    assert_int_equal(read(ends->receiver_hears, &byte, 1), 0);
}

static void a_receiver_that_hangs_up_is_noticed(void **state)
{
    struct ends *ends = *state;
    struct xw_error err = XW_ERROR_INIT;
    bool waiting;
    int rc = 1;

    close(ends->receiver_says);
    close(ends->receiver_hears);
    ends->receiver_says = ends->receiver_hears = -1;
    say(ends->sender_says, "memory and more", 15);
    for (int i = 0; i < 10 && rc == 1; i++)
        rc = xw_relay_step(ends->relay, &waiting, &err);
    assert_int_equal(rc, 0);
}

static void more_than_fits_arrives_whole(void **state)
{
    enum { SIZE = 1024 * 1024, PIECE = 32 * 1024 };
    struct ends *ends = *state;
    static char piece[PIECE], got[PIECE];
    size_t said = 0, heard = 0;
    bool waiting;

    fcntl(ends->sender_says, F_SETFL, O_NONBLOCK);
    while (heard < SIZE - 8) {
        struct xw_error err = XW_ERROR_INIT;
        ssize_t size;

        for (size_t i = 0; i < PIECE; i++)
            piece[i] = (char)((said + i) % 251);
        if (said < SIZE && (size = write(ends->sender_says, piece, PIECE)) > 0)
            said += (size_t)size;
        assert_int_equal(xw_relay_step(ends->relay, &waiting, &err), 1);
        if ((size = read(ends->receiver_hears, got, PIECE)) <= 0)
            continue;
        for (ssize_t i = 0; i < size; i++)
            assert_int_equal(got[i], (char)((heard + (size_t)i) % 251));
        heard += (size_t)size;
    }
    hears_nothing(ends->receiver_hears);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_end_is_held_back, setup, teardown),
        cmocka_unit_test_setup_teardown(another_end_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(the_receiver_is_heard_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sender_that_hangs_up_does_not_end_well, setup, teardown),
        cmocka_unit_test_setup_teardown(a_receiver_that_hangs_up_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_fits_arrives_whole, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
