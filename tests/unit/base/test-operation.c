/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "base/operation.h"

/* Counts its steps; waits for `wait` after the first where that is set. */
struct counting {
    struct xw_operation operation; /* first */
    int steps, last, end;
    int wait;
    int *released;
};

static int count_step(struct xw_operation *operation, struct xw_error *err)
{
    struct counting *counting = (struct counting *)operation;

    counting->steps++;
    xw_operation_report(operation, "counting", (uint64_t)counting->steps, (uint64_t)counting->last);
    if (operation->cancelled)
        return xw_error_set(err, ECANCELED, "cancelled after %d", counting->steps);
    if (counting->steps == counting->last)
        return counting->end ? xw_error_set(err, counting->end, "failed as asked") : 0;
    if (counting->wait >= 0)
        xw_operation_wait_for(operation, counting->steps % 2 ? counting->wait : -1, err);
    return 1;
}

static void count_release(struct xw_operation *operation)
{
    ++*((struct counting *)operation)->released;
}

static const struct xw_operation_class counting_class = {.step = count_step,
                                                         .release = count_release};

static struct counting *start(int last, int end, int wait, int *released)
{
    struct counting *counting = calloc(1, sizeof(*counting));

    assert_non_null(counting);
    assert_int_equal(xw_operation_init(&counting->operation, &counting_class, NULL), 0);
    counting->last = last;
    counting->end = end;
    counting->wait = wait;
    counting->released = released;
    *released = 0;
    return counting;
}

static bool is_ready(const struct xw_operation *operation)
{
    return poll(&(struct pollfd){.fd = xw_operation_fd(operation), .events = POLLIN}, 1, 0) == 1;
}

static void steps_to_its_end(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_operation_state now;
    int released;
    struct counting *counting = start(3, 0, -1, &released);
    struct xw_operation *operation = &counting->operation;
    int fd = xw_operation_fd(operation);

    (void)state;
    xw_operation_state(operation, &now);
    assert_string_equal(now.step, "");
    for (int i = 1; i < 3; i++) {
        assert_true(is_ready(operation));
        assert_int_equal(xw_operation_step(operation, &err), 1);
        xw_operation_state(operation, &now);
        assert_string_equal(now.step, "counting");
        assert_int_equal(now.done, i);
        assert_int_equal(now.total, 3);
        assert_int_equal(xw_operation_fd(operation), fd);
    }
    assert_ok(xw_operation_step(operation, &err));
    assert_ok(xw_operation_step(operation, &err));
    assert_int_equal(counting->steps, 3);
    assert_int_equal(released, 0);
    xw_operation_free(operation);
    assert_int_equal(released, 1);
}

static void a_failure_is_told_again(void **state)
{
    int released;
    struct counting *counting = start(2, EIO, -1, &released);

    (void)state;
    assert_int_equal(xw_operation_step(&counting->operation, NULL), 1);
    for (int i = 0; i < 3; i++) {
        struct xw_error err = XW_ERROR_INIT;

        assert_int_equal(xw_operation_step(&counting->operation, &err), -EIO);
        assert_int_equal(err.code, EIO);
        assert_says("failed as asked");
    }
    assert_int_equal(counting->steps, 2);
    xw_operation_free(&counting->operation);
    assert_int_equal(released, 1);
}

/* The descriptor is readable when, and only when, a step can be taken. */
static void waits_for_a_descriptor(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), released;
    struct counting *counting = start(4, 0, event, &released);
    struct xw_operation *operation = &counting->operation;

    (void)state;
    assert_int_equal(xw_operation_step(operation, &err), 1);
    assert_false(is_ready(operation));
    assert_int_equal(eventfd_write(event, 1), 0);
    assert_true(is_ready(operation));
    assert_int_equal(xw_operation_step(operation, &err), 1); /* the next needs no waiting */
    assert_true(is_ready(operation));
    assert_int_equal(xw_operation_step(operation, &err), 1); /* the event is still there */
    assert_true(is_ready(operation));
    assert_ok(xw_operation_step(operation, &err));
    xw_operation_free(operation);
    close(event);
}

/* What was waited for may be closed before something else is named. */
static void a_closed_descriptor_does_not_matter(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int event = eventfd(0, EFD_CLOEXEC), other, released;
    struct counting *counting = start(9, 0, -1, &released);
    struct xw_operation *operation = &counting->operation;

    (void)state;
    assert_ok(xw_operation_wait_for(operation, event, &err));
    close(event);
    other = eventfd(1, EFD_CLOEXEC);
    assert_ok(xw_operation_wait_for(operation, -1, &err));
    assert_true(is_ready(operation));
    assert_ok(xw_operation_wait_for(operation, other, &err));
    assert_true(is_ready(operation));
    assert_ok(xw_operation_wait_for(operation, other, &err));
    assert_ok(xw_operation_wait_for(operation, -1, &err));
    xw_operation_free(operation);
    close(other);
}

static void freeing_cancels_and_steps_to_the_end(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    int released;
    struct counting *counting = start(100, 0, -1, &released);

    (void)state;
    assert_int_equal(xw_operation_step(&counting->operation, &err), 1);
    xw_operation_cancel(&counting->operation);
    assert_int_equal(xw_operation_step(&counting->operation, &err), -ECANCELED);
    assert_says("cancelled after 2");
    xw_operation_free(&counting->operation);
    counting = start(100, 0, -1, &released);
    xw_operation_free(&counting->operation);
    assert_int_equal(released, 1);
    xw_operation_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_to_its_end),
        cmocka_unit_test(a_failure_is_told_again),
        cmocka_unit_test(waits_for_a_descriptor),
        cmocka_unit_test(a_closed_descriptor_does_not_matter),
        cmocka_unit_test(freeing_cancels_and_steps_to_the_end),
    };

    return cmocka_run_group_tests_name("operation", tests, NULL, NULL);
}
