/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <dirent.h>
#include <limits.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/random.h"

static int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = -2; /* . and .. */

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void read_has_limits(void **state)
{
    struct xw_buffer b = XW_BUFFER_INIT(10);
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    put_file("ten", "0123456789", 10);
    assert_ok(xw_file_read(AT_FDCWD, "ten", 10, &b, &err));
    assert_string_equal(b.data, "0123456789");
    xw_buffer_clear(&b);
    assert_int_equal(xw_file_read(AT_FDCWD, "ten", 9, &b, &err), -EFBIG);
    assert_says("'ten' is larger than the 9 bytes");
    assert_int_equal(xw_file_read(AT_FDCWD, "absent", 9, &b, &err), -ENOENT);
    assert_int_equal(xw_file_read(AT_FDCWD, ".", 9, &b, &err), -EISDIR);
    xw_buffer_clear(&b);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_ok(xw_file_read(AT_FDCWD, "pipe", 9, &b, &err));
    assert_int_equal(b.length, 0);
    xw_buffer_free(&b);
}

static void write_replaces_whole(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct stat before, after;
    char *text, name[260];
    mode_t mask = umask(077);

    (void)state;
    assert_int_equal(mkdir("w", 0755), 0);
    put_file("w/file", "old", 3);
    assert_int_equal(stat("w/file", &before), 0);
    assert_ok(xw_file_write(AT_FDCWD, "w/file", "new", 3, 0644, &err));
    assert_int_equal(stat("w/file", &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(after.st_mode & 07777, 0644);
    text = get_file("w/file");
    assert_string_equal(text, "new");
    free(text);
    umask(mask);

    memset(name, 'n', sizeof(name));
    memcpy(name, "w/", 2);
    name[2 + NAME_MAX] = '\0';
    assert_ok(xw_file_write(AT_FDCWD, name, "", 0, 0600, &err));
    assert_int_equal(xw_file_write(AT_FDCWD, "w/absent/file", "x", 1, 0600, &err), -ENOENT);
    assert_says("cannot write 'w/absent/file'");
    assert_int_equal(xw_file_write(AT_FDCWD, "w/", "x", 1, 0600, &err), -EISDIR);
    assert_int_equal(entries("w"), 2);
}

/* A write that fails leaves the old content and no temporary file. */
static void failed_write_leaves_the_old(void **state)
{
    struct rlimit small = {100, RLIM_INFINITY}, before;
    struct xw_error err = XW_ERROR_INIT;
    char big[1000] = {0}, *text;
    int rc;

    (void)state;
    assert_int_equal(mkdir("f", 0755), 0);
    put_file("f/file", "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rc = xw_file_write(AT_FDCWD, "f/file", big, sizeof(big), 0644, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, -EFBIG);
    text = get_file("f/file");
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(entries("f"), 1);
}

static void folders_are_made(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct stat st;
    int dirfd;

    (void)state;
    assert_ok(xw_file_make_folders(AT_FDCWD, "a/b//c/", 0750, &err));
    assert_ok(xw_file_make_folders(AT_FDCWD, "a/b/c", 0750, &err));
    assert_int_equal(stat("a/b/c", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    dirfd = open("a", O_PATH | O_CLOEXEC);
    assert_ok(xw_file_make_folders(dirfd, "x/y", 0700, &err));
    close(dirfd);
    assert_int_equal(stat("a/x/y", &st), 0);
    put_file("a/plain", "", 0);
    assert_int_equal(xw_file_make_folders(AT_FDCWD, "a/plain/d", 0700, &err), -ENOTDIR);
    assert_says("'a/plain'");
    assert_int_equal(xw_file_make_folders(AT_FDCWD, "a/plain", 0700, &err), -ENOTDIR);
    assert_int_equal(xw_file_make_folders(AT_FDCWD, "", 0700, &err), -EINVAL);
}

static void trees_are_removed_and_links_are_not_followed(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char outside[PATH_MAX];

    (void)state;
    assert_ok(xw_file_make_folders(AT_FDCWD, "outside/in", 0700, &err));
    put_file("outside/in/kept", "k", 1);
    assert_ok(xw_file_make_folders(AT_FDCWD, "tree/a/b", 0700, &err));
    put_file("tree/a/file", "", 0);
    snprintf(outside, sizeof(outside), "%s/outside", test_folder);
    assert_int_equal(symlink(outside, "tree/a/absolute"), 0);
    assert_int_equal(symlink("../../outside", "tree/a/relative"), 0);
    assert_int_equal(symlink("outside", "link"), 0);
    assert_int_equal(chmod("tree/a/b", 0), 0);
    assert_int_equal(chmod("tree/a", 0500), 0);

    assert_ok(xw_file_remove_tree(AT_FDCWD, "tree", &err));
    assert_int_equal(access("tree", F_OK), -1);
    assert_ok(xw_file_remove_tree(AT_FDCWD, "link/", &err));
    assert_int_equal(readlink("link", outside, sizeof(outside)), -1);
    assert_int_equal(access("outside/in/kept", F_OK), 0);
    assert_ok(xw_file_remove_tree(AT_FDCWD, "outside/in/kept", &err));
    assert_ok(xw_file_remove_tree(AT_FDCWD, "never-there", &err));
    assert_int_equal(xw_file_remove_tree(AT_FDCWD, "outside/..", &err), -EINVAL);
    assert_int_equal(xw_file_remove_tree(AT_FDCWD, ".", &err), -EINVAL);
    assert_int_equal(access("outside", F_OK), 0);
}

static void depth_is_limited(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char deep[2 * 300 + 1] = "";

    (void)state;
    for (int i = 0; i < 300; i++)
        strcat(deep, "d/");
    assert_ok(xw_file_make_folders(AT_FDCWD, deep, 0700, &err));
    assert_int_equal(xw_file_remove_tree(AT_FDCWD, "d", &err), -ELOOP);
    assert_says("256 levels");
    deep[2 * 100 - 1] = '\0';
    assert_ok(xw_file_remove_tree(AT_FDCWD, deep, &err));
    assert_ok(xw_file_remove_tree(AT_FDCWD, "d", &err));
}

static void deadlines_and_random(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char a[17], b[17];

    (void)state;
    assert_int_equal(xw_deadline_left(xw_deadline(-1)), -1);
    assert_int_equal(xw_deadline_left(xw_deadline(0)), 0);
    assert_in_range(xw_deadline_left(xw_deadline(100000)), 90000, 100000);
    assert_int_equal(xw_deadline_left(xw_clock_ms() - 5), 0);
    assert_ok(xw_random_hex(a, 16, &err));
    assert_ok(xw_random_hex(b, 16, &err));
    assert_int_equal(strspn(a, "0123456789abcdef"), 16);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_has_limits),
        cmocka_unit_test(write_replaces_whole),
        cmocka_unit_test(failed_write_leaves_the_old),
        cmocka_unit_test(folders_are_made),
        cmocka_unit_test(trees_are_removed_and_links_are_not_followed),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(deadlines_and_random),
    };

    return cmocka_run_group_tests_name("file", tests, enter_folder, leave_folder);
}
