/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "base/json.h"

static const struct {
    const char *text;
    int code;
    const char *says;
} bad[] = {
    {"", EBADMSG, "line 1"},
    {"{", EBADMSG, "not valid JSON at line 1, column 1"},
    {"[1,]", EBADMSG, "line 1"},
    {"{\"a\": 1, \"a\": 2}", EBADMSG, "duplicate"},
    {"{}\n{}", EBADMSG, "line 2"},
    {"\"bare\"", EBADMSG, "expected"},
    {"[\"\\u0000\"]", EBADMSG, "\\u0000"},
    {"[\"\xff\"]", EBADMSG, "0xff"},
    {"[[[[1]]]]", E2BIG, "more than 3 levels"},
    {"[{\"a\": [{}]}]", E2BIG, "more than 3 levels"},
    {"[\"0123456789012345678901234567890123456789\"]", EFBIG, "at most 40"},
};

static const char *const good[] = {
    "{}", "[[[1]]]", "[\"[[[[[[\"]", "[\"\\\"[[[[\"]", " [ ] ", "[[],[],[],[],[]]",
};

static void parse_refuses_by_name(void **state)
{
    const struct xw_json_limits limits = {.size = 40, .depth = 3};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct xw_error err = XW_ERROR_INIT;
        json_t *value = NULL;

        assert_int_equal(
            xw_json_parse(bad[i].text, strlen(bad[i].text), "doc", &limits, &value, &err),
            -bad[i].code);
        assert_null(value);
        assert_ptr_equal(strstr(err.message, "doc: "), err.message);
        assert_says(bad[i].says);
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        struct xw_error err = XW_ERROR_INIT;
        json_t *value = NULL;

        assert_ok(xw_json_parse(good[i], strlen(good[i]), "doc", &limits, &value, &err));
        json_decref(value);
    }
}

static void members_are_typed(void **state)
{
    const char *text = "{\"n\": 5, \"s\": \"x\", \"b\": true, \"o\": {}, \"a\": [], \"z\": null}";
    struct xw_error err = XW_ERROR_INIT;
    const char *string = NULL;
    int64_t number = 0;
    bool flag = false;
    json_t *doc, *part;

    (void)state;
    assert_ok(xw_json_parse(text, strlen(text), "doc", NULL, &doc, &err));
    assert_ok(xw_json_integer(doc, "doc", "n", 0, 5, &number, &err));
    assert_int_equal(number, 5);
    assert_ok(xw_json_string(doc, "doc", "s", &string, &err));
    assert_string_equal(string, "x");
    assert_ok(xw_json_bool(doc, "doc", "b", &flag, &err));
    assert_true(flag);
    assert_ok(xw_json_object(doc, "doc", "o", &part, &err));
    assert_ok(xw_json_array(doc, "doc", "a", &part, &err));

    assert_int_equal(xw_json_integer(doc, "state.json", "s", 0, 9, &number, &err), -EBADMSG);
    assert_string_equal(err.message, "state.json: 's': expected an integer, found a string");
    assert_int_equal(number, 5);
    assert_int_equal(xw_json_integer(doc, "doc", "n", 6, 9, &number, &err), -EBADMSG);
    assert_string_equal(err.message, "doc: 'n': expected an integer from 6 to 9, found 5");
    assert_int_equal(xw_json_string(doc, "doc", "absent", &string, &err), -EBADMSG);
    assert_string_equal(err.message, "doc: 'absent' is missing");
    assert_int_equal(xw_json_string(doc, "doc", "z", &string, &err), -EBADMSG);
    assert_string_equal(err.message, "doc: 'z': expected a string, found null");
    assert_int_equal(xw_json_bool(doc, "doc", "n", &flag, &err), -EBADMSG);
    assert_says("expected true or false, found an integer");
    assert_int_equal(xw_json_array(doc, "doc", "o", &part, &err), -EBADMSG);
    assert_int_equal(xw_json_string(NULL, "doc", "s", &string, &err), -EBADMSG);
    assert_says("expected an object with 's'");
    json_decref(doc);
}

static void files_go_there_and_back(void **state)
{
    json_t *doc = json_pack("{s:i, s:[s], s:{}}", "zebra", 1, "list", "a", "empty"), *back = NULL;
    const struct xw_json_limits tiny = {.size = 10};
    struct xw_buffer line = XW_BUFFER_INIT(100);
    struct xw_error err = XW_ERROR_INIT;
    char *text;

    (void)state;
    assert_ok(xw_json_write_file(AT_FDCWD, "doc.json", doc, 0600, &err));
    text = get_file("doc.json");
    assert_string_equal(text, "{\n  \"zebra\": 1,\n  \"list\": [\n    \"a\"\n  ],\n"
                              "  \"empty\": {}\n}\n");
    free(text);
    assert_ok(xw_json_read_file(AT_FDCWD, "doc.json", NULL, &back, &err));
    assert_true(json_equal(doc, back));
    assert_ok(xw_json_print_line(back, &line, &err));
    assert_string_equal(line.data, "{\"zebra\":1,\"list\":[\"a\"],\"empty\":{}}");
    json_decref(back);

    assert_int_equal(xw_json_read_file(AT_FDCWD, "doc.json", &tiny, &back, &err), -EFBIG);
    assert_int_equal(xw_json_read_file(AT_FDCWD, "absent", NULL, &back, &err), -ENOENT);
    assert_says("'absent'");
    line.limit = line.length + 10;
    assert_int_equal(xw_json_print(doc, &line, &err), -EFBIG);
    assert_string_equal(line.data, "{\"zebra\":1,\"list\":[\"a\"],\"empty\":{}}");
    xw_buffer_free(&line);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_refuses_by_name),
        cmocka_unit_test(members_are_typed),
        cmocka_unit_test(files_go_there_and_back),
    };

    return cmocka_run_group_tests_name("json", tests, enter_folder, leave_folder);
}
