/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "base/buffer.h"

static void appends_and_consumes(void **state)
{
    struct xw_buffer b = XW_BUFFER_INIT(1000);
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_string_equal(xw_buffer_text(&b), "");
    assert_ok(xw_buffer_append(&b, NULL, 0, &err));
    assert_ok(xw_buffer_append_text(&b, "one ", &err));
    assert_ok(xw_buffer_printf(&b, &err, "%d %s", 2, "three"));
    assert_string_equal(b.data, "one 2 three");
    xw_buffer_consume(&b, 4);
    assert_string_equal(xw_buffer_text(&b), "2 three");
    assert_int_equal(b.length, 7);
    assert_ok(xw_buffer_append_text(&b, "!", &err));
    assert_string_equal(b.data, "2 three!");
    xw_buffer_consume(&b, 100);
    assert_int_equal(b.length, 0);
    assert_string_equal(xw_buffer_text(&b), "");
    xw_buffer_free(&b);
    assert_null(b.data);
    assert_int_equal(b.limit, 1000);
}

static void limit_holds_exactly(void **state)
{
    struct xw_buffer b = XW_BUFFER_INIT(10);
    struct xw_error err = XW_ERROR_INIT;
    char *room;

    (void)state;
    assert_ok(xw_buffer_append_text(&b, "0123456789", &err));
    assert_int_equal(xw_buffer_append(&b, "x", 1, &err), -EFBIG);
    assert_says("10 bytes");
    assert_int_equal(xw_buffer_printf(&b, &err, "%d", 12345), -EFBIG);
    assert_int_equal(xw_buffer_reserve(&b, SIZE_MAX, &room, &err), -EFBIG);
    assert_string_equal(b.data, "0123456789");
    xw_buffer_consume(&b, 3);
    assert_ok(xw_buffer_append_text(&b, "abc", &err));
    assert_string_equal(b.data, "3456789abc");
    xw_buffer_free(&b);
}

/* As much goes in as comes out, for long: the memory must not grow with what has passed. */
static void memory_stays_small_in_a_stream(void **state)
{
    struct xw_buffer b = XW_BUFFER_INIT(1 << 20);
    struct xw_error err = XW_ERROR_INIT;
    char piece[100];

    (void)state;
    memset(piece, 'p', sizeof(piece));
    for (int i = 0; i < 10000; i++) {
        piece[0] = (char)('a' + i % 26);
        assert_ok(xw_buffer_append(&b, piece, sizeof(piece), &err));
        if (i > 2) {
            assert_int_equal(b.data[0], 'a' + (i - 3) % 26);
            xw_buffer_consume(&b, sizeof(piece));
        }
    }
    assert_int_equal(b.length, 300);
    assert_true(b.capacity <= 2048);
    xw_buffer_free(&b);
}

static void reads_from_descriptors(void **state)
{
    struct xw_buffer b = XW_BUFFER_INIT(8);
    struct xw_error err = XW_ERROR_INIT;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(xw_buffer_read(&b, ends[0], 100, &err), -EAGAIN);
    assert_int_equal(err.code, 0);
    assert_int_equal(write(ends[1], "0123456789", 10), 10);
    assert_int_equal(xw_buffer_read(&b, ends[0], 3, &err), 3);
    assert_int_equal(xw_buffer_read(&b, ends[0], 100, &err), 5);
    assert_string_equal(b.data, "01234567");
    assert_int_equal(xw_buffer_read(&b, ends[0], 100, &err), -EFBIG);
    xw_buffer_clear(&b);
    assert_int_equal(xw_buffer_read(&b, ends[0], 100, &err), 2);
    close(ends[1]);
    assert_int_equal(xw_buffer_read(&b, ends[0], 100, &err), 0);
    close(ends[0]);
    assert_int_equal(xw_buffer_read(&b, -1, 1, &err), -EBADF);
    xw_buffer_free(&b);
}

static void steal_hands_over(void **state)
{
    struct xw_buffer b = XW_BUFFER_INIT(100);
    char *text;

    (void)state;
    text = xw_buffer_steal(&b);
    assert_string_equal(text, "");
    free(text);
    xw_buffer_append_text(&b, "abcdef", NULL);
    xw_buffer_consume(&b, 2);
    text = xw_buffer_steal(&b);
    assert_string_equal(text, "cdef");
    assert_int_equal(b.length, 0);
    assert_null(b.data);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_consumes),
        cmocka_unit_test(limit_holds_exactly),
        cmocka_unit_test(memory_stays_small_in_a_stream),
        cmocka_unit_test(reads_from_descriptors),
        cmocka_unit_test(steal_hands_over),
    };

    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
