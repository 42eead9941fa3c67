/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/socket.h"

/* A folder whose path alone is longer than any socket address. */
static void deep_folder(char *out, size_t size)
{
    struct xw_error err = XW_ERROR_INIT;

    snprintf(out, size, "%s/%080d/%080d", test_folder, 1, 2);
    assert_ok(xw_file_make_folders(AT_FDCWD, out, 0700, &err));
}

static void talk(int dirfd, const char *path)
{
    struct xw_error err = XW_ERROR_INIT;
    int listener = -1, client = -1, server;
    struct stat st;
    char byte = 0;

    assert_ok(xw_socket_listen(dirfd, path, &listener, &err));
    assert_int_equal(fstatat(dirfd, path, &st, 0), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_ok(xw_socket_connect(dirfd, path, 1000, &client, &err));
    server = accept(listener, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(write(client, "x", 1), 1);
    assert_int_equal(read(server, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(fcntl(client, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(server);
    close(client);
    close(listener);
}

static void paths_short_and_long(void **state)
{
    char deep[300], path[400];
    int dirfd;

    (void)state;
    talk(AT_FDCWD, "short.sock");
    deep_folder(deep, sizeof(deep));
    snprintf(path, sizeof(path), "%s/monitor.sock", deep);
    talk(AT_FDCWD, path);
    dirfd = open(deep, O_PATH | O_CLOEXEC);
    assert_true(dirfd >= 0);
    talk(dirfd, "other.sock");
    assert_int_equal(chdir(deep), 0);
    talk(AT_FDCWD, "third.sock");
    assert_int_equal(chdir(test_folder), 0);
    close(dirfd);
}

static void nobody_there(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char name[201], deep[300], path[600];
    int fd = -1;

    (void)state;
    assert_int_equal(xw_socket_connect(AT_FDCWD, "absent", 100, &fd, &err), -ENOENT);
    assert_says("'absent'");
    put_file("plain", "", 0);
    assert_int_equal(xw_socket_connect(AT_FDCWD, "plain", 100, &fd, &err), -ECONNREFUSED);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(xw_socket_connect(AT_FDCWD, name, 100, &fd, &err), -ENAMETOOLONG);
    assert_says("the name is too long");
    deep_folder(deep, sizeof(deep));
    snprintf(path, sizeof(path), "%s/absent/s", deep);
    assert_int_equal(xw_socket_connect(AT_FDCWD, path, 100, &fd, &err), -ENOENT);
    assert_int_equal(xw_socket_connect(AT_FDCWD, "folder/", 100, &fd, &err), -EINVAL);
    assert_int_equal(fd, -1);
}

/* What is in use is not taken away; what was left behind by a dead process is. */
static void stale_sockets_are_replaced(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int first = -1, second = -1;

    (void)state;
    assert_ok(xw_socket_listen(AT_FDCWD, "taken", &first, &err));
    assert_int_equal(xw_socket_listen(AT_FDCWD, "taken", &second, &err), -EADDRINUSE);
    assert_says("another process listens");
    close(first);
    assert_ok(xw_socket_listen(AT_FDCWD, "taken", &second, &err));
    close(second);
    put_file("data", "kept", 4);
    assert_int_equal(xw_socket_listen(AT_FDCWD, "data", &second, &err), -EADDRINUSE);
    assert_int_equal(access("data", F_OK), 0);
}

/* A listener that never accepts: connecting fills its backlog and must then give up in time. */
static void full_backlog_times_out(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int listener, clients[8], count = 0, rc = 0;
    int64_t start;

    (void)state;
    assert_ok(xw_socket_listen(AT_FDCWD, "full", &listener, &err));
    assert_int_equal(listen(listener, 1), 0);
    while (rc == 0 && count < (int)COUNT(clients)) {
        start = xw_clock_ms();
        rc = xw_socket_connect(AT_FDCWD, "full", 50, &clients[count], &err);
        count += rc == 0;
    }
    assert_int_equal(rc, -ETIMEDOUT);
    assert_in_range(xw_clock_ms() - start, 40, 10000);
    while (count > 0)
        close(clients[--count]);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_short_and_long),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(stale_sockets_are_replaced),
        cmocka_unit_test(full_backlog_times_out),
    };

    return cmocka_run_group_tests_name("socket", tests, enter_folder, leave_folder);
}
