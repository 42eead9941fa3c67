/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/base/test.h"

#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "host/file-users.h"

/* A child that has `path` open until it is ended; named "holder". */
static pid_t hold(const char *path, int flags)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(path, flags | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "holder");
        if (fd < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void nobody_has_it(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_file_user user;
    int own;

    (void)state;
    put_file("free", "x", 1);
    assert_ok(xw_file_user("free", &user, &err));
    own = open("free", O_RDWR | O_CLOEXEC);
    assert_ok(xw_file_user("free", &user, &err)); /* this process does not count */
    close(own);
    assert_int_equal(xw_file_user("absent", &user, &err), -ENOENT);
    assert_says("'absent'");
}

static void a_child_has_it(void **state)
{
    static const int flags[] = {O_RDWR, O_RDONLY, O_PATH};
    struct xw_error err = XW_ERROR_INIT;
    struct xw_file_user user;

    (void)state;
    put_file("held", "x", 1);
    put_file("other", "x", 1);
    assert_int_equal(symlink("held", "link"), 0);
    assert_int_equal(link("held", "second"), 0);
    for (size_t i = 0; i < COUNT(flags); i++) {
        pid_t pid = hold("held", flags[i]);

        assert_int_equal(xw_file_user("held", &user, &err), 1);
        assert_int_equal(user.pid, pid);
        assert_string_equal(user.name, "holder");
        assert_int_equal(xw_file_user("link", NULL, &err), 1);
        assert_int_equal(xw_file_user("second", NULL, &err), 1);
        assert_int_equal(xw_file_user("other", NULL, &err), 0);
        end(pid);
        assert_int_equal(xw_file_user("held", NULL, &err), 0);
    }
}

/* The name that was opened may lead to something else by now. */
static void found_by_the_file_not_its_name(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    pid_t pid;

    (void)state;
    put_file("image", "x", 1);
    pid = hold("image", O_RDWR);
    assert_int_equal(link("image", "image.old"), 0);
    put_file("image.new", "y", 1);
    assert_int_equal(rename("image.new", "image"), 0);
    assert_int_equal(xw_file_user("image", NULL, &err), 0);
    assert_int_equal(xw_file_user("image.old", NULL, &err), 1);
    end(pid);
}

/* A free loop device, until it is closed, on `file`; its number, or -1 with the reason printed. */
static int attach(const char *file, int *ret_fd)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int backing = open(file, O_RDWR | O_CLOEXEC);
    int number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
    struct loop_info64 info = {.lo_flags = LO_FLAGS_AUTOCLEAR};
    char path[32];

    snprintf(path, sizeof(path), "/dev/loop%d", number);
    *ret_fd = number >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (*ret_fd < 0 || ioctl(*ret_fd, LOOP_SET_FD, backing) < 0 ||
        ioctl(*ret_fd, LOOP_SET_STATUS64, &info) < 0) {
        print_message("# no loop device: %s\n", strerror(errno));
        number = -1;
    }
    close(control);
    close(backing);
    return number;
}

static void a_loop_device_has_it(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_file_user user;
    char name[32];
    int fd, number;

    (void)state;
    put_file("beneath", "", 0);
    assert_int_equal(truncate("beneath", 1 << 20), 0);
    number = attach("beneath", &fd);
    if (number < 0)
        skip();
    snprintf(name, sizeof(name), "loop%d", number);
    assert_int_equal(xw_file_user("beneath", &user, &err), 1);
    assert_int_equal(user.pid, 0);
    assert_string_equal(user.name, name);
    /* As during a revert: another file takes the name, the old one has another. */
    assert_int_equal(link("beneath", "beneath.old"), 0);
    put_file("beneath.new", "", 0);
    assert_int_equal(rename("beneath.new", "beneath"), 0);
    assert_int_equal(xw_file_user("beneath.old", &user, &err), 1);
    assert_string_equal(user.name, name);
    assert_int_equal(xw_file_user("beneath", NULL, &err), 0);
    close(fd);
    assert_int_equal(xw_file_user("beneath.old", NULL, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_it),
        cmocka_unit_test(a_child_has_it),
        cmocka_unit_test(found_by_the_file_not_its_name),
        cmocka_unit_test(a_loop_device_has_it),
    };

    return cmocka_run_group_tests_name("file-users", tests, enter_folder, leave_folder);
}
