/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hub-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "lab/hub.h"

static char folder[] = "/tmp/xw-hub-XXXXXX";
int hub_labs_fd = -1;
char hub_self[4096];

const uint8_t hub_everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void hub_mac_of(unsigned number, uint8_t mac[6])
{
    static const uint8_t first[6] = {0x52, 0x54, 0, 0, 0, 0};

    memcpy(mac, first, 6);
    mac[4] = (uint8_t)(number >> 8);
    mac[5] = (uint8_t)number;
}

int hub_set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    hub_labs_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return hub_labs_fd < 0 ? -1 : 0;
}

int hub_tear_down(void **state)
{
    (void)state;
    close(hub_labs_fd);
    return chdir("/") != 0 || xw_file_remove_tree(AT_FDCWD, folder, NULL) != 0;
}

int hub_join(const char *name, const char *net)
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

ssize_t hub_send_bytes(int fd, const void *bytes, size_t size)
{
    const struct sockaddr_un hub = {.sun_family = AF_UNIX, .sun_path = ".nets/net.sock"};

    return sendto(fd, bytes, size, 0, (const struct sockaddr *)&hub, sizeof(hub));
}

void hub_send_frame(int fd, unsigned from, const uint8_t to[6], const char *text)
{
    uint8_t frame[128] = {0};

    memcpy(frame, to, 6);
    hub_mac_of(from, frame + 6);
    frame[12] = 0x88;
    frame[13] = 0xb5; /* for local experiments (IEEE 802) */
    snprintf((char *)frame + 14, sizeof(frame) - 14, "%s", text);
    assert_int_equal(hub_send_bytes(fd, frame, sizeof(frame)), sizeof(frame));
}

void hub_send_to_member(int fd, unsigned from, unsigned to, const char *text)
{
    uint8_t mac[6];

    hub_mac_of(to, mac);
    hub_send_frame(fd, from, mac, text);
}

void hub_expect(int fd, const char *text)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char frame[256] = {0};

    assert_int_equal(poll(&wait, 1, HUB_WAIT_MS), 1);
    assert_int_equal(recv(fd, frame, sizeof(frame) - 1, 0), 128);
    assert_string_equal(frame + 14, text);
}

pid_t hub_start(int grace_ms)
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
        execl(hub_self, hub_self, "__hub", "net", grace, NULL);
        _exit(127);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], text, sizeof(text)), 6);
    assert_string_equal(text, "ready\n");
    close(ready[0]);
    return pid;
}

void hub_kill(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
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

bool hub_is_wanted(int argc, char **argv, int *status)
{
    *status = 1;
    if (argc >= 3 && strcmp(argv[1], "__hub") == 0)
        *status = run_hub(argv[2], argc > 3 ? argv[3] : "2000");
    else if (realpath(argv[0], hub_self))
        return false;
    return true;
}
