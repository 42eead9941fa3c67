/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of LVM's volumes, and what lvs says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/lvm.h"

static void assert_names(int rc, const struct xw_lvm_name *name, const char *vg, const char *lv)
{
    assert_int_equal(rc, 0);
    assert_string_equal(name->vg, vg);
    assert_string_equal(name->lv, lv);
}

static void test_names_of_device_mapper(void **state)
{
    static const char *const wrong[] = {
        "",          "vg",          "vg-",        "-lv",         "vg--lv",
        "vg-lv-cow", "vg-lv-tpool", "vg-lv-real", "control",     "v g-lv",
        "vg-l/v",    "vg----lv",    "vg-..",      "..-lv",       "---a-b",
    };
    struct xw_lvm_name name;

    (void)state;
    assert_names(xw_lvm_parse_dm_name("vg-lv", &name), &name, "vg", "lv");
    assert_names(xw_lvm_parse_dm_name("vg--x-lv--y", &name), &name, "vg-x", "lv-y");
    assert_names(xw_lvm_parse_dm_name("vg-lv.xw--0123456789abcdef", &name), &name, "vg",
                 "lv.xw-0123456789abcdef");
    assert_names(xw_lvm_parse_dm_name("a----b-c", &name), &name, "a--b", "c");
    assert_names(xw_lvm_parse_dm_name("v+_.g-l+_.v", &name), &name, "v+_.g", "l+_.v");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (xw_lvm_parse_dm_name(wrong[i], &name) != -EINVAL)
            fail_msg("'%s' was taken for '%s' in '%s'", wrong[i], name.lv, name.vg);
    }
}

static void test_paths(void **state)
{
    static const char *const wrong[] = {
        "/dev/sda", "/dev//lv", "/dev/vg/", "/dev/vg/a/b", "/dev/dm-3", "vg/lv", "/srv/vg/lv",
        "/dev/mapper/control", "/dev/vg/-lv",
    };
    struct xw_lvm_name name;

    (void)state;
    assert_names(xw_lvm_parse_path("/dev/vg/lv", &name), &name, "vg", "lv");
    assert_names(xw_lvm_parse_path("/dev/vg-x/lv-y", &name), &name, "vg-x", "lv-y");
    assert_names(xw_lvm_parse_path("/dev/mapper/vg--x-lv--y", &name), &name, "vg-x", "lv-y");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (xw_lvm_parse_path(wrong[i], &name) != -EINVAL)
            fail_msg("'%s' was taken for '%s' in '%s'", wrong[i], name.lv, name.vg);
    }
}

static void test_too_long_a_name_is_no_name(void **state)
{
    char text[300];
    struct xw_lvm_name name;

    (void)state;
    for (int length = 120; length < 140; length++) {
        memset(text, 'v', sizeof(text));
        snprintf(text + length, sizeof(text) - (size_t)length, "-lv");
        assert_int_equal(xw_lvm_parse_dm_name(text, &name), length < 128 ? 0 : -EINVAL);
    }
}

/* A device that is not there goes by its name alone, one that is none of LVM's keeps it. */
static void test_canonical_names(void **state)
{
    char path[PATH_MAX] = "/dev/mapper/no--such-lv--here";

    (void)state;
    xw_lvm_canonical(path);
    assert_string_equal(path, "/dev/no-such/lv-here");
    xw_lvm_canonical(path);
    assert_string_equal(path, "/dev/no-such/lv-here");
    strcpy(path, "/dev/null");
    xw_lvm_canonical(path);
    assert_string_equal(path, "/dev/null");
    strcpy(path, "/dev/mapper/control");
    xw_lvm_canonical(path);
    assert_string_equal(path, "/dev/mapper/control");
}

static int place(const char *path, struct xw_error *err)
{
    struct xw_store_disk *disk = xw_store_disk_new("xvda", path, "raw", "phy");
    int rc;

    assert_non_null(disk);
    strcpy(disk->id, "0123456789abcdef");
    rc = xw_lvm_place(disk, err);
    if (!rc) {
        char name[XW_LVM_NAME_SIZE], full[2 * XW_LVM_NAME_SIZE];

        assert_int_equal(strncmp(disk->data, path, strlen(path)), 0);
        assert_string_equal(disk->data + strlen(path), ".xw-0123456789abcdef");
        xw_lvm_data_name(disk, ".revert", name);
        assert_int_equal(strcmp(name + strlen(name) - 7, ".revert"), 0);
        xw_lvm_data_path(disk, ".old", full);
        assert_int_equal(strncmp(full, path + 5, strlen(path) - 5), 0);
    }
    xw_store_disk_free(disk);
    return rc;
}

/* 127 characters for device-mapper: "vg-" here, ".xw--" and 16 digits, ".revert", "-real". */
static void test_a_snapshot_has_to_have_room_for_its_name(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char path[300] = "/dev/vg/";

    (void)state;
    for (size_t length = 1; length < 130; length++) {
        bool fits = 3 + length + 5 + 16 + 7 + 5 <= 127;

        memset(path + 8, 'l', length);
        path[8 + length] = '\0';
        assert_int_equal(place(path, &err), fits ? 0 : -ENAMETOOLONG);
    }
    assert_non_null(strstr(err.message, "disk xvda: the name of its LV is too long"));
    /* A dash counts twice. */
    memset(path + 8, '-', 50);
    path[8] = 'l';
    path[8 + 50] = '\0';
    assert_int_equal(place(path, &err), -ENAMETOOLONG);
    path[8 + 46] = '\0';
    assert_int_equal(place(path, &err), 0);
}

static void test_words_of_a_list(void **state)
{
    (void)state;
    assert_true(xw_lvm_has_word("public,snapshot,thinsnapshot", "thinsnapshot"));
    assert_true(xw_lvm_has_word("public,snapshot,thinsnapshot", "snapshot"));
    assert_true(xw_lvm_has_word("thin,sparse", "thin"));
    assert_false(xw_lvm_has_word("public,origin,thinorigin", "thin"));
    assert_false(xw_lvm_has_word("public,thinsnapshot", "snapshot"));
    assert_false(xw_lvm_has_word("", "thin"));
}

/* As LVM 2.03.31 prints it, with the fields that are asked for. */
#define ROW(name, pool, layout, role, tags, active, open, invalid, size, origin, data, metadata)   \
    "{\"lv_name\":\"" name "\", \"pool_lv\":\"" pool "\", \"lv_layout\":\"" layout                 \
    "\", \"lv_role\":\"" role "\", \"lv_tags\":\"" tags "\", \"lv_health_status\":\"\", "          \
    "\"lv_active\":\"" active "\", \"lv_device_open\":\"" open "\", \"lv_snapshot_invalid\":\""    \
    invalid "\", \"lv_size\":\"" size "\", \"origin_size\":\"" origin                              \
    "\", \"vg_free\":\"1073741824\", \"vg_extent_size\":\"4194304\", \"data_percent\":\"" data     \
    "\", \"metadata_percent\":\"" metadata "\"}"

static const char report[] =
    "  {\n      \"report\": [\n          {\n              \"lv\": [\n"
    ROW("pool", "", "thin,pool", "private", "", "active", "", "unknown", "536870912", "", "12.05",
        "100.00") ",\n"
    ROW("web", "pool", "thin,sparse", "public,origin,thinorigin", "a,b", "active", "open",
        "unknown", "1073741824", "", "0.01", "") ",\n"
    ROW("thick.xw-1", "", "linear", "public,snapshot,thicksnapshot", "", "active", "",
        "snapshot invalid", "67108864", "1048576", "100.00", "")
    "\n ]\n }\n ]\n }\n";

static void test_a_report(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_lvm_volume *volumes;
    const struct xw_lvm_volume *volume;

    (void)state;
    if (xw_lvm_parse_report(report, strlen(report), &volumes, &err))
        fail_msg("%s", err.message);
    volume = xw_lvm_find(volumes, "pool");
    assert_non_null(volume);
    assert_int_equal(volume->data, 1205);
    assert_int_equal(volume->metadata, 10000);
    assert_int_equal(volume->size, 536870912);
    assert_int_equal(volume->vg_free, 1073741824);
    assert_false(volume->open);
    volume = xw_lvm_find(volumes, "web");
    assert_non_null(volume);
    assert_string_equal(volume->pool, "pool");
    assert_string_equal(volume->tags, "a,b");
    assert_true(volume->open);
    assert_true(volume->active);
    assert_false(volume->invalid);
    assert_int_equal(volume->data, 1);
    assert_int_equal(volume->metadata, -1);
    volume = xw_lvm_find(volumes, "thick.xw-1");
    assert_non_null(volume);
    assert_true(volume->invalid);
    assert_int_equal(volume->origin_size, 1048576);
    assert_null(xw_lvm_find(volumes, "we"));
    xw_lvm_volumes_free(volumes);
}

static void test_an_empty_report(void **state)
{
    static const char text[] = "{\"report\": [{\"lv\": []}]}";
    struct xw_error err = XW_ERROR_INIT;
    struct xw_lvm_volume *volumes;

    (void)state;
    assert_int_equal(xw_lvm_parse_report(text, strlen(text), &volumes, &err), 0);
    assert_null(volumes);
}

/* Cut off anywhere, or with another value in it, it is refused with a reason, never taken. */
static void test_reports_that_are_none(void **state)
{
    static const char *const wrong[][2] = {
        {"\"12.05\"", "\"12,05\""}, {"\"12.05\"", "\"12.5\""},  {"\"12.05\"", "\"-2.05\""},
        {"\"12.05\"", "\".05\""},   {"\"12.05\"", "12.05"},     {"536870912", "-5"},
        {"536870912", "512m"},      {"\"lv_name\"", "\"name\""}, {"\"lv\"", "\"vg\""},
        {"\"report\"", "\"log\""},
    };
    struct xw_lvm_volume *volumes;
    char text[sizeof(report) + 16];

    (void)state;
    for (size_t length = 0; length + 3 < strlen(report); length++) {
        struct xw_error err = XW_ERROR_INIT;

        assert_int_equal(xw_lvm_parse_report(report, length, &volumes, &err), -EBADMSG);
        assert_null(volumes);
        assert_non_null(strstr(err.message, "what lvs says"));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *at = strstr(report, wrong[i][0]);
        struct xw_error err = XW_ERROR_INIT;

        assert_non_null(at);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - report), report, wrong[i][1],
                 at + strlen(wrong[i][0]));
        if (xw_lvm_parse_report(text, strlen(text), &volumes, &err) != -EBADMSG)
            fail_msg("%s was taken in place of %s", wrong[i][1], wrong[i][0]);
        assert_null(volumes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_device_mapper),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_too_long_a_name_is_no_name),
        cmocka_unit_test(test_canonical_names),
        cmocka_unit_test(test_a_snapshot_has_to_have_room_for_its_name),
        cmocka_unit_test(test_words_of_a_list),
        cmocka_unit_test(test_a_report),
        cmocka_unit_test(test_an_empty_report),
        cmocka_unit_test(test_reports_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
