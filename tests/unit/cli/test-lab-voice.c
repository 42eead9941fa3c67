/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/lab-voice.h"

static const char console[] = "(XEN) one\r\nlogin: (XEN) two\ntyped\n\n(XEN) three\nroot# ";

static const struct {
    enum lab_voice voice;
    const char *said;
} voices[] = {
    {LAB_VOICE_ALL, "(XEN) one\r\nlogin: (XEN) two\ntyped\n\n(XEN) three\nroot# "},
    {LAB_VOICE_XEN, "(XEN) one\r\n(XEN) two\n(XEN) three\n"},
    {LAB_VOICE_DOM0, "login: \ntyped\n\nroot# "},
};

/* What is written to the memory stream until now. */
static void assert_said(FILE *out, char **text, const char *wanted)
{
    fflush(out);
    assert_string_equal(*text, wanted);
}

/* QEMU's serial port writes byte by byte, so pieces end anywhere. */
static void pieces_make_no_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(voices) / sizeof(voices[0]); i++) {
        for (size_t piece = 1; piece <= sizeof(console); piece++) {
            struct lab_voice_filter filter = {.voice = voices[i].voice};
            char *text;
            size_t size, left;
            FILE *out = open_memstream(&text, &size);

            for (size_t at = 0; at < strlen(console); at += piece) {
                left = strlen(console) - at;
                lab_voice_take(&filter, console + at, left < piece ? left : piece, out);
            }
            lab_voice_end(&filter, out);
            assert_said(out, &text, voices[i].said);
            fclose(out);
            free(text);
        }
    }
}

static void lines_come_as_they_end(void **state)
{
    struct lab_voice_filter all = {.voice = LAB_VOICE_ALL}, xen = {.voice = LAB_VOICE_XEN};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    lab_voice_take(&all, "login: ", 7, out);
    assert_said(out, &text, "login: ");
    lab_voice_take(&xen, "(XEN) whole\n(XEN) ha", 20, out);
    assert_said(out, &text, "login: (XEN) whole\n");
    lab_voice_take(&xen, "lf\n", 3, out);
    assert_said(out, &text, "login: (XEN) whole\n(XEN) half\n");
    fclose(out);
    free(text);
}

static void a_line_without_end_is_bounded(void **state)
{
    struct lab_voice_filter filter = {.voice = LAB_VOICE_DOM0};
    char *much = malloc(3 * LAB_VOICE_LINE_MAX), *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(much);
    memset(much, 'x', 3 * LAB_VOICE_LINE_MAX);
    lab_voice_take(&filter, much, 3 * LAB_VOICE_LINE_MAX - 1, out);
    fflush(out);
    assert_int_equal(size, 2 * LAB_VOICE_LINE_MAX);
    lab_voice_end(&filter, out);
    fflush(out);
    assert_int_equal(size, 3 * LAB_VOICE_LINE_MAX - 1);
    fclose(out);
    free(text);
    free(much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(lines_come_as_they_end),
        cmocka_unit_test(a_line_without_end_is_bounded),
    };

    return cmocka_run_group_tests_name("lab-voice", tests, NULL, NULL);
}
