/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <xenwright/error.h>

#include "base/log.h"
#include "base/text.h"

static void set_returns_negative_code(void **state)
{
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    errno = EIO;
    assert_int_equal(xw_error_set(&err, ENOENT, "no '%s'", "a"), -ENOENT);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(err.message, "no 'a'");
    assert_int_equal(errno, EIO);
    assert_int_equal(xw_error_set(NULL, ENOSPC, "unread"), -ENOSPC);
    assert_int_equal(xw_error_set(&err, 0, "a code of 0 would pass for success"), -EINVAL);
    xw_error_clear(&err);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.message, "");
}

static void errno_is_appended(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char name[3000];

    (void)state;
    errno = ENOSPC;
    assert_int_equal(xw_error_set_errno(&err, "cannot write '%s'", "disk"), -ENOSPC);
    assert_string_equal(err.message, "cannot write 'disk': No space left on device");
    assert_int_equal(errno, ENOSPC);

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    errno = ENOSPC;
    assert_int_equal(xw_error_set_errno(&err, "%s", name), -ENOSPC);
    assert_int_equal(strlen(err.message), XW_ERROR_MESSAGE_SIZE - 1);
    assert_says("nnn...: No space left on device");
}

static void prefix_keeps_code_and_escapes_once(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char name[3000];

    (void)state;
    xw_error_set(&err, EBADMSG, "line\nbreak");
    xw_error_prefix(&err, "state.json\t%d", 7);
    assert_string_equal(err.message, "state.json\\t7: line\\nbreak");
    assert_int_equal(err.code, EBADMSG);
    xw_error_prefix(NULL, "nothing");

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    xw_error_prefix(&err, "%s", name);
    assert_int_equal(strlen(err.message), XW_ERROR_MESSAGE_SIZE - 1);
    assert_string_equal(err.message + strlen(err.message) - 4, "n...");
}

static const struct {
    const char *in;
    const char *out;
} lines[] = {
    {"plain text", "plain text"},
    {"Grüße, 日本", "Grüße, 日本"},
    {"a\nb\r\tc", "a\\nb\\r\\tc"},
    {"\033[31mred\007", "\\x1b[31mred\\x07"},
    {"\x7f", "\\x7f"},
    {"broken \xff\xc3", "broken \\xff\\xc3"},
    {"overlong \xc0\xaf \xe0\x80\xaf", "overlong \\xc0\\xaf \\xe0\\x80\\xaf"},
    {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
    {"too high \xf4\x90\x80\x80", "too high \\xf4\\x90\\x80\\x80"},
    {"c1 \xc2\x9b", "c1 \\u{9b}"},
    {"turned \xe2\x80\xae", "turned \\u{202e}"},
    {"line \xe2\x80\xa8 separator", "line \\u{2028} separator"},
};

static void text_is_printable(void **state)
{
    char out[128];

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        size_t n = xw_text_printable(out, sizeof(out), lines[i].in, strlen(lines[i].in));

        assert_string_equal(out, lines[i].out);
        assert_int_equal(n, strlen(lines[i].out));
    }
    assert_int_equal(xw_text_printable(out, sizeof(out), "a\0b", 3), 6);
    assert_string_equal(out, "a\\x00b");
}

/* Whatever the size, the result ends inside it, whole characters and escapes only. */
static void text_is_cut_between_characters(void **state)
{
    const char *in = "ää\nää";
    static const char *const cut[] = {"...", "...", "ä...", "ä...", "ää..."};
    char out[32];

    (void)state;
    for (size_t size = 4; size < 4 + COUNT(cut); size++) {
        memset(out, '!', sizeof(out));
        xw_text_printable(out, size, in, strlen(in));
        assert_string_equal(out, cut[size - 4]);
        assert_int_equal(out[size], '!');
    }
    xw_text_printable(out, 11, in, strlen(in));
    assert_string_equal(out, "ää\\nää");
}

struct heard {
    int count;
    enum xw_log_level level;
    char message[4096];
};

static void hear(void *opaque, enum xw_log_level level, const char *message)
{
    struct heard *heard = opaque;

    heard->count++;
    heard->level = level;
    snprintf(heard->message, sizeof(heard->message), "%s", message);
}

static void log_reaches_the_sink(void **state)
{
    struct heard heard = {0};
    char text[5000];

    (void)state;
    xw_log(XW_LOG_ERROR, "nobody listens");
    assert_false(xw_log_wanted(XW_LOG_ERROR));
    xw_log_set_sink(hear, &heard, XW_LOG_NOTE);
    xw_log(XW_LOG_DEBUG, "too fine");
    assert_int_equal(heard.count, 0);
    errno = EIO;
    xw_log(XW_LOG_NOTE, "two\nlines %d", 5);
    assert_int_equal(errno, EIO);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, XW_LOG_NOTE);
    assert_string_equal(heard.message, "two\\nlines 5");
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    xw_log(XW_LOG_ERROR, "%s", text);
    assert_string_equal(heard.message + strlen(heard.message) - 4, "x...");
    xw_log_set_sink(NULL, NULL, XW_LOG_DEBUG);
    xw_log(XW_LOG_ERROR, "nobody listens any more");
    assert_int_equal(heard.count, 2);
    assert_string_equal(xw_log_level_name(XW_LOG_WARNING), "warning");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_negative_code),
        cmocka_unit_test(errno_is_appended),
        cmocka_unit_test(prefix_keeps_code_and_escapes_once),
        cmocka_unit_test(text_is_printable),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(log_reaches_the_sink),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
