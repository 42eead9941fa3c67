/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/base/test.h"

#include <xenwright/snapshot.h>

#include "base/cleanup.h"
#include "snapshot/record.h"

#define ID "0123456789abcdef"

static void names_are_checked(void **state)
{
    static const char *const good[] = {"a", "Z", "0", "_", "a-b", "a.b", "before-upgrade.2", "_-."};
    static const char *const bad[] = {"",    ".",   "..",       ".a", "-a", "a/b",
                                      "a b", "a\n", "\xc3\xa4", "a%", "a:"};
    struct xw_error err = XW_ERROR_INIT;
    char name[XW_SNAPSHOT_NAME_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_ok(xw_snapshot_name_check(good[i], &err));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(xw_snapshot_name_check(bad[i], &err), -EINVAL);
        assert_says("cannot be the name of a snapshot");
    }
    memset(name, 'x', sizeof(name));
    name[64] = '\0';
    assert_ok(xw_snapshot_name_check(name, &err));
    name[64] = 'x';
    name[65] = '\0';
    assert_int_equal(xw_snapshot_name_check(name, &err), -EINVAL);
}

static void ids_are_checked(void **state)
{
    (void)state;
    assert_true(xw_snapshot_is_id(ID));
    assert_false(xw_snapshot_is_id(""));
    assert_false(xw_snapshot_is_id("0123456789abcde"));
    assert_false(xw_snapshot_is_id(ID "0"));
    assert_false(xw_snapshot_is_id("0123456789ABCDEF"));
    assert_false(xw_snapshot_is_id("../0123456789abc"));
}

static struct xw_snapshot *make(struct xw_snapshot_disk *disk)
{
    static struct xw_snapshot snapshot;
    static char description[] = "d";

    snapshot = (struct xw_snapshot){
        .id = ID, .name = "s1", .description = description, .created_ms = INT64_MAX,
        .standstill_us = -1, .consistency = XW_CONSISTENCY_MEMORY, .memory_bytes = INT64_MAX,
        .automatic = true, .disks = disk,
    };
    return &snapshot;
}

static void what_is_written_is_read(void **state)
{
    struct xw_snapshot_disk disk = {.vdev = (char[]){"xvda"}, .path = (char[]){"/i/a"},
                                    .format = (char[]){"raw"}, .store = (char[]){"reflink"},
                                    .data = (char[]){"/i/a.xw"}, .size = 7};
    xw_auto_json json_t *json = xw_snapshot_json(make(&disk));
    struct xw_error err = XW_ERROR_INIT;
    struct xw_snapshot *snapshot = NULL;

    (void)state;
    assert_non_null(json);
    assert_ok(xw_snapshot_parse(json, "r", &snapshot, &err));
    assert_string_equal(snapshot->id, ID);
    assert_string_equal(snapshot->parent, "");
    assert_string_equal(snapshot->name, "s1");
    assert_string_equal(snapshot->description, "d");
    assert_true(snapshot->created_ms == INT64_MAX && snapshot->memory_bytes == INT64_MAX);
    assert_int_equal(snapshot->standstill_us, -1);
    assert_int_equal(snapshot->consistency, XW_CONSISTENCY_MEMORY);
    assert_true(snapshot->automatic);
    assert_string_equal(snapshot->disks->store, "reflink");
    assert_string_equal(snapshot->disks->data, "/i/a.xw");
    assert_int_equal(snapshot->disks->size, 7);
    assert_null(snapshot->disks->next);
    xw_snapshot_free(snapshot);
}

/* Never a record that leaves something out. */
static void what_json_cannot_hold_is_no_record(void **state)
{
    struct xw_snapshot_disk disk = {.vdev = (char[]){"xvda"}, .path = (char[]){"/i/\xff"},
                                    .format = (char[]){"raw"}, .store = (char[]){"reflink"},
                                    .data = (char[]){"/i/\xff.xw"}, .size = 7};

    (void)state;
    assert_null(xw_snapshot_json(make(&disk)));
    assert_false(xw_record_can_hold("/i/\xff"));
    assert_true(xw_record_can_hold("/i/\xc3\xa4"));
    assert_true(xw_record_can_hold(""));
}

static void wrong_members_are_named(void **state)
{
    static const struct {
        const char *member, *value, *said;
    } wrong[] = {
        {"format", "2", "made by a later version of xenwright"},
        {"format", "0", "'format'"},
        {"id", "\"x\"", "'id': expected 16 hexadecimal digits"},
        {"id", "\"\"", "'id': expected 16 hexadecimal digits"},
        {"parent", "\"../../../../etc\"", "'parent': expected 16 hexadecimal digits"},
        {"name", "\"a/b\"", "'name': not the name of a snapshot"},
        {"created_ms", "-1", "'created_ms'"},
        {"standstill_us", "-2", "'standstill_us'"},
        {"consistency", "\"luck\"", "'consistency': unknown: 'luck'"},
        {"automatic", "1", "'automatic'"},
        {"disks", "{}", "'disks'"},
        {"disks", "[[]]", "'vdev'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        xw_auto_json json_t *json = xw_snapshot_json(make(NULL));
        struct xw_error err = XW_ERROR_INIT;
        struct xw_snapshot *snapshot = NULL;

        json_object_set_new(json, wrong[i].member,
                            json_loads(wrong[i].value, JSON_DECODE_ANY, NULL));
        assert_true(xw_snapshot_parse(json, "record r", &snapshot, &err) < 0);
        assert_says("record r");
        assert_says(wrong[i].said);
        assert_null(snapshot);
    }
}

static void found_by_name_before_id(void **state)
{
    struct xw_snapshot second = {.id = "ffffffffffffffff", .name = ID};
    struct xw_snapshot first = {.id = ID, .name = "s1", .next = &second};
    const struct xw_snapshot_vm vm = {.snapshots = &first};

    (void)state;
    assert_ptr_equal(xw_snapshot_find(&vm, "s1"), &first);
    assert_ptr_equal(xw_snapshot_find(&vm, ID), &second);
    assert_ptr_equal(xw_snapshot_find(&vm, "ffffffffffffffff"), &second);
    assert_null(xw_snapshot_find(&vm, "s"));
    assert_null(xw_snapshot_find(&vm, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(ids_are_checked),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_json_cannot_hold_is_no_record),
        cmocka_unit_test(wrong_members_are_named),
        cmocka_unit_test(found_by_name_before_id),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
