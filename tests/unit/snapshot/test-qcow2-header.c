/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers made by hand after QEMU's docs/interop/qcow2.txt, at the limits of each field. */
#include "tests/unit/base/test.h"

#include <endian.h>

#include "snapshot/qcow2-header.h"

#define NAME_AT 112

static unsigned char image[4096];

static void put32(size_t at, uint32_t value)
{
    value = htobe32(value);
    memcpy(image + at, &value, sizeof(value));
}

static void put64(size_t at, uint64_t value)
{
    value = htobe64(value);
    memcpy(image + at, &value, sizeof(value));
}

/* Version 3, 64 KiB clusters, 1 GiB, no backing file. */
static void make_header(void)
{
    memset(image, 0, sizeof(image));
    put32(0, 0x514649fb);
    put32(4, 3);
    put32(20, 16);
    put64(24, UINT64_C(1) << 30);
    put32(36, 2);
    put64(40, 0x30000);
    put64(48, 0x10000);
    put32(100, 104);
}

static void set_backing(uint64_t offset, const char *name, uint32_t length)
{
    put64(8, offset);
    put32(16, length);
    if (offset <= sizeof(image) - length)
        memcpy(image + offset, name, length);
}

static int parse(size_t size, struct xw_qcow2_header *ret, struct xw_error *err)
{
    return xw_qcow2_header_parse(image, size, "x.qcow2", ret, err);
}

static void fields_come_through(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qcow2_header header;

    (void)state;
    make_header();
    set_backing(NAME_AT, "/i/a.qcow2", 10);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_int_equal(header.version, 3);
    assert_int_equal(header.cluster_bits, 16);
    assert_int_equal(header.size, UINT64_C(1) << 30);
    assert_string_equal(header.backing, "/i/a.qcow2");
    assert_int_equal(header.l1_entries, 2);
    assert_int_equal(header.l1_offset, 0x30000);
    assert_false(header.encrypted);
    assert_false(header.external_data);
}

static void encryption_and_external_data_show(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qcow2_header header;

    (void)state;
    for (uint32_t method = 1; method <= 2; method++) {
        make_header();
        put32(32, method);
        assert_ok(parse(sizeof(image), &header, &err));
        assert_true(header.encrypted);
    }
    make_header();
    put64(72, 1 << 2);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_true(header.external_data);
    put32(4, 2); /* version 2 ends before these flags */
    assert_ok(parse(sizeof(image), &header, &err));
    assert_false(header.external_data);
    put32(4, 3);
    put64(72, UINT64_MAX & ~(UINT64_C(1) << 2));
    assert_ok(parse(sizeof(image), &header, &err));
    assert_false(header.external_data);
}

static void version_2_is_shorter(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qcow2_header header;

    (void)state;
    make_header();
    put32(4, 2);
    assert_ok(parse(72, &header, &err));
    assert_int_equal(parse(71, &header, &err), -EBADMSG);
    assert_says("'x.qcow2' is not a qcow2 image: it is too short");
    assert_int_equal(parse(0, &header, &err), -EBADMSG);
}

static const struct {
    size_t at;
    uint32_t good, bad;
    const char *said;
} limits[] = {
    {0, 0x514649fb, 0x514649fa, "is not a qcow2 image of version 2 or 3"},
    {4, 3, 4, "is not a qcow2 image of version 2 or 3"},
    {4, 2, 1, "is not a qcow2 image of version 2 or 3"},
    {20, 9, 8, "clusters have a size that cannot be"},
    {20, 21, 22, "clusters have a size that cannot be"},
    {36, 4 << 20, (4 << 20) + 1, "L1 table cannot be"},
    {40, INT32_MAX, 0x80000000, "L1 table cannot be"},
};

static void limits_hold(void **state)
{
    struct xw_qcow2_header header;

    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        struct xw_error err = XW_ERROR_INIT;

        make_header();
        put32(limits[i].at, limits[i].good);
        assert_ok(parse(sizeof(image), &header, &err));
        put32(limits[i].at, limits[i].bad);
        assert_int_equal(parse(sizeof(image), &header, &err), -EBADMSG);
        assert_says(limits[i].said);
        assert_says("'x.qcow2'");
    }
}

static void backing_name_has_limits(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qcow2_header header;
    char name[XW_QCOW2_NAME_SIZE];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[0] = '/';
    make_header();
    set_backing(NAME_AT, name, 1023);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_int_equal(strlen(header.backing), 1023);
    set_backing(NAME_AT, name, 1024);
    assert_int_equal(parse(sizeof(image), &header, &err), -EBADMSG);
    assert_says("the name of its backing file is not where it may be");
    set_backing(sizeof(image) - 100, name, 100);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_int_equal(parse(sizeof(image) - 1, &header, &err), -EBADMSG);
    set_backing(UINT64_MAX, name, 100);
    assert_int_equal(parse(sizeof(image), &header, &err), -EBADMSG);
    set_backing(UINT64_MAX - 50, name, 100);
    assert_int_equal(parse(sizeof(image), &header, &err), -EBADMSG);
    set_backing(NAME_AT, "/i\0a", 4);
    assert_int_equal(parse(sizeof(image), &header, &err), -EBADMSG);
    assert_says("holds a NUL");
    set_backing(NAME_AT, "", 0);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing, "");
}

/* Extensions begin behind the header: `at`, type, length, data. */
static void put_extension(size_t at, uint32_t type, const char *text, uint32_t length)
{
    put32(at, type);
    put32(at + 4, length);
    memcpy(image + at + 8, text, strlen(text));
}

static void backing_format_is_found(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qcow2_header header;

    (void)state;
    make_header();
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "");
    put_extension(104, 0x6803f857, "names", 9); /* another one first, padded to 16 */
    put_extension(128, 0xe2792aca, "raw", 3);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "raw");
    put32(100, 112); /* a longer header */
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "");
    make_header();
    put32(4, 2);
    put_extension(72, 0xe2792aca, "qcow2", 5);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "qcow2");
    put32(76, UINT32_MAX);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "");
    put32(76, 16); /* longer than any name of a format */
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "");
    make_header();
    put32(100, UINT32_MAX);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "");
    make_header();
    put_extension(104, 0, "", 0); /* the end */
    put_extension(112, 0xe2792aca, "raw", 3);
    assert_ok(parse(sizeof(image), &header, &err));
    assert_string_equal(header.backing_format, "");
}

/* An image of 128 KiB with its L1 table behind the first cluster. */
static void put_image(const char *path, uint64_t first, uint64_t second)
{
    unsigned char whole[0x10000 + 16] = {0};
    uint64_t table[] = {htobe64(first), htobe64(second)};

    make_header();
    put64(40, 0x10000);
    memcpy(whole, image, sizeof(image));
    memcpy(whole + 0x10000, table, sizeof(table));
    put_file(path, (char *)whole, sizeof(whole));
}

static void empty_is_without_l2_tables(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    bool empty = false;

    (void)state;
    put_image("empty", 0, 0);
    assert_ok(xw_qcow2_is_empty("empty", &empty, &err));
    assert_true(empty);
    put_image("first", UINT64_C(1) << 63 | 0x20000, 0);
    assert_ok(xw_qcow2_is_empty("first", &empty, &err));
    assert_false(empty);
    put_image("last", 0, 0x20000);
    assert_ok(xw_qcow2_is_empty("last", &empty, &err));
    assert_false(empty);
}

static void a_table_that_is_not_there(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    bool empty = false;

    (void)state;
    put_image("cut", 0, 0);
    assert_int_equal(truncate("cut", 0x10000 + 15), 0);
    assert_int_equal(xw_qcow2_is_empty("cut", &empty, &err), -EBADMSG);
    assert_says("its L1 table is cut off");
    make_header();
    put64(40, INT64_MAX);
    put_file("far", (char *)image, sizeof(image));
    assert_int_equal(xw_qcow2_is_empty("far", &empty, &err), -EBADMSG);
    assert_int_equal(xw_qcow2_is_empty("absent", &empty, &err), -ENOENT);
    assert_says("'absent'");
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_true(xw_qcow2_is_empty("folder", &empty, &err) < 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_true(xw_qcow2_is_empty("fifo", &empty, &err) < 0); /* and nobody waits for a writer */
    make_header();
    put32(36, 0);
    put_file("none", (char *)image, sizeof(image));
    assert_ok(xw_qcow2_is_empty("none", &empty, &err));
    assert_true(empty);
}

/* One entry of the table at `at`, with an extra field as QEMU's have; where the next begins. */
static size_t put_entry(size_t at, const char *name, uint32_t extra)
{
    size_t length = strlen(name);

    put32(at + 12, (uint32_t)(1U << 16 | length)); /* the id is "1" */
    put32(at + 36, extra);
    image[at + 40 + extra] = '1';
    memcpy(image + at + 41 + extra, name, length);
    return (at + 41 + extra + length + 7) / 8 * 8;
}

static int look(size_t size, uint32_t count, const char *name, struct xw_qcow2_table *ret,
                struct xw_error *err)
{
    return xw_qcow2_table_parse(image, size, count, "x.qcow2", name, ret, err);
}

static void table_of_snapshots(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_qcow2_table table;
    size_t end;

    (void)state;
    memset(image, 0, sizeof(image));
    end = put_entry(put_entry(put_entry(0, "mine", 16), "xw-0123456789abcdef", 24),
                    "xw-0123456789abcdeg", 0);
    assert_ok(look(end, 3, "mine", &table, &err));
    assert_true(table.found);
    assert_int_equal(table.ours, 1);
    assert_ok(look(sizeof(image), 3, "xw-0123456789abcdef", &table, &err));
    assert_true(table.found);
    assert_ok(look(end, 3, "min", &table, &err));
    assert_false(table.found);
    assert_ok(look(0, 0, "", &table, &err));
    assert_false(table.found);
    assert_int_equal(look(end, 4, "mine", &table, &err), -EBADMSG);
    assert_int_equal(look(end - 8, 3, "mine", &table, &err), -EBADMSG);
    put32(36, UINT32_MAX);
    assert_int_equal(look(sizeof(image), 3, "mine", &table, &err), -EBADMSG);
    assert_int_equal(look(sizeof(image), UINT32_MAX, "mine", &table, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_snapshots),
        cmocka_unit_test(fields_come_through),
        cmocka_unit_test(encryption_and_external_data_show),
        cmocka_unit_test(version_2_is_shorter),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(backing_name_has_limits),
        cmocka_unit_test(backing_format_is_found),
        cmocka_unit_test(empty_is_without_l2_tables),
        cmocka_unit_test(a_table_that_is_not_there),
    };

    return cmocka_run_group_tests_name("qcow2-header", tests, enter_folder, leave_folder);
}
