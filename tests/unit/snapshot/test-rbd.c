/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of RBD images, and what rbd and the kernel say of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "snapshot/rbd.h"

static void assert_path(const char *path, const char *pool, const char *space, const char *image)
{
    char again[XW_RBD_PATH_SIZE];
    struct xw_rbd_name name;

    if (xw_rbd_parse_path(path, &name))
        fail_msg("'%s' was refused", path);
    assert_string_equal(name.pool, pool);
    assert_string_equal(name.space, space);
    assert_string_equal(name.image, image);
    xw_rbd_path(&name, again);
    assert_string_equal(again, path);
}

static void test_paths(void **state)
{
    static const char *const wrong[] = {
        "/dev/rbd0",   "/dev/rbd/",      "/dev/rbd/p",    "/dev/rbd/p/",      "/dev/rbd//i",
        "/dev/sda",    "/dev/rbd/p/-i",  "/dev/rbd/-p/i", "/dev/rbd/p//i",    "/dev/rbd/p/n/m/i",
        "/dev/rbd/p/i@s", "/dev/rbd/p/..", "/dev/rbd/../i", "/dev/rbd/p/a b", "rbd/p/i",
    };
    struct xw_rbd_name name;

    (void)state;
    assert_path("/dev/rbd/rbd/vm-a", "rbd", "", "vm-a");
    assert_path("/dev/rbd/p.1/space/vm_a.root", "p.1", "space", "vm_a.root");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (xw_rbd_parse_path(wrong[i], &name) != -EINVAL)
            fail_msg("'%s' was taken for '%s' in '%s'", wrong[i], name.image, name.pool);
    }
}

static void test_too_long_a_name_is_no_name(void **state)
{
    char path[400] = "/dev/rbd/p/";
    struct xw_rbd_name name;
    size_t start = strlen(path);

    (void)state;
    memset(path + start, 'i', 256);
    path[start + 255] = '\0';
    assert_int_equal(xw_rbd_parse_path(path, &name), 0);
    path[start + 255] = 'i';
    assert_int_equal(xw_rbd_parse_path(path, &name), -EINVAL);
}

static void test_spec(void **state)
{
    struct xw_rbd_name name = {.pool = "p", .space = "n", .image = "i"};
    char spec[XW_RBD_PATH_SIZE];

    (void)state;
    xw_rbd_spec(&name, "", spec);
    assert_string_equal(spec, "p/n/i");
    name.space[0] = '\0';
    xw_rbd_spec(&name, "s", spec);
    assert_string_equal(spec, "p/i@s");
}

static void assert_config(const char *text, const char *user, const char *options)
{
    struct xw_rbd_mapping mapping;

    xw_rbd_parse_config(text, &mapping);
    assert_string_equal(mapping.user, user);
    assert_string_equal(mapping.options, options);
}

static void test_the_options_of_a_mapping(void **state)
{
    (void)state;
    assert_config("127.0.0.1:6789 name=admin rbd a -", "admin", "");
    assert_config("1.2.3.4:3300 ms_mode=prefer-crc,name=vm,key=client.vm,lock_on_read,_pool_ns=n "
                  "rbd a -", "vm", "ms_mode=prefer-crc,lock_on_read");
    assert_config("", "", "");
    assert_config("127.0.0.1:6789", "", "");
}

static void test_images(void **state)
{
    static const char text[] = "[\"a\", \"a.xw-old-1\"]";
    struct xw_rbd_entry *images = NULL;
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_int_equal(xw_rbd_parse_images(text, strlen(text), &images, &err), 0);
    assert_non_null(xw_rbd_entry_find(images, "a"));
    assert_non_null(xw_rbd_entry_find(images, "a.xw-old-1"));
    assert_null(xw_rbd_entry_find(images, "b"));
    xw_rbd_entries_free(images);
    assert_int_equal(xw_rbd_parse_images("[]", 2, &images, &err), 0);
    assert_null(images);
    assert_int_equal(xw_rbd_parse_images("[\"a\", 1]", 8, &images, &err), -EBADMSG);
    assert_null(images);
    assert_int_equal(xw_rbd_parse_images("{}", 2, &images, &err), -EBADMSG);
}

static void test_a_removed_snapshot_is_hidden(void **state)
{
    static const char text[] =
        "[{\"name\": \"xw-1\", \"namespace\": {\"type\": \"user\"}},"
        " {\"name\": \"f00\", \"namespace\": {\"type\": \"trash\"}}, {\"name\": \"old\"}]";
    struct xw_rbd_entry *snapshots = NULL;
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_int_equal(xw_rbd_parse_snapshots(text, strlen(text), &snapshots, &err), 0);
    assert_false(xw_rbd_entry_find(snapshots, "xw-1")->hidden);
    assert_true(xw_rbd_entry_find(snapshots, "f00")->hidden);
    assert_false(xw_rbd_entry_find(snapshots, "old")->hidden);
    xw_rbd_entries_free(snapshots);
}

static void test_info(void **state)
{
    static const char text[] = "{\"size\": 4096, \"id\": \"10f\", \"features\": [\"layering\"],"
                               " \"parent\": {\"pool\": \"p\", \"image\": \"i\"}}";
    static const char plain[] = "{\"size\": 1, \"id\": \"2\", \"features\": []}";
    struct xw_error err = XW_ERROR_INIT;
    struct xw_rbd_info info;

    (void)state;
    assert_int_equal(xw_rbd_parse_info(text, strlen(text), &info, &err), 0);
    assert_int_equal(info.size, 4096);
    assert_string_equal(info.id, "10f");
    assert_true(info.layering);
    assert_true(info.has_parent);
    assert_string_equal(info.parent.image, "i");
    assert_int_equal(xw_rbd_parse_info(plain, strlen(plain), &info, &err), 0);
    assert_false(info.layering);
    assert_false(info.has_parent);
    assert_int_equal(xw_rbd_parse_info("{\"size\": -1}", 12, &info, &err), -EBADMSG);
}

static void test_watchers_and_usage(void **state)
{
    static const char status[] = "{\"watchers\": [{\"client\": 1}, {\"client\": 2}]}";
    static const char df[] = "{\"total_used\": 5, \"total_space\": 100}";
    struct xw_error err = XW_ERROR_INIT;
    uint64_t used = 0, total = 0;
    size_t watchers = 0;

    (void)state;
    assert_int_equal(xw_rbd_parse_status(status, strlen(status), &watchers, &err), 0);
    assert_int_equal(watchers, 2);
    assert_int_equal(xw_rbd_parse_df(df, strlen(df), &used, &total, &err), 0);
    assert_int_equal(used, 5);
    assert_int_equal(total, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_too_long_a_name_is_no_name),
        cmocka_unit_test(test_spec),
        cmocka_unit_test(test_the_options_of_a_mapping),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_a_removed_snapshot_is_hidden),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_watchers_and_usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
