/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The switch between labs: real sockets, real processes, the names that QEMU would use. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "hub-fixture.h"

static void test_frames_go_where_they_should(void **state)
{
    int a = hub_join("a", "net"), b = hub_join("b", "net"), c = hub_join("c", "net");
    pid_t hub = hub_start(HUB_GRACE_MS);

    (void)state;
    hub_send_frame(a, 1, hub_everyone, "to all");
    hub_expect(b, "to all");
    hub_expect(c, "to all");
    hub_send_to_member(b, 2, 3, "to one not seen yet");
    hub_expect(a, "to one not seen yet");
    hub_expect(c, "to one not seen yet");
    hub_send_to_member(c, 3, 2, "only to b");
    hub_expect(b, "only to b");
    hub_send_to_member(c, 3, 3, "to myself");
    hub_send_frame(c, 3, hub_everyone, "second");
    hub_expect(a, "second"); /* and neither "only to b" nor "to myself" */
    hub_expect(b, "second");
    hub_send_to_member(a, 1, 3, "c has got none of its own");
    hub_expect(c, "c has got none of its own");
    close(a);
    close(b);
    close(c);
    hub_kill(hub);
}

static void test_what_is_no_frame_is_dropped(void **state)
{
    static char bytes[70000];
    int a = hub_join("a", "net"), b = hub_join("b", "net"), other = hub_join("c", "other");
    pid_t hub = hub_start(HUB_GRACE_MS);

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(hub_send_bytes(a, bytes, 13), 13);
    assert_int_equal(hub_send_bytes(a, bytes, 0), 0);
    assert_int_equal(hub_send_bytes(a, bytes, 65537), 65537);
    hub_send_frame(other, 9, hub_everyone, "from another network");
    hub_send_frame(a, 1, hub_everyone, "a real one");
    hub_expect(b, "a real one");
    close(a);
    close(b);
    close(other);
    hub_kill(hub);
}

static void test_a_largest_frame_arrives_whole(void **state)
{
    static char sent[65536], got[70000];
    int a = hub_join("a", "net"), b = hub_join("b", "net");
    struct pollfd wait = {.fd = b, .events = POLLIN};
    pid_t hub = hub_start(HUB_GRACE_MS);

    (void)state;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i < 6 ? 0xff : i * 7);
    assert_int_equal(hub_send_bytes(a, sent, sizeof(sent)), sizeof(sent));
    assert_int_equal(poll(&wait, 1, HUB_WAIT_MS), 1);
    assert_int_equal(recv(b, got, sizeof(got), 0), sizeof(sent));
    assert_memory_equal(sent, got, sizeof(sent));
    close(a);
    close(b);
    hub_kill(hub);
}

static void test_one_that_does_not_read_holds_up_nobody(void **state)
{
    int a = hub_join("a", "net"), b = hub_join("b", "net"), c = hub_join("c", "net");
    pid_t hub = hub_start(HUB_GRACE_MS);
    char text[32];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof(text), "frame %d", i);
        hub_send_frame(a, 1, hub_everyone, text);
        hub_expect(c, text);
    }
    hub_expect(b, "frame 0");
    close(a);
    close(b);
    close(c);
    hub_kill(hub);
}

static void test_members_do_not_notice_a_new_switch(void **state)
{
    int a = hub_join("a", "net"), b = hub_join("b", "net");
    pid_t hub = hub_start(HUB_GRACE_MS);

    (void)state;
    hub_kill(hub);
    assert_int_equal(hub_send_bytes(a, hub_everyone, 6), -1);
    assert_int_equal(errno, ECONNREFUSED);
    hub = hub_start(HUB_GRACE_MS);
    hub_send_frame(a, 1, hub_everyone, "through the new one");
    hub_expect(b, "through the new one");
    close(a);
    close(b);
    hub_kill(hub);
}

/* Calls until somebody answers at the silent socket; soon, not at the next regular look. */
static void call_until_heard(int from, int silent)
{
    int64_t deadline = xw_deadline(2000);
    struct pollfd wait = {.fd = silent, .events = POLLIN};

    do {
        assert_true(xw_deadline_left(deadline) > 0);
        hub_send_frame(from, 1, hub_everyone, "is anybody there");
    } while (poll(&wait, 1, 5) == 0);
    hub_expect(silent, "is anybody there");
}

static void test_a_silent_member_is_found(void **state)
{
    int a = hub_join("a", "net"), c;
    pid_t hub = hub_start(HUB_GRACE_MS);

    (void)state;
    c = hub_join("c", "net");
    call_until_heard(a, c);
    close(a);
    close(c);
    hub_kill(hub);
}

/* The moment between name and reachability, stretched: nothing tells when it is over. */
static void test_a_socket_that_is_reachable_later_is_found(void **state)
{
    int a = hub_join("a", "net"), b = hub_join("b", "net"), c = hub_join(".hidden", "net");
    pid_t hub;

    (void)state;
    close(c);
    assert_int_equal(mkdir("c", 0700), 0);
    hub = hub_start(HUB_GRACE_MS);
    assert_int_equal(symlink("../.hidden/link-net.sock", "c/link-net.sock"), 0);
    hub_send_frame(a, 1, hub_everyone, "the folders have been looked at");
    hub_expect(b, "the folders have been looked at");
    c = hub_join(".later", "net");
    assert_int_equal(rename(".later/link-net.sock", ".hidden/link-net.sock"), 0);
    call_until_heard(a, c);
    close(a);
    close(b);
    close(c);
    hub_kill(hub);
}

static void test_a_member_may_come_back(void **state)
{
    int a = hub_join("a", "net"), b = hub_join("b", "net"), c = hub_join("c", "net");
    pid_t hub = hub_start(HUB_GRACE_MS);

    (void)state;
    hub_send_frame(b, 2, hub_everyone, "here is b");
    hub_expect(a, "here is b");
    hub_expect(c, "here is b");
    close(b);
    hub_send_to_member(a, 1, 2, "lost");
    hub_send_frame(a, 1, hub_everyone, "after that");
    hub_expect(c, "after that");
    b = hub_join("b", "net");
    hub_send_frame(b, 2, hub_everyone, "back");
    hub_expect(a, "back");
    hub_send_to_member(a, 1, 2, "found again");
    hub_expect(b, "found again");
    close(a);
    close(b);
    close(c);
    hub_kill(hub);
}

/* Wait for the child to end by itself. */
static int end_of(pid_t pid)
{
    int64_t deadline = xw_deadline(HUB_WAIT_MS);
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        assert_true(xw_deadline_left(deadline) > 0);
        poll(NULL, 0, 10);
    }
    return status;
}

static void test_it_ends_when_all_have_gone(void **state)
{
    int a = hub_join("a", "net"), b = hub_join("b", "net");
    pid_t hub = hub_start(HUB_GRACE_MS);

    (void)state;
    /* One is taken down, one is killed and leaves its socket behind. */
    close(b);
    close(a);
    assert_int_equal(xw_file_remove_tree(AT_FDCWD, "a", NULL), 0);
    assert_int_equal(end_of(hub), 0);
    assert_int_equal(access(".nets/net.sock", F_OK), -1);
    assert_int_equal(access(".nets/net.lock", F_OK), -1);
    assert_int_equal(access("b/link-net.sock", F_OK), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HUB_TEST(test_frames_go_where_they_should),
        HUB_TEST(test_what_is_no_frame_is_dropped),
        HUB_TEST(test_a_largest_frame_arrives_whole),
        HUB_TEST(test_one_that_does_not_read_holds_up_nobody),
        HUB_TEST(test_members_do_not_notice_a_new_switch),
        HUB_TEST(test_a_silent_member_is_found),
        HUB_TEST(test_a_socket_that_is_reachable_later_is_found),
        HUB_TEST(test_a_member_may_come_back),
        HUB_TEST(test_it_ends_when_all_have_gone),
    };
    int status;

    if (hub_is_wanted(argc, argv, &status))
        return status;
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
