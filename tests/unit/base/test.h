/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every test program of base/ includes first: cmocka with what it needs, and a few checks. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 0, and when it is not: the message that came with it. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        struct xw_error *shown = &err;                                                             \
        int got = (call);                                                                          \
        if (got != 0)                                                                              \
            fail_msg("%s: %d, %s", #call, got, shown->message);                                    \
    } while (0)

/* The message of the last error contains this. */
#define assert_says(part)                                                                          \
    do {                                                                                           \
        if (!strstr(err.message, part))                                                            \
            fail_msg("'%s' is not in '%s'", part, err.message);                                    \
    } while (0)

static char test_folder[] = "/tmp/xenwright-test-XXXXXX";

/* Group setup and teardown: work in an empty folder, remove it at the end. */
static inline int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(test_folder) && chdir(test_folder) == 0 ? 0 : -1;
}

static inline int leave_folder(void **state)
{
    (void)state;
    return chdir("/") == 0 ? xw_file_remove_tree(AT_FDCWD, test_folder, NULL) : -1;
}

/* A file with this content, mode 0644. */
static inline void put_file(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    close(fd);
}

/* The content of a file, terminated; the caller frees it. */
static inline char *get_file(const char *path)
{
    struct xw_buffer text = XW_BUFFER_INIT(1 << 20);

    assert_int_equal(xw_file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
    return xw_buffer_steal(&text);
}

#endif
