/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Process 1 of a test guest, and its `poweroff` and `reboot`.
 *
 * It mounts what programs expect, loads the drivers listed in /etc/modules (in that order, without
 * looking for dependencies), sets up the network, says "xenwright-guest: ready" on the console and
 * keeps the agent running.  Each step is a system call where that can be: starting programs is what
 * costs time in an emulated machine.  Words of the kernel's command line for it:
 *
 *   xw.name=HOSTNAME
 *   xw.ip=ADDRESS/BITS    of the first network card
 *   xw.gateway=ADDRESS
 *   xw.agent=PATH         where in xenstore the agent announces itself; without it there is none
 *   xw.qga=DEVICE         runs qemu-guest-agent there
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/agent/agent.h"
#include "lab/guest/power.h"

/* Without a new device for this long there is no card. */
#define CARD_WAIT_MS 10000

static char cmdline[4096];

struct service {
    const char *argv[6];
    const char *terminal; /* to be its controlling terminal */
    bool again;           /* start it again when it ends */
    pid_t pid;
};

static struct service agent = {.again = true};
static struct service qemu_agent = {.again = true};
static struct service shell = {.argv = {"/bin/sh", "-l"}, .terminal = "/dev/console"};

void agent_note(const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    dprintf(1, "xenwright-guest: %s\n", line);
}

static void mount_all(void)
{
    static const struct {
        const char *type, *where, *options;
    } mounts[] = {
        {"devtmpfs", "/dev", "mode=0755"}, {"proc", "/proc", NULL},
        {"sysfs", "/sys", NULL},           {"devpts", "/dev/pts", "mode=620,gid=5"},
        {"tmpfs", "/dev/shm", NULL},       {"tmpfs", "/run", "mode=0755"},
        {"tmpfs", "/tmp", NULL},
    };

    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        mkdir(mounts[i].where, 0755);
        if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, mounts[i].options) < 0 &&
            errno != EBUSY)
            agent_note("%s: %s", mounts[i].where, strerror(errno));
    }
}

/* The console is what the kernel's command line says; it opened it for us if /dev had it. */
static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);

    for (int to = 0; fd >= 0 && to <= 2; to++)
        dup2(fd, to);
    if (fd > 2)
        close(fd);
}

static void read_cmdline(void)
{
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, cmdline, sizeof(cmdline) - 1);

    if (fd >= 0)
        close(fd);
    cmdline[got > 0 ? got : 0] = '\0';
}

/* The value of a word NAME=VALUE, or NULL.  `name` contains the '='. */
static char *parameter(const char *name, char value[static 256])
{
    for (const char *at = cmdline; *at;) {
        size_t length = strcspn(at, " \n");

        if (length > strlen(name) && strncmp(at, name, strlen(name)) == 0) {
            snprintf(value, 256, "%.*s", (int)(length - strlen(name)), at + strlen(name));
            return value;
        }
        at += length;
        at += strspn(at, " \n");
    }
    return NULL;
}

static void load_modules(void)
{
    char path[512];
    FILE *list = fopen("/etc/modules", "re");

    while (list && fgets(path, sizeof(path), list)) {
        path[strcspn(path, "\n")] = '\0';
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
            agent_note("%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    if (list)
        fclose(list);
}

/* netfront makes a card once the other side has connected, which may be a while after its driver
 * was loaded.  The kernel announces the card as it does all devices. */
static void wait_for_card(int events)
{
    struct pollfd event = {.fd = events, .events = POLLIN};
    char message[4096];

    while (access("/sys/class/net/eth0", F_OK) < 0 && poll(&event, 1, CARD_WAIT_MS) > 0)
        recv(events, message, sizeof(message), MSG_DONTWAIT);
}

static int open_events(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        agent_note("device events: %s", strerror(errno));
    return fd;
}

static void set_network(int events)
{
    char value[256], request[300];
    int result = 0;

    snprintf(request, sizeof(request), "lo 127.0.0.1/8");
    agent_set_address(request);
    if (parameter("xw.ip=", value)) {
        wait_for_card(events);
        snprintf(request, sizeof(request), "eth0 %s", value);
        result = agent_set_address(request);
    }
    if (result == 0 && parameter("xw.gateway=", value))
        result = agent_set_gateway(value);
    if (result < 0)
        agent_note("network: %s", strerror(-result));
}

static void start(struct service *service)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", home[] = "HOME=/root",
                term[] = "TERM=vt220";
    static char *const environment[] = {path, home, term, NULL};
    sigset_t none;

    sigemptyset(&none);
    service->pid = vfork();
    if (service->pid != 0)
        return;
    setsid();
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (service->terminal) {
        int fd = open(service->terminal, O_RDWR);

        ioctl(fd, TIOCSCTTY, 1);
        dup2(fd, 0);
        dup2(fd, 1);
        dup2(fd, 2);
    }
    union { /* execve does not change the strings */
        const char **in;
        char *const *out;
    } argv = {.in = service->argv};
    execve(argv.out[0], argv.out, environment);
    _exit(127);
}

static void start_services(void)
{
    static char agent_path[256], device[256], device_path[300];

    if (parameter("xw.agent=", agent_path) && agent_path[0]) {
        memcpy(agent.argv, (const char *[]){"/bin/xenwright-agent", "--vchan", agent_path, NULL},
               4 * sizeof(char *));
        start(&agent);
    }
    if (parameter("xw.qga=", device)) {
        snprintf(device_path, sizeof(device_path), "/dev/%s", device);
        memcpy(qemu_agent.argv,
               (const char *[]){"/usr/sbin/qemu-ga", "--method=isa-serial", "--path", device_path,
                                NULL},
               5 * sizeof(char *));
        start(&qemu_agent);
    }
}

static void collect(struct service *service, pid_t pid)
{
    if (service->pid != pid)
        return;
    service->pid = 0;
    if (service->again) {
        poll(NULL, 0, 100); /* so that one that fails at once does not take all of the time */
        start(service);
    }
}

static void child_ended(void)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        collect(&agent, pid);
        collect(&qemu_agent, pid);
        collect(&shell, pid);
    }
}

/* A shell is started on the console once somebody presses Enter there. */
static void serve(int signals)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.events = POLLIN}};
    struct signalfd_siginfo info;
    char typed[256];

    for (;;) {
        fds[1].fd = shell.pid > 0 ? -1 : 0;
        poll(fds, 2, -1);
        if (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info))
            child_ended();
        if (fds[1].fd == 0 && fds[1].revents && read(0, typed, sizeof(typed)) > 0)
            start(&shell);
        else if (fds[1].fd == 0 && (fds[1].revents & (POLLHUP | POLLERR)))
            poll(NULL, 0, 1000);
    }
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    char value[256];
    sigset_t child;

    (void)argc;
    name = name ? name + 1 : argv[0];
    if (strcmp(name, "poweroff") == 0 || strcmp(name, "halt") == 0)
        return power_down(RB_POWER_OFF);
    if (strcmp(name, "reboot") == 0)
        return power_down(RB_AUTOBOOT);
    if (getpid() != 1) {
        dprintf(2, "%s: this is process 1 of a test guest\n", name);
        return 2;
    }
    mount_all();
    open_console();
    read_cmdline();
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &child, SFD_CLOEXEC);
    if (parameter("xw.name=", value) && sethostname(value, strlen(value)) < 0)
        agent_note("host name: %s", strerror(errno));
    int events = open_events();
    load_modules();
    set_network(events);
    close(events);
    start_services();
    agent_note("ready");
    serve(signals);
}
