/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words in, options and arguments out: the parser against the tables of fake-group.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/dispatch.h"
#include "cli/parse.h"
#include "fake-group.h"

#define WORDS_MAX 8

struct parse_case {
    const char *verb;
    const char *words[WORDS_MAX];
    /* "option[=value] ... | argument ...", or what the message of the misuse must say. */
    const char *expected;
    bool misuse;
};

static const struct parse_case cases[] = {
    {"show", {"red"}, "| red", false},
    {"show", {"--all", "red"}, "all | red", false},
    {"show", {"red", "--all"}, "all | red", false},
    {"show", {"--kind=pv", "red"}, "kind=pv | red", false},
    {"show", {"--kind", "pv", "red"}, "kind=pv | red", false},
    {"show", {"--tag=", "red"}, "tag= | red", false},
    {"show", {"--tag=a=b", "red"}, "tag=a=b | red", false},
    {"show", {"--tag", "--all", "red"}, "tag=--all | red", false},
    {"show", {"-t", "a", "-tb", "--tag=c", "red"}, "tag=a tag=b tag=c | red", false},
    {"show", {"-ab", "red"}, "all brief | red", false},
    {"show", {"-abn3", "red"}, "all brief count=3 | red", false},
    {"show", {"-abn", "3", "red"}, "all brief count=3 | red", false},
    {"show",
     {"-vvvvvvvvvv", "red"},
     "verbose verbose verbose verbose verbose verbose verbose verbose verbose verbose | red",
     false},
    {"show", {"--", "--all", "-b"}, "| --all -b", false},
    {"show", {"red", "--", "--", "-b"}, "| red -- -b", false},
    {"show", {"-", "x"}, "| - x", false},
    {"show", {"", "x"}, "|  x", false},
    {"show", {"--help"}, "help |", false},
    {"show", {"-h", "red"}, "help | red", false},
    {"show", {"--kind", "pv", "--kind", "hvm", "red"}, "kind=pv kind=hvm | red", false},

    {"show", {NULL}, "arguments are missing, expected WIDGET [FILE]...", true},
    {"show", {"--all"}, "arguments are missing", true},
    {"show", {"--al", "red"}, "unknown option '--al' (did you mean '--all'?)", true},
    {"show", {"--colour=x", "red"}, "unknown option '--colour' (did you mean '--color'?)", true},
    {"show", {"--xyzzy", "red"}, "unknown option '--xyzzy'", true},
    {"show", {"--=x", "red"}, "unknown option '--'", true},
    {"show", {"-ax", "red"}, "unknown option '-x' in '-ax'", true},
    {"show", {"-\xc3\xa4", "red"}, "unknown option", true},
    {"show", {"--all=yes", "red"}, "--all takes no value", true},
    {"show", {"red", "--kind"}, "--kind needs a value, KIND", true},
    {"show", {"red", "-n"}, "-n needs a value, N", true},
    {"show", {"red", "-an"}, "-n needs a value, N", true},
    {"show", {"--kind=lxc", "red"}, "--kind: 'lxc' is not one of pv, pvh or hvm", true},
    {"show", {"--kind=", "red"}, "--kind: '' is not one of", true},
    {"list", {"red"}, "takes no argument, got 'red'", true},
    {"fail", {"a", "b"}, "one argument too many, 'b', expected HOW", true},

    {"exec", {"red", "ls", "-l"}, "| red ls -l", false},
    {"exec", {"red", "--", "ls", "-l"}, "| red ls -l", false},
    {"exec", {"-t", "red", "--", "ls", "--", "-t"}, "tty | red ls -- -t", false},
    {"exec", {"red", "-t", "ls", "-t"}, "tty | red ls -t", false},
    {"exec", {"red", "ls", "--help"}, "| red ls --help", false},
    {"exec", {"--", "red", "-t"}, "| red -t", false},
    {"exec", {"red"}, "too few arguments, expected WIDGET -- COMMAND [ARG]...", true},
    {"exec", {"red", "-l", "ls"}, "unknown option '-l'", true},
};

/* What a call holds, as the table above writes it. */
static void describe(const struct cli_call *call, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < call->setting_count && used < size; i++) {
        const char *value = call->settings[i].value;

        used +=
            (size_t)snprintf(text + used, size - used, "%s%s%s ", call->settings[i].option->name,
                             value ? "=" : "", value ? value : "");
    }
    used += (size_t)snprintf(text + used, size - used, "|");
    for (size_t i = 0; i < cli_argument_count(call) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, " %s", cli_argument(call, i));
}

static void check_case(const struct parse_case *this)
{
    char copies[WORDS_MAX][32], *words[WORDS_MAX], text[512];
    struct xw_error err = XW_ERROR_INIT;
    struct cli_call call;
    struct cli_parser parser = {.call = &call, .words = words};
    int rc;

    for (; parser.count < WORDS_MAX && this->words[parser.count]; parser.count++) {
        snprintf(copies[parser.count], sizeof(copies[0]), "%s", this->words[parser.count]);
        words[parser.count] = copies[parser.count];
    }
    assert_int_equal(cli_call_init(&call, parser.count, &err), 0);
    call.group = &cli_group_widget;
    call.command = cli_find_command(call.group, this->verb);
    assert_non_null(call.command);
    rc = cli_parse(&parser, &err);
    describe(&call, text, sizeof(text));
    if (this->misuse) {
        if (rc != -22 || !strstr(err.message, this->expected))
            fail_msg("%s %s...: %d, '%s' instead of '%s'", this->verb, this->words[0], rc,
                     err.message, this->expected);
        assert_true(call.misuse);
    } else if (rc != 0 || strcmp(text, this->expected) != 0) {
        fail_msg("%s %s...: %d, '%s' instead of '%s' (%s)", this->verb, this->words[0], rc, text,
                 this->expected, err.message);
    }
    assert_null(*cli_arguments(&call, call.argument_count));
    cli_call_clear(&call);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_case(&cases[i]);
}

/* A name that fills the parser's own memory, and one that is longer. */
static void test_long_names(void **state)
{
    static char word[5000];
    char *words[] = {word};
    struct xw_error err = XW_ERROR_INIT;
    struct cli_call call;

    (void)state;
    for (size_t length = 60; length < sizeof(word); length += length < 70 ? 1 : 4929) {
        struct cli_parser parser = {.call = &call, .words = words, .count = 1};

        memset(word, 'x', length);
        word[0] = word[1] = '-';
        word[length] = '\0';
        assert_int_equal(cli_call_init(&call, 1, &err), 0);
        call.group = &cli_group_widget;
        call.command = cli_find_command(call.group, "show");
        assert_true(cli_parse(&parser, &err) < 0);
        assert_non_null(strstr(err.message, "unknown option '--xxx"));
        cli_call_clear(&call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
