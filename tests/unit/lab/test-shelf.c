/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is made again has another name, and what is set aside stays for those who stand on it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/lock.h"
#include "lab/manifest.h"
#include "lab/prune.h"
#include "lab/record.h"
#include "lab/shelf.h"

static char cache[] = "/tmp/xw-shelf-XXXXXX";
static struct lab_place place;
static struct lab_shelf images, states;

static int set_up(void **state)
{
    (void)state;
    strcpy(cache + strlen(cache) - 6, "XXXXXX");
    if (!mkdtemp(cache))
        return -1;
    setenv("XENWRIGHT_CACHE", cache, 1);
    if (lab_place_open(&place, NULL) != 0)
        return -1;
    images = lab_shelf_images(&place);
    states = lab_shelf_states(&place);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lab_place_close(&place);
    return xw_file_remove_tree(AT_FDCWD, cache, NULL);
}

/* A folder with one file, put on the shelf. */
static void put(const struct lab_shelf *shelf, const char *sort, const char *file,
                const char *image, char key[LAB_KEY_MAX])
{
    const char *const files[] = {file, NULL};
    xw_auto_json json_t *manifest = json_pack("{s:i, s:s}", "format", LAB_MANIFEST_FORMAT, "image",
                                              image);
    char path[64];

    assert_int_equal(xw_file_make_folders(place.cache, "tmp/new", 0700, NULL), 0);
    snprintf(path, sizeof(path), "tmp/new/%s", file);
    assert_int_equal(xw_file_write(place.cache, path, "content", 7, 0600, NULL), 0);
    assert_int_equal(lab_shelf_put(&place, shelf, "tmp/new", sort, manifest, files, key, NULL), 0);
}

static void cut_off(const struct lab_shelf *shelf, const char *key, const char *file)
{
    char path[LAB_KEY_MAX + 64];

    snprintf(path, sizeof(path), "%s/%ss/%s/%s", cache, shelf->kind, key, file);
    assert_int_equal(truncate(path, 3), 0);
}

static bool is_there(const struct lab_shelf *shelf, const char *key)
{
    return faccessat(shelf->folder, key, F_OK, 0) == 0;
}

static void test_what_is_made_again_has_another_name(void **state)
{
    char first[LAB_KEY_MAX], second[LAB_KEY_MAX], found[LAB_KEY_MAX];

    (void)state;
    assert_int_equal(lab_shelf_find(&states, "trixie-1", true, found), -ENOENT);
    put(&states, "trixie-1", "disk.qcow2", "trixie-0", first);
    assert_int_equal(lab_shelf_find(&states, "trixie-1", true, found), 0);
    assert_string_equal(found, first);
    assert_int_equal(lab_shelf_find(&states, "trixie-", true, found), -ENOENT);
    cut_off(&states, first, "disk.qcow2");
    /* To look alone changes nothing. */
    assert_int_equal(lab_shelf_find(&states, "trixie-1", false, found), -ENOENT);
    assert_false(lab_shelf_is_aside(&states, first));
    assert_int_equal(lab_shelf_find(&states, "trixie-1", true, found), -ENOENT);
    assert_true(lab_shelf_is_aside(&states, first));
    put(&states, "trixie-1", "disk.qcow2", "trixie-0", second);
    assert_string_not_equal(first, second);
    assert_true(is_there(&states, first));
    assert_int_equal(lab_shelf_find(&states, "trixie-1", true, found), 0);
    assert_string_equal(found, second);
}

static void test_a_later_version_is_left_alone(void **state)
{
    static const char later[] = "{\"format\": 99}";
    char key[LAB_KEY_MAX], found[LAB_KEY_MAX], path[LAB_KEY_MAX + 32];

    (void)state;
    put(&states, "trixie-1", "disk.qcow2", "trixie-0", key);
    snprintf(path, sizeof(path), "%s/manifest.json", key);
    assert_int_equal(xw_file_write(states.folder, path, later, strlen(later), 0600, NULL), 0);
    assert_int_equal(lab_shelf_find(&states, "trixie-1", true, found), -ENOENT);
    assert_false(lab_shelf_is_aside(&states, key));
}

static void test_a_file_is_looked_at(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char key[LAB_KEY_MAX], wanted[LAB_KEY_MAX + 64];

    (void)state;
    put(&images, "trixie-1", "dom0.qcow2", "", key);
    assert_int_equal(lab_shelf_check_file(&images, key, "dom0.qcow2", &err), 0);
    cut_off(&images, key, "dom0.qcow2");
    assert_int_equal(lab_shelf_check_file(&images, key, "dom0.qcow2", &err), -EBADMSG);
    snprintf(wanted, sizeof(wanted), "images/%s: dom0.qcow2 is damaged: it has 3 bytes, not 7",
             key);
    assert_string_equal(err.message, wanted);
    assert_int_equal(lab_shelf_check_file(&images, "trixie-2", "dom0.qcow2", &err), -ENOENT);
    assert_string_equal(err.message, "images/trixie-2: No such file or directory");
}

/* A lab that is down, but for its saved states, and stands on this image and state. */
static void make_lab(const char *name, const char *image, const char *state)
{
    struct lab_record record;

    lab_record_init(&record, name);
    record.number = 1;
    record.machine = (struct lab_machine){.cpus = 2, .memory = 4096, .accel = "tcg"};
    snprintf(record.image, sizeof(record.image), "%s", image);
    snprintf(record.state, sizeof(record.state), "%s", state);
    record.chain = json_array();
    record.disks = json_array();
    record.links = json_array();
    assert_int_equal(xw_file_make_folders(place.labs, name, 0700, NULL), 0);
    assert_int_equal(lab_record_write(&place, &record, NULL), 0);
    lab_record_free(&record);
}

static void test_what_a_lab_stands_on_stays(void **state)
{
    char image[LAB_KEY_MAX], used[LAB_KEY_MAX], unused[LAB_KEY_MAX], whole[LAB_KEY_MAX];
    xw_auto_json json_t *removed = NULL;

    (void)state;
    put(&images, "trixie-1", "dom0.qcow2", "", image);
    put(&states, "trixie-2", "disk.qcow2", image, used);
    put(&states, "trixie-3", "disk.qcow2", image, unused);
    put(&states, "trixie-4", "disk.qcow2", image, whole);
    make_lab("a", image, used);
    lab_shelf_damaged(&images, image, "for a test", true);
    lab_shelf_damaged(&states, used, "for a test", true);
    lab_shelf_damaged(&states, unused, "for a test", true);
    assert_int_equal(lab_prune(&place, true, false, &removed, NULL), 0);
    assert_int_equal(json_array_size(removed), 2);
    assert_true(is_there(&images, image));
    assert_true(is_there(&states, used));
    assert_false(is_there(&states, unused));
    assert_false(is_there(&states, whole)); /* nothing is made of its image any more */
}

static void make_folder(const char *path)
{
    assert_int_equal(xw_file_make_folders(place.cache, path, 0700, NULL), 0);
}

static void hold(struct xw_lock *lock, const char *path)
{
    assert_int_equal(xw_lock_take(lock, place.cache, path, XW_LOCK_EXCLUSIVE, 0, NULL), 0);
}

static void test_remains_go_when_nobody_is_at_work(void **state)
{
    static const char *const gone[] = {"states/.new-trixie-1", "labs/.state-1", "labs/.failed-a",
                                       "tmp/image-1", "tmp/mmdebstrap.1"};
    xw_auto_json json_t *removed = NULL, *listed = NULL;
    struct xw_lock builder = XW_LOCK_INIT, qemu = XW_LOCK_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
        make_folder(gone[i]);
    make_folder("tmp/image-2");
    make_folder("labs/.state-2");
    hold(&builder, "tmp/image-2.lock");
    hold(&qemu, "labs/.state-2/alive");
    assert_int_equal(lab_prune(&place, false, true, &listed, NULL), 0);
    assert_int_equal(lab_prune(&place, false, false, &removed, NULL), 0);
    assert_true(json_equal(listed, removed));
    assert_int_equal(json_array_size(removed), sizeof(gone) / sizeof(*gone));
    for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++) {
        const json_t *row = json_array_get(removed, i);

        assert_string_equal(json_string_value(json_object_get(row, "kind")), "remains");
        assert_string_equal(json_string_value(json_object_get(row, "key")), gone[i]);
        assert_int_equal(faccessat(place.cache, gone[i], F_OK, 0), -1);
    }
    assert_int_equal(faccessat(place.cache, "tmp/image-2", F_OK, 0), 0);
    assert_int_equal(faccessat(place.cache, "labs/.state-2", F_OK, 0), 0);
    xw_lock_release(&builder);
    xw_lock_release(&qemu);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_made_again_has_another_name),
        TEST(test_a_later_version_is_left_alone),
        TEST(test_a_file_is_looked_at),
        TEST(test_what_a_lab_stands_on_stays),
        TEST(test_remains_go_when_nobody_is_at_work),
    };

    return cmocka_run_group_tests_name("shelf", tests, NULL, NULL);
}
