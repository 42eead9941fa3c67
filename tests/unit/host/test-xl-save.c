/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads made by hand after tools/xl/xl.h (struct save_file_header), at the limits of each field. */
#include "tests/unit/base/test.h"

#include <unistd.h>

#include "host/xl-save.h"

static const char config[] = "{\"c_info\": {\"name\": \"web\"}}";
static unsigned char file[4096];
static size_t length;

static void put(size_t at, uint32_t value)
{
    memcpy(file + at, &value, sizeof(value));
}

/* As 'xl save' writes it, with the first words of libxl's stream behind it. */
static void make_head(const char *tail)
{
    memset(file, 0, sizeof(file));
    memcpy(file, "Xen saved domain, xl format\n \0 \r", 32);
    put(32, 0x01020304);
    put(36, 3);
    put(40, 0);
    put(44, (uint32_t)(4 + sizeof(config) + strlen(tail)));
    put(48, sizeof(config));
    memcpy(file + 52, config, sizeof(config));
    memcpy(file + 52 + sizeof(config), tail, strlen(tail));
    length = 52 + sizeof(config) + strlen(tail);
    memcpy(file + length, "LibxlFmt", 8);
}

static int parse(struct xw_xl_save *ret, struct xw_error *err)
{
    return xw_xl_save_parse(file, length + 8, "web.save", ret, err);
}

static void refused(int code, const char *why)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xl_save save;

    assert_int_equal(parse(&save, &err), -code);
    assert_non_null(strstr(err.message, "'web.save'"));
    assert_non_null(strstr(err.message, why));
    xw_xl_save_free(&save);
}

static void what_xl_writes_is_read(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xl_save save;

    (void)state;
    make_head("");
    assert_ok(parse(&save, &err));
    assert_string_equal(save.config, config);
    assert_int_equal(save.config_size, sizeof(config) - 1);
    assert_int_equal(save.tail_size, 0);
    assert_int_equal(save.stream, length);
    xw_xl_save_free(&save);
}

static void a_tail_is_what_comes_behind_the_configuration(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xl_save save;

    (void)state;
    make_head("of somebody");
    assert_ok(parse(&save, &err));
    assert_string_equal(save.config, config);
    assert_int_equal(save.tail_size, 11);
    assert_memory_equal(save.tail, "of somebody", 11);
    xw_xl_save_free(&save);
}

static void a_head_that_is_made_is_the_one_that_xl_makes(void **state)
{
    struct xw_buffer made = XW_BUFFER_INIT(4096);
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    make_head("tail");
    assert_ok(xw_xl_save_head(config, "tail", 4, &made, &err));
    assert_int_equal(made.length, length);
    assert_memory_equal(made.data, file, length);
    xw_buffer_free(&made);
}

static void other_files_are_none(void **state)
{
    (void)state;
    make_head("");
    file[30] = '\n'; /* as a transfer in text mode would leave it */
    refused(EBADMSG, "is no file that 'xl save'");
    memcpy(file, "LinuxGuestRecord", 16);
    refused(EBADMSG, "is no file that 'xl save'");
}

static void other_kinds_are_refused(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xl_save save;

    (void)state;
    make_head("");
    put(32, 0x04030201);
    refused(EPROTONOSUPPORT, "another byte order");
    make_head("");
    put(36, 7);
    refused(EPROTONOSUPPORT, "a later xl");
    put(36, 2);
    refused(EPROTONOSUPPORT, "too old");
    make_head("");
    put(40, UINT32_MAX); /* optional flags that nobody knows are no reason */
    assert_ok(parse(&save, &err));
    xw_xl_save_free(&save);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    make_head("");
    put(44, XW_XL_SAVE_MOST_DATA + 1);
    refused(EBADMSG, "too large");
    put(44, 3);
    refused(EBADMSG, "no configuration");
    make_head("");
    put(48, sizeof(config) + 1);
    refused(EBADMSG, "is cut off");
    put(48, 0);
    refused(EBADMSG, "is cut off");
    put(48, sizeof(config) - 1);
    refused(EBADMSG, "does not end where it should");
    make_head("");
    file[60] = '\0';
    refused(EBADMSG, "does not end where it should");
}

static void a_file_that_ends_early_is_cut_off(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xl_save save;

    (void)state;
    make_head("tail");
    for (size_t size = 1; size < length; size++) {
        assert_int_equal(xw_xl_save_parse(file, size, "web.save", &save, &err), -EBADMSG);
        assert_non_null(strstr(err.message, "cut off"));
        xw_xl_save_free(&save);
    }
    assert_int_equal(xw_xl_save_parse(file, 0, "web.save", &save, &err), -EBADMSG);
    xw_xl_save_free(&save);
}

static void reading_stops_where_the_stream_begins(void **state)
{
    FILE *stream = tmpfile();
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xl_save save;

    (void)state;
    make_head("tail");
    fwrite(file, 1, sizeof(file), stream);
    rewind(stream);
    assert_ok(xw_xl_save_read(fileno(stream), "web.save", &save, &err));
    assert_int_equal(save.stream, length);
    assert_int_equal(lseek(fileno(stream), 0, SEEK_CUR), length);
    xw_xl_save_free(&save);
    fclose(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_xl_writes_is_read),
        cmocka_unit_test(a_tail_is_what_comes_behind_the_configuration),
        cmocka_unit_test(a_head_that_is_made_is_the_one_that_xl_makes),
        cmocka_unit_test(other_files_are_none),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(a_file_that_ends_early_is_cut_off),
        cmocka_unit_test(reading_stops_where_the_stream_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
