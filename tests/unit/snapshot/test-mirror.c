/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Targets of mirrors, and what ssh is told to run at them. */
#include "tests/unit/base/test.h"

#include "base/spawn.h"
#include "snapshot/mirror.h"

static void a_path_is_here(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_mirror_place place;

    (void)state;
    assert_ok(xw_mirror_place("/backup/a:b", &place, &err));
    assert_null(place.host);
    assert_string_equal(place.path, "/backup/a:b");
    assert_string_equal(place.text, "/backup/a:b");
    xw_mirror_place_free(&place);
}

/* It keeps its name when we are gone. */
static void a_relative_path_becomes_absolute(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_mirror_place place;
    char here[4096];

    (void)state;
    assert_non_null(getcwd(here, sizeof(here)));
    assert_ok(xw_mirror_place("copy", &place, &err));
    assert_null(place.host);
    assert_memory_equal(place.path, here, strlen(here));
    assert_string_equal(place.path + strlen(here), "/copy");
    xw_mirror_place_free(&place);
}

static void a_host_has_a_path(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_mirror_place place;

    (void)state;
    assert_ok(xw_mirror_place("root@backup:/srv/a b", &place, &err));
    assert_string_equal(place.host, "root@backup");
    assert_string_equal(place.path, "/srv/a b");
    xw_mirror_place_free(&place);
}

static void what_is_no_target_is_refused(void **state)
{
    static const char *const targets[] = {
        "", ":/srv/a", "backup:", "backup:a", "backup:/", "-oProxyCommand=x:/srv/a", "a b:/srv/a",
        "a'b:/srv/a", "a\nb:/srv/a", "/srv/\xff",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(targets); i++) {
        struct xw_error err = XW_ERROR_INIT;
        struct xw_mirror_place place;

        assert_int_equal(xw_mirror_place(targets[i], &place, &err), -EINVAL);
        assert_true(err.message[0]);
        xw_mirror_place_free(&place);
    }
}

/* As ssh hands it on: one text, for a shell. */
static void words_reach_the_program_as_they_are(void **state)
{
    static const char *const argv[] = {"printf", "%s|", "a b", "it's", "$HOME", "*", "\"", "", NULL};
    struct xw_mirror mirror = {.id = "0123456789abcdef"};
    struct xw_error err = XW_ERROR_INIT;
    const char *words[XW_MIRROR_WORDS];
    struct xw_spawn_result result;
    char *memory;
    size_t count = 0;

    (void)state;
    assert_ok(xw_mirror_link_words(&mirror, "backup", argv, &memory, words, &err));
    while (words[count])
        count++;
    assert_string_equal(words[0], "ssh");
    assert_string_equal(words[count - 3], "--");
    assert_string_equal(words[count - 2], "backup");
    assert_ok(xw_spawn_check(
        &(struct xw_spawn){.argv = (const char *const[]){"sh", "-c", words[count - 1], NULL}},
        &result, &err));
    assert_string_equal(xw_buffer_text(&result.out), "a b|it's|$HOME|*|\"||");
    xw_spawn_result_free(&result);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_here),
        cmocka_unit_test(a_relative_path_becomes_absolute),
        cmocka_unit_test(a_host_has_a_path),
        cmocka_unit_test(what_is_no_target_is_refused),
        cmocka_unit_test(words_reach_the_program_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
