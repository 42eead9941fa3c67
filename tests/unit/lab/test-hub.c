/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The switch between labs: real sockets, real processes, the names that QEMU would use. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "lab/hub-macs.h"
#include "lab/hub.h"

#define WAIT_MS 10000
#define GRACE_MS 200

static char folder[] = "/tmp/xw-hub-XXXXXX";
static int labs_fd = -1;
static char self[4096];

static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* The address of member `number`. */
static void mac_of(unsigned number, uint8_t mac[6])
{
    static const uint8_t first[6] = {0x52, 0x54, 0, 0, 0, 0};

    memcpy(mac, first, 6);
    mac[4] = (uint8_t)(number >> 8);
    mac[5] = (uint8_t)number;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    labs_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return labs_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(labs_fd);
    return chdir("/") != 0 || xw_file_remove_tree(AT_FDCWD, folder, NULL) != 0;
}

/* A socket as QEMU has it for lab `name`, at an address relative to the labs' folder. */
static int join(const char *name, const char *net)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(mkdir(name, 0700) == 0 || errno == EEXIST);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/link-%s.sock", name, net);
    unlink(address.sun_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static ssize_t send_bytes(int fd, const void *bytes, size_t size)
{
    const struct sockaddr_un hub = {.sun_family = AF_UNIX, .sun_path = ".nets/net.sock"};

    return sendto(fd, bytes, size, 0, (const struct sockaddr *)&hub, sizeof(hub));
}

/* A frame with a text in it, from a member to an address. */
static void send_frame(int fd, unsigned from, const uint8_t to[6], const char *text)
{
    uint8_t frame[128] = {0};

    memcpy(frame, to, 6);
    mac_of(from, frame + 6);
    frame[12] = 0x88;
    frame[13] = 0xb5; /* for local experiments (IEEE 802) */
    snprintf((char *)frame + 14, sizeof(frame) - 14, "%s", text);
    assert_int_equal(send_bytes(fd, frame, sizeof(frame)), sizeof(frame));
}

static void send_to_member(int fd, unsigned from, unsigned to, const char *text)
{
    uint8_t mac[6];

    mac_of(to, mac);
    send_frame(fd, from, mac, text);
}

/* The next frame that comes has this text. */
static void expect(int fd, const char *text)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char frame[256] = {0};

    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    assert_int_equal(recv(fd, frame, sizeof(frame) - 1, 0), 128);
    assert_string_equal(frame + 14, text);
}

/* The switch in a child; returns when it listens. */
static pid_t start_hub(int grace_ms)
{
    int ready[2];
    char text[16] = "", grace[16];
    pid_t pid;

    snprintf(grace, sizeof(grace), "%d", grace_ms);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ready[1], STDOUT_FILENO);
        execl(self, self, "__hub", "net", grace, NULL);
        _exit(127);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], text, sizeof(text)), 6);
    assert_string_equal(text, "ready\n");
    close(ready[0]);
    return pid;
}

static void kill_hub(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_addresses_are_learnt_and_forgotten(void **state)
{
    static struct lab_hub_macs macs;
    uint8_t a[6], b[6];

    (void)state;
    lab_hub_macs_init(&macs);
    mac_of(1, a);
    mac_of(2, b);
    assert_int_equal(lab_hub_macs_find(&macs, a, 0), -1);
    lab_hub_macs_learn(&macs, a, 5, 1000);
    assert_int_equal(lab_hub_macs_find(&macs, a, 1000), 5);
    assert_int_equal(lab_hub_macs_find(&macs, b, 1000), -1);
    lab_hub_macs_learn(&macs, a, 6, 1000);
    assert_int_equal(lab_hub_macs_find(&macs, a, 1000 + LAB_HUB_MAC_AGE_MS - 1), 6);
    assert_int_equal(lab_hub_macs_find(&macs, a, 1000 + LAB_HUB_MAC_AGE_MS), -1);
    lab_hub_macs_learn(&macs, b, 6, 2000);
    lab_hub_macs_forget(&macs, 6);
    assert_int_equal(lab_hub_macs_find(&macs, b, 2000), -1);
    lab_hub_macs_learn(&macs, everyone, 5, 2000);
    assert_int_equal(lab_hub_macs_find(&macs, everyone, 2000), -1);
    for (size_t i = 0; i < LAB_HUB_MACS; i++)
        assert_true(macs.at[i].port < 0); /* takes no room either */
}

static void test_a_flood_of_addresses_pushes_out_the_oldest(void **state)
{
    static struct lab_hub_macs macs;
    uint8_t mac[6];
    int found = 0;

    (void)state;
    lab_hub_macs_init(&macs);
    for (unsigned i = 0; i < 10 * LAB_HUB_MACS; i++) {
        mac_of(i, mac);
        lab_hub_macs_learn(&macs, mac, 1, i);
        assert_int_equal(lab_hub_macs_find(&macs, mac, i), 1);
    }
    for (unsigned i = 0; i < LAB_HUB_MACS; i++) {
        mac_of(i, mac);
        found += lab_hub_macs_find(&macs, mac, 0) >= 0;
    }
    assert_int_equal(found, 0);
}

static void test_frames_go_where_they_should(void **state)
{
    int a = join("a", "net"), b = join("b", "net"), c = join("c", "net");
    pid_t hub = start_hub(GRACE_MS);

    (void)state;
    send_frame(a, 1, everyone, "to all");
    expect(b, "to all");
    expect(c, "to all");
    send_to_member(b, 2, 3, "to one not seen yet");
    expect(a, "to one not seen yet");
    expect(c, "to one not seen yet");
    send_to_member(c, 3, 2, "only to b");
    expect(b, "only to b");
    send_to_member(c, 3, 3, "to myself");
    send_frame(c, 3, everyone, "second");
    expect(a, "second"); /* and neither "only to b" nor "to myself" */
    expect(b, "second");
    send_to_member(a, 1, 3, "c has got none of its own");
    expect(c, "c has got none of its own");
    close(a);
    close(b);
    close(c);
    kill_hub(hub);
}

static void test_what_is_no_frame_is_dropped(void **state)
{
    static char bytes[70000];
    int a = join("a", "net"), b = join("b", "net"), other = join("c", "other");
    pid_t hub = start_hub(GRACE_MS);

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(send_bytes(a, bytes, 13), 13);
    assert_int_equal(send_bytes(a, bytes, 0), 0);
    assert_int_equal(send_bytes(a, bytes, 65537), 65537);
    send_frame(other, 9, everyone, "from another network");
    send_frame(a, 1, everyone, "a real one");
    expect(b, "a real one");
    close(a);
    close(b);
    close(other);
    kill_hub(hub);
}

static void test_a_largest_frame_arrives_whole(void **state)
{
    static char sent[65536], got[70000];
    int a = join("a", "net"), b = join("b", "net");
    struct pollfd wait = {.fd = b, .events = POLLIN};
    pid_t hub = start_hub(GRACE_MS);

    (void)state;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i < 6 ? 0xff : i * 7);
    assert_int_equal(send_bytes(a, sent, sizeof(sent)), sizeof(sent));
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    assert_int_equal(recv(b, got, sizeof(got), 0), sizeof(sent));
    assert_memory_equal(sent, got, sizeof(sent));
    close(a);
    close(b);
    kill_hub(hub);
}

static void test_one_that_does_not_read_holds_up_nobody(void **state)
{
    int a = join("a", "net"), b = join("b", "net"), c = join("c", "net");
    pid_t hub = start_hub(GRACE_MS);
    char text[32];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof(text), "frame %d", i);
        send_frame(a, 1, everyone, text);
        expect(c, text);
    }
    expect(b, "frame 0");
    close(a);
    close(b);
    close(c);
    kill_hub(hub);
}

static void test_members_do_not_notice_a_new_switch(void **state)
{
    int a = join("a", "net"), b = join("b", "net");
    pid_t hub = start_hub(GRACE_MS);

    (void)state;
    kill_hub(hub);
    assert_int_equal(send_bytes(a, everyone, 6), -1);
    assert_int_equal(errno, ECONNREFUSED);
    hub = start_hub(GRACE_MS);
    send_frame(a, 1, everyone, "through the new one");
    expect(b, "through the new one");
    close(a);
    close(b);
    kill_hub(hub);
}

/* Calls until somebody answers at the silent socket; soon, not at the next regular look. */
static void call_until_heard(int from, int silent)
{
    int64_t deadline = xw_deadline(2000);
    struct pollfd wait = {.fd = silent, .events = POLLIN};

    do {
        assert_true(xw_deadline_left(deadline) > 0);
        send_frame(from, 1, everyone, "is anybody there");
    } while (poll(&wait, 1, 5) == 0);
    expect(silent, "is anybody there");
}

static void test_a_silent_member_is_found(void **state)
{
    int a = join("a", "net"), c;
    pid_t hub = start_hub(GRACE_MS);

    (void)state;
    c = join("c", "net");
    call_until_heard(a, c);
    close(a);
    close(c);
    kill_hub(hub);
}

/* The moment between name and reachability, stretched: nothing tells when it is over. */
static void test_a_socket_that_is_reachable_later_is_found(void **state)
{
    int a = join("a", "net"), b = join("b", "net"), c = join(".hidden", "net");
    pid_t hub;

    (void)state;
    close(c);
    assert_int_equal(mkdir("c", 0700), 0);
    hub = start_hub(GRACE_MS);
    assert_int_equal(symlink("../.hidden/link-net.sock", "c/link-net.sock"), 0);
    send_frame(a, 1, everyone, "the folders have been looked at");
    expect(b, "the folders have been looked at");
    c = join(".later", "net");
    assert_int_equal(rename(".later/link-net.sock", ".hidden/link-net.sock"), 0);
    call_until_heard(a, c);
    close(a);
    close(b);
    close(c);
    kill_hub(hub);
}

static void test_a_member_may_come_back(void **state)
{
    int a = join("a", "net"), b = join("b", "net"), c = join("c", "net");
    pid_t hub = start_hub(GRACE_MS);

    (void)state;
    send_frame(b, 2, everyone, "here is b");
    expect(a, "here is b");
    expect(c, "here is b");
    close(b);
    send_to_member(a, 1, 2, "lost");
    send_frame(a, 1, everyone, "after that");
    expect(c, "after that");
    b = join("b", "net");
    send_frame(b, 2, everyone, "back");
    expect(a, "back");
    send_to_member(a, 1, 2, "found again");
    expect(b, "found again");
    close(a);
    close(b);
    close(c);
    kill_hub(hub);
}

/* Wait for the child to end by itself. */
static int end_of(pid_t pid)
{
    int64_t deadline = xw_deadline(WAIT_MS);
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        assert_true(xw_deadline_left(deadline) > 0);
        poll(NULL, 0, 10);
    }
    return status;
}

static void test_it_ends_when_all_have_gone(void **state)
{
    int a = join("a", "net"), b = join("b", "net");
    pid_t hub = start_hub(GRACE_MS);

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

static void test_there_is_one_only(void **state)
{
    pid_t hub = start_hub(10000);
    int64_t start = xw_clock_ms();

    (void)state;
    assert_int_equal(lab_hub_run(labs_fd, "net", -1, 10000, NULL), 0);
    assert_true(xw_clock_ms() - start < 9000);
    assert_int_equal(kill(hub, 0), 0);
    kill_hub(hub);
}

static pid_t running_hub(void)
{
    pid_t pid = 0;

    assert_true(xw_lock_is_held(labs_fd, ".nets/net.lock", &pid));
    assert_true(pid > 0);
    return pid;
}

/* Kill the switch that lab_hub_ensure started and wait until it is gone. */
static void kill_running_hub(void)
{
    pid_t pid = running_hub();
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};

    assert_true(end.fd >= 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(poll(&end, 1, WAIT_MS), 1);
    close(end.fd);
}

static void test_ensure_starts_it_once(void **state)
{
    int a = -1, b = -1;
    pid_t hub;

    (void)state;
    assert_int_equal(lab_hub_ensure(labs_fd, "net", self, NULL), 0);
    hub = running_hub();
    assert_int_equal(lab_hub_ensure(labs_fd, "net", self, NULL), 0);
    assert_int_equal(running_hub(), hub);
    a = join("a", "net");
    b = join("b", "net");
    send_frame(a, 1, everyone, "hello");
    expect(b, "hello");
    kill_running_hub();
    assert_int_equal(lab_hub_ensure(labs_fd, "net", self, NULL), 0);
    assert_int_not_equal(running_hub(), hub);
    send_frame(a, 1, everyone, "again");
    expect(b, "again");
    kill_running_hub();
    close(a);
    close(b);
}

/* Stopped, with all the datagrams at its socket that there may be: as one that gets no processor.
 */
static void test_a_busy_one_is_not_replaced(void **state)
{
    int a = join("a", "net");
    struct xw_error err = XW_ERROR_INIT;
    pid_t hub;

    (void)state;
    assert_int_equal(lab_hub_ensure(labs_fd, "net", self, NULL), 0);
    hub = running_hub();
    assert_int_equal(kill(hub, SIGSTOP), 0);
    assert_int_equal(lab_hub_ensure(labs_fd, "net", self, &err), 0);
    assert_int_equal(fcntl(a, F_SETFL, O_NONBLOCK), 0);
    while (send_bytes(a, everyone, 6) == 6)
        ;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(lab_hub_ensure(labs_fd, "net", self, &err), 0);
    assert_int_equal(running_hub(), hub);
    assert_int_equal(kill(hub, SIGCONT), 0);
    assert_int_equal(lab_hub_ensure(labs_fd, "net", self, &err), 0);
    assert_int_equal(running_hub(), hub);
    kill_running_hub();
    close(a);
}

static void test_many_ensure_it_at_once(void **state)
{
    pid_t children[6];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct xw_error err = XW_ERROR_INIT;

            if (lab_hub_ensure(labs_fd, "net", self, &err) == 0)
                _exit(0);
            print_message("# %s\n", err.message);
            fflush(stdout);
            _exit(1);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        int status = -1;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    kill_running_hub();
}

static void test_ensure_says_why_not(void **state)
{
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_int_equal(lab_hub_ensure(labs_fd, "a/b", self, &err), -EINVAL);
    assert_non_null(strstr(err.message, "a/b"));
    assert_int_equal(lab_hub_ensure(labs_fd, "net", "/nothing/here", &err), -ENOENT);
    assert_non_null(strstr(err.message, "/nothing/here"));
    assert_int_equal(lab_hub_ensure(labs_fd, "net", "echo", &err), -EIO);
    assert_string_equal(err.message, "network 'net': its switch did not start: __hub net");
    assert_int_equal(lab_hub_ensure(labs_fd, "net", "true", &err), -EAGAIN);
}

/* This program as the one that lab_hub_ensure starts. */
static int run_hub(const char *net, const char *grace)
{
    struct xw_error err = XW_ERROR_INIT;
    int rc = lab_hub_run(open(".", O_RDONLY | O_CLOEXEC), net, STDOUT_FILENO,
                         (int)strtol(grace, NULL, 10), &err);

    if (rc != 0)
        fprintf(stderr, "%s\n", err.message);
    return rc == 0 ? 0 : 1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_learnt_and_forgotten),
        cmocka_unit_test(test_a_flood_of_addresses_pushes_out_the_oldest),
        TEST(test_frames_go_where_they_should),
        TEST(test_what_is_no_frame_is_dropped),
        TEST(test_a_largest_frame_arrives_whole),
        TEST(test_one_that_does_not_read_holds_up_nobody),
        TEST(test_members_do_not_notice_a_new_switch),
        TEST(test_a_silent_member_is_found),
        TEST(test_a_socket_that_is_reachable_later_is_found),
        TEST(test_a_member_may_come_back),
        TEST(test_it_ends_when_all_have_gone),
        TEST(test_there_is_one_only),
        TEST(test_ensure_starts_it_once),
        TEST(test_a_busy_one_is_not_replaced),
        TEST(test_many_ensure_it_at_once),
        TEST(test_ensure_says_why_not),
    };

    if (argc >= 3 && strcmp(argv[1], "__hub") == 0)
        return run_hub(argv[2], argc > 3 ? argv[3] : "2000");
    if (!realpath(argv[0], self))
        return 1;
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
