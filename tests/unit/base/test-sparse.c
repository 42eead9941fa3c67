/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sys/mman.h>

#include "base/sparse.h"

#define MIB (1 << 20)

/* A file of 32 MiB with data at 1 MiB + 3, 8 MiB and in its last byte, holes (or zeros) between. */
static int make_sparse(const char *path, bool filled)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    static char data[100000];

    assert_true(fd >= 0);
    if (filled) {
        memset(data, 0, sizeof(data));
        for (off_t at = 0; at < 32 * MIB; at += 65536)
            assert_int_equal(pwrite(fd, data, 65536, at), 65536);
    }
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + 1);
    assert_int_equal(ftruncate(fd, 32 * MIB), 0);
    assert_int_equal(pwrite(fd, data, sizeof(data), MIB + 3), sizeof(data));
    assert_int_equal(pwrite(fd, data, sizeof(data), 8 * MIB), sizeof(data));
    assert_int_equal(pwrite(fd, "e", 1, 32 * MIB - 1), 1);
    fsync(fd);
    return fd;
}

static blkcnt_t blocks(int fd)
{
    struct stat st;

    fsync(fd);
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_blocks;
}

static void assert_same_content(const char *a, const char *b)
{
    static char left[MIB], right[MIB];
    int first = open(a, O_RDONLY | O_CLOEXEC), second = open(b, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    do {
        n = read(first, left, sizeof(left));
        assert_true(n >= 0);
        assert_int_equal(read(second, right, sizeof(right)), n);
        assert_memory_equal(left, right, n);
    } while (n > 0);
    close(first);
    close(second);
}

static void last_report(void *opaque, uint64_t done, uint64_t total)
{
    uint64_t *seen = opaque;

    assert_true(done >= seen[0]);
    seen[0] = done;
    seen[1] = total;
}

static void copy_keeps_holes(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int from = make_sparse("from", false);
    int to = open("to", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    uint64_t seen[2] = {0, 0};

    (void)state;
    assert_int_equal(pwrite(to, "rubbish", 7, 5 * MIB), 7);
    assert_int_equal(pwrite(to, "rubbish", 7, 40 * MIB), 7);
    assert_ok(xw_sparse_copy(from, to, last_report, seen, &err));
    assert_same_content("from", "to");
    assert_int_equal(seen[0], 32 * MIB);
    assert_int_equal(seen[1], 32 * MIB);
    assert_true(blocks(to) <= blocks(from) + 64);
    close(from);
    close(to);
}

/*
 * Between file systems there is no in-kernel copy on older kernels: a memory file stands for that.
 */
static void copy_between_file_systems(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int from = make_sparse("from", false);
    int to = memfd_create("to", MFD_CLOEXEC);
    char path[32];

    (void)state;
    assert_ok(xw_sparse_copy(from, to, NULL, NULL, &err));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
    assert_same_content("from", path);
    assert_true(blocks(to) < 2048);
    close(to);
    to = open("from", O_RDONLY | O_CLOEXEC);
    assert_int_equal(xw_sparse_copy(from, to, NULL, NULL, &err), -EINVAL);
    close(to);
    close(from);
}

static void zeros_are_freed(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int sparse = make_sparse("sparse", false), filled = make_sparse("filled", true);
    uint64_t freed = 1;

    (void)state;
    assert_true(blocks(filled) >= 32 * MIB / 512);
    assert_ok(xw_sparse_punch(filled, &freed, &err));
    /* All but the five blocks of 64 KiB with data in them. */
    assert_int_equal(freed, 32 * MIB - 5 * 65536);
    assert_true(blocks(filled) <= blocks(sparse) + 1024);
    assert_same_content("sparse", "filled");
    close(sparse);
    close(filled);
}

static void hash_is_of_the_content(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char a[XW_HASH_TEXT_SIZE], b[XW_HASH_TEXT_SIZE];
    int sparse = make_sparse("sparse", false), filled = make_sparse("filled", true);

    (void)state;
    assert_ok(xw_hash_file(AT_FDCWD, "sparse", a, &err));
    assert_ok(xw_hash_file(AT_FDCWD, "filled", b, &err));
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
    assert_string_equal(a, b);
    /* One bit, a move of a block, and the length alone: each must show. */
    assert_int_equal(pwrite(filled, "\1", 1, 20 * MIB), 1);
    assert_ok(xw_hash_file(AT_FDCWD, "filled", b, &err));
    assert_string_not_equal(a, b);
    assert_int_equal(pwrite(filled, "\0", 1, 20 * MIB), 1);
    assert_int_equal(ftruncate(filled, 32 * MIB + 1), 0);
    assert_ok(xw_hash_file(AT_FDCWD, "filled", b, &err));
    assert_string_not_equal(a, b);
    assert_int_equal(ftruncate(filled, 0), 0);
    assert_int_equal(ftruncate(filled, 4 * MIB), 0);
    assert_int_equal(pwrite(filled, "block", 5, MIB), 5);
    assert_ok(xw_hash_file(AT_FDCWD, "filled", a, &err));
    assert_int_equal(pwrite(filled, "\0\0\0\0\0", 5, MIB), 5);
    assert_int_equal(pwrite(filled, "block", 5, 2 * MIB), 5);
    assert_ok(xw_hash_file(AT_FDCWD, "filled", b, &err));
    assert_string_not_equal(a, b);
    assert_int_equal(xw_hash_file(AT_FDCWD, ".", b, &err), -EINVAL);
    assert_int_equal(xw_hash_file(AT_FDCWD, "absent", b, &err), -ENOENT);
    close(sparse);
    close(filled);
    /* The known value of XXH3-128 of nothing: other programs can compute the same. */
    xw_hash_bytes("", 0, a);
    assert_string_equal(a, "99aa06d3014798d86001c324468d497f");
}

static void fingerprint_sees_changes(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct timespec times[2] = {{0, UTIME_OMIT}, {1000000000, 123456789}};
    struct xw_fingerprint a, b;

    (void)state;
    put_file("print", "abc", 3);
    assert_int_equal(utimensat(AT_FDCWD, "print", times, 0), 0);
    assert_ok(xw_fingerprint_of(AT_FDCWD, "print", &a, &err));
    assert_int_equal(a.size, 3);
    assert_int_equal(a.mtime_ns, 1000000000123456789);
    times[1].tv_nsec++;
    assert_int_equal(utimensat(AT_FDCWD, "print", times, 0), 0);
    assert_ok(xw_fingerprint_of(AT_FDCWD, "print", &b, &err));
    assert_true(xw_fingerprint_equal(&a, &a));
    assert_false(xw_fingerprint_equal(&a, &b));
    assert_int_equal(xw_fingerprint_of(AT_FDCWD, "absent", &a, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_keeps_holes),
        cmocka_unit_test(copy_between_file_systems),
        cmocka_unit_test(zeros_are_freed),
        cmocka_unit_test(hash_is_of_the_content),
        cmocka_unit_test(fingerprint_sees_changes),
    };

    return cmocka_run_group_tests_name("sparse", tests, enter_folder, leave_folder);
}
