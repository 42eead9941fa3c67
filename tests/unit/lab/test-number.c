/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which number a lab gets: two that could ever run at once never have the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "lab/manifest.h"
#include "lab/record.h"
#include "lab/save-files.h"

static char folder[64];
static struct lab_place place;

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/xw-number-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    setenv("XENWRIGHT_CACHE", folder, 1);
    return lab_place_open(&place, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    lab_place_close(&place);
    return xw_file_remove_tree(AT_FDCWD, folder, NULL);
}

static struct lab_record record_of(const char *name, int number)
{
    struct lab_record record;

    lab_record_init(&record, name);
    record.number = number;
    record.machine.cpus = 2;
    record.machine.memory = 4096;
    snprintf(record.machine.accel, sizeof(record.machine.accel), "tcg");
    record.chain = json_array();
    record.disks = json_array();
    record.links = json_array();
    return record;
}

static void make_lab(const char *name, int number)
{
    struct lab_record record = record_of(name, number);

    assert_int_equal(xw_file_make_folders(place.labs, name, 0700, NULL), 0);
    assert_int_equal(lab_record_write(&place, &record, NULL), 0);
    lab_record_free(&record);
}

static void make_save(const char *name, const char *tag, int number)
{
    struct lab_record record = record_of(name, number);
    char path[LAB_SAVE_PATH_MAX + 16];
    json_t *manifest =
        json_pack("{s:i, s:s, s:i, s:o, s:{}}", "format", LAB_MANIFEST_FORMAT, "kind", "save",
                  "created", 1, "lab", lab_record_json(&record), "files");

    lab_save_path(name, tag, path);
    assert_int_equal(xw_file_make_folders(place.labs, path, 0700, NULL), 0);
    strcat(path, "/manifest.json");
    assert_int_equal(xw_json_write_file(place.labs, path, manifest, 0600, NULL), 0);
    json_decref(manifest);
    lab_record_free(&record);
}

static int chosen(const char *own)
{
    int number = -1;

    assert_int_equal(lab_number_choose(&place, own, &number, NULL), 0);
    return number;
}

static void test_first_free(void **state)
{
    (void)state;
    assert_int_equal(chosen("a"), 1);
    make_lab("a", 1);
    make_lab("b", 3);
    assert_int_equal(chosen("c"), 2);
}

static void test_own_stays(void **state)
{
    (void)state;
    make_lab("a", 1);
    make_lab("b", 2);
    assert_int_equal(chosen("b"), 2);
    make_save("a", "kept", 2);
    assert_int_equal(chosen("b"), 3);
}

static void test_saved_counts(void **state)
{
    (void)state;
    make_lab("a", 2);
    make_save("a", "kept", 1);
    assert_int_equal(chosen("b"), 3);
    assert_int_equal(chosen("a"), 2);
}

static void test_damaged_is_passed_over(void **state)
{
    (void)state;
    make_lab("a", 1);
    make_save("a", "kept", 2);
    assert_int_equal(xw_file_write(place.labs, "a/lab.json", "{", 1, 0600, NULL), 0);
    assert_int_equal(chosen("b"), 1);
    make_lab("b", 1);
    assert_int_equal(chosen("c"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_saved_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_is_passed_over, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
