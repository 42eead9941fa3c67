/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <locale.h>

#include "base/table.h"

static const struct xw_column columns[] = {
    {.header = "NAME", .key = "name", .cut = true},
    {.header = "MEMORY", .key = "memory", .kind = XW_COLUMN_SIZE},
    {.header = "UP", .key = "up", .kind = XW_COLUMN_SECONDS},
    {.header = "STATE", .key = "state"},
};

static char *print(const char *rows, const struct xw_table_style *style)
{
    struct xw_buffer out = XW_BUFFER_INIT(100000);
    struct xw_error err = XW_ERROR_INIT;
    json_t *list = json_loads(rows, 0, NULL);

    assert_non_null(list);
    assert_ok(xw_table_print(columns, COUNT(columns), list, style, &out, &err));
    json_decref(list);
    return xw_buffer_steal(&out);
}

static const struct {
    const char *rows;
    struct xw_table_style style;
    const char *text;
} tables[] = {
    {"[]", {0}, "NAME  MEMORY  UP  STATE\n"},
    {"[]", {.no_head = true}, ""},
    {"[{\"name\": \"a\", \"memory\": 536870912, \"up\": 59, \"state\": \"running\"},"
     " {\"name\": \"longer\", \"memory\": 1610612736, \"up\": 3725, \"state\": null}]",
     {0},
     "NAME    MEMORY     UP  STATE\n"
     "a         512M    59s  running\n"
     "longer    1.5G  1h02m  -\n"},
    {"[{\"name\": [\"a\", 1], \"up\": 90061, \"state\": true}]",
     {.no_head = true},
     "a,1  -  1d01h  yes\n"},
    {"[{\"name\": \"esc\\u001b[1m\\nnew\", \"memory\": 1, \"up\": 61, \"state\": {\"k\": 1}}]",
     {.no_head = true},
     "esc\\x1b[1m\\nnew  1B  1m01s  {\"k\":1}\n"},
    {"[{\"name\": \"x\"}]",
     {.bold_head = true},
     "\033[1mNAME  MEMORY  UP  STATE\033[0m\nx          -   -  -\n"},
    {"[{\"name\": \"Grüße\", \"state\": \"é\"}]",
     {.no_head = true},
     "Grüße  -  -  é\n"},
};

static void rows_become_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(tables); i++) {
        char *text = print(tables[i].rows, &tables[i].style);

        assert_string_equal(text, tables[i].text);
        free(text);
    }
}

/* Only what may be cut is cut, and only where the terminal is too narrow. */
static void narrow_terminals(void **state)
{
    const char *row = "[{\"name\": \"a name that is much too long for this\", \"memory\": 2048,"
                      " \"up\": 5, \"state\": \"running\"}]";
    struct xw_table_style narrow = {.width = 40};
    char *text = print(row, &narrow), *line, *rest = text;

    (void)state;
    while ((line = strsep(&rest, "\n")) != NULL)
        assert_true(strlen(line) <= 40);
    free(text);
    text = print(row, &narrow);
    assert_non_null(strstr(text, "a name that"));
    assert_null(strstr(text, "for this"));
    assert_non_null(strstr(text, "running"));
    free(text);
    text = print(row, NULL);
    assert_non_null(strstr(text, "too long for this"));
    free(text);
}

static const struct {
    uint64_t bytes;
    const char *text;
} sizes[] = {
    {0, "0B"}, {1, "1B"}, {1023, "1023B"}, {1024, "1K"}, {1536, "1.5K"}, {1075, "1K"},
    {1076, "1.1K"}, {102400, "100K"}, {1048575, "1M"}, {1048576, "1M"}, {(uint64_t)5 << 30, "5G"},
    {((uint64_t)99 << 30) + ((uint64_t)900 << 20), "99.9G"}, {(uint64_t)3 << 40, "3T"},
    {UINT64_MAX, "16E"},
};

static void sizes_have_units(void **state)
{
    char text[XW_SIZE_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        assert_string_equal(xw_size_text(sizes[i].bytes, text), sizes[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_text),
        cmocka_unit_test(narrow_terminals),
        cmocka_unit_test(sizes_have_units),
    };

    if (!setlocale(LC_ALL, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
