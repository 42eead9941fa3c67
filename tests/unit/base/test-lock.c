/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <signal.h>

#include "base/clock.h"
#include "base/lock.h"

#define LATE 10000 /* ms: for what must not time out */

/*
 * A child that takes the lock, says so with one byte, and holds it until it is killed or, with
 * `release`, until it reads a byte.
 */
struct holder {
    pid_t pid;
    int from, to;
};

static struct holder start_holder(const char *path, enum xw_lock_kind kind)
{
    int up[2], down[2];
    struct holder holder;
    char byte;

    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    holder.pid = fork();
    if (holder.pid == 0) {
        struct xw_lock lock = XW_LOCK_INIT;

        close(down[1]);
        if (xw_lock_take(&lock, AT_FDCWD, path, kind, 0, NULL) < 0)
            _exit(1);
        if (write(up[1], "L", 1) != 1 || read(down[0], &byte, 1) < 0)
            _exit(1);
        xw_lock_release(&lock);
        pause();
    }
    close(up[1]);
    close(down[0]);
    assert_int_equal(read(up[0], &byte, 1), 1);
    holder.from = up[0];
    holder.to = down[1];
    return holder;
}

static void end_holder(struct holder *holder)
{
    kill(holder->pid, SIGKILL);
    waitpid(holder->pid, NULL, 0);
    close(holder->from);
    close(holder->to);
}

static void one_holder_at_a_time(void **state)
{
    struct xw_lock a = XW_LOCK_INIT, b = XW_LOCK_INIT;
    struct xw_error err = XW_ERROR_INIT;
    char mine[32];
    pid_t pid = -1;

    (void)state;
    assert_false(xw_lock_is_held(AT_FDCWD, "one", &pid));
    assert_int_equal(access("one", F_OK), -1);
    assert_ok(xw_lock_take(&a, AT_FDCWD, "one", XW_LOCK_EXCLUSIVE, 0, &err));
    assert_true(xw_lock_is_held(AT_FDCWD, "one", &pid));
    assert_int_equal(pid, getpid());
    assert_int_equal(xw_lock_take(&b, AT_FDCWD, "one", XW_LOCK_EXCLUSIVE, 0, &err), -EBUSY);
    snprintf(mine, sizeof(mine), "locked by process %d;", (int)getpid());
    assert_says(mine);
    assert_int_equal(xw_lock_take(&b, AT_FDCWD, "one", XW_LOCK_SHARED, 20, &err), -EBUSY);
    xw_lock_release(&a);
    xw_lock_release(&a);
    assert_false(xw_lock_is_held(AT_FDCWD, "one", &pid));
    assert_int_equal(pid, 0);
    assert_ok(xw_lock_take(&b, AT_FDCWD, "one", XW_LOCK_EXCLUSIVE, 0, &err));
    xw_lock_release(&b);
    assert_int_equal(xw_lock_take(&b, AT_FDCWD, "absent/one", XW_LOCK_SHARED, 0, &err), -ENOENT);
}

static void readers_share(void **state)
{
    struct xw_lock a = XW_LOCK_INIT, b = XW_LOCK_INIT, c = XW_LOCK_INIT;
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_ok(xw_lock_take(&a, AT_FDCWD, "shared", XW_LOCK_SHARED, 0, &err));
    assert_ok(xw_lock_take(&b, AT_FDCWD, "shared", XW_LOCK_SHARED, 0, &err));
    assert_false(xw_lock_is_held(AT_FDCWD, "shared", NULL));
    assert_int_equal(xw_lock_take(&c, AT_FDCWD, "shared", XW_LOCK_EXCLUSIVE, 0, &err), -EBUSY);
    xw_lock_release(&a);
    assert_int_equal(xw_lock_take(&c, AT_FDCWD, "shared", XW_LOCK_EXCLUSIVE, 0, &err), -EBUSY);
    xw_lock_release(&b);
    assert_ok(xw_lock_take(&c, AT_FDCWD, "shared", XW_LOCK_EXCLUSIVE, 0, &err));
    xw_lock_release(&c);
}

static void waiting_has_an_end(void **state)
{
    struct xw_lock lock = XW_LOCK_INIT;
    struct xw_error err = XW_ERROR_INIT;
    struct holder holder = start_holder("held", XW_LOCK_EXCLUSIVE);
    char text[32];
    int64_t start = xw_clock_ms();

    (void)state;
    assert_int_equal(xw_lock_take(&lock, AT_FDCWD, "held", XW_LOCK_EXCLUSIVE, 100, &err), -EBUSY);
    assert_in_range(xw_clock_ms() - start, 100, LATE);
    snprintf(text, sizeof(text), "process %d", (int)holder.pid);
    assert_says(text);
    end_holder(&holder);
}

/* The waiter is let in by a release, and by a kill; by far before the time is up. */
static void waiter_gets_it(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        struct holder holder = start_holder("passed on", XW_LOCK_EXCLUSIVE);
        struct xw_lock lock = XW_LOCK_INIT;
        struct xw_error err = XW_ERROR_INIT;
        pid_t helper = fork();

        if (helper == 0) {
            usleep(30000);
            if (killed)
                kill(holder.pid, SIGKILL);
            _exit(killed || write(holder.to, "r", 1) == 1 ? 0 : 1);
        }
        assert_ok(xw_lock_take(&lock, AT_FDCWD, "passed on", XW_LOCK_EXCLUSIVE, LATE, &err));
        xw_lock_release(&lock);
        waitpid(helper, NULL, 0);
        end_holder(&holder);
    }
}

/* Whoever removes the file with its folder must not leave two holders of "the" lock. */
static void removed_file_is_made_again(void **state)
{
    struct xw_lock lock = XW_LOCK_INIT;
    struct xw_error err = XW_ERROR_INIT;
    struct holder holder = start_holder("removed", XW_LOCK_EXCLUSIVE);
    pid_t helper;

    (void)state;
    helper = fork();
    if (helper == 0) {
        usleep(30000);
        unlink("removed");
        kill(holder.pid, SIGKILL);
        _exit(0);
    }
    assert_ok(xw_lock_take(&lock, AT_FDCWD, "removed", XW_LOCK_EXCLUSIVE, LATE, &err));
    waitpid(helper, NULL, 0);
    assert_int_equal(access("removed", F_OK), 0);
    assert_true(xw_lock_is_held(AT_FDCWD, "removed", NULL));
    xw_lock_release(&lock);
    end_holder(&holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_holder_at_a_time),
        cmocka_unit_test(readers_share),
        cmocka_unit_test(waiting_has_an_end),
        cmocka_unit_test(waiter_gets_it),
        cmocka_unit_test(removed_file_is_made_again),
    };

    return cmocka_run_group_tests_name("lock", tests, enter_folder, leave_folder);
}
