/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/suggest.h"
#include "fake-group.h"

static const struct {
    const char *a, *b;
    size_t distance;
} distances[] = {
    {"", "", 0},
    {"", "abc", 3},
    {"list", "list", 0},
    {"lst", "list", 1},
    {"lits", "list", 1},
    {"lisst", "list", 1},
    {"lest", "list", 1},
    {"memroy", "memory", 1},
    {"wdiegt", "widget", 2},
    {"up", "down", 4},
    {"release", "relaese", 1},
};

static void test_distance(void **state)
{
    char longest[80];

    (void)state;
    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        assert_int_equal(cli_word_distance(distances[i].a, distances[i].b), distances[i].distance);
        assert_int_equal(cli_word_distance(distances[i].b, distances[i].a), distances[i].distance);
    }
    memset(longest, 'x', sizeof(longest));
    longest[63] = '\0';
    assert_int_equal(cli_word_distance(longest, ""), 63);
    longest[63] = 'x';
    longest[64] = '\0';
    assert_true(cli_word_distance(longest, "x") == SIZE_MAX);
}

static const struct {
    const char *given, *hint;
} verbs[] = {
    {"lsit", " (did you mean 'list'?)"},
    {"sh", " (did you mean 'show'?)"},
    {"fial", " (did you mean 'fail'?)"},
    {"remove", ""},
    {"", ""},
    {"no", ""},
};

static void test_verbs(void **state)
{
    char hint[128];

    (void)state;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        assert_string_equal(cli_suggest_verb(&cli_group_widget, verbs[i].given, hint, sizeof(hint)),
                            verbs[i].hint);
}

static void test_join(void **state)
{
    char text[64], small[8];

    (void)state;
    assert_string_equal(cli_join_words((const char *const[]){"a", NULL}, text, 64), "a");
    assert_string_equal(cli_join_words((const char *const[]){"a", "b", NULL}, text, 64), "a or b");
    assert_string_equal(cli_join_words((const char *const[]){"a", "b", "c", NULL}, text, 64),
                        "a, b or c");
    assert_string_equal(
        cli_join_words((const char *const[]){"abcd", "efgh", "ijkl", NULL}, small, 8), "abcd, e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
