/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's command line, and its start. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/socket.h"
#include "lab/machine.h"

#define ARGV_MAX 160
#define START_TIMEOUT_MS 60000
#define ALIVE_FD 3 /* the inherited lock, in QEMU */

/* An argv under construction; the texts are in one buffer. Too much of anything sets `failed`. */
struct command {
    char *argv[ARGV_MAX];
    size_t count;
    char text[32768];
    size_t used;
    bool failed;
};

static void add(struct command *command, const char *format, ...) XW_PRINTF(2, 3);
static void add(struct command *command, const char *format, ...)
{
    size_t room = sizeof(command->text) - command->used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(command->text + command->used, room, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= room || command->count >= ARGV_MAX - 1) {
        command->failed = true;
        return;
    }
    command->argv[command->count++] = command->text + command->used;
    command->used += (size_t)length + 1;
}

static void add_processor(struct command *command, const struct lab_machine *machine)
{
    add(command, "-accel");
    if (strcmp(machine->accel, "kvm") == 0) {
        add(command, "kvm");
        add(command, "-cpu");
        add(command, "host");
    } else {
        /* Counting instructions needs all processors in one thread. */
        add(command, machine->icount ? "tcg,thread=single" : "tcg,thread=multi");
        add(command, "-cpu");
        add(command, "qemu64,+svm,+npt");
    }
    if (machine->icount) {
        add(command, "-icount");
        add(command, "shift=1,sleep=off");
    }
    add(command, "-smp");
    add(command, "%u", machine->cpus);
}

static void add_memory(struct command *command, const struct lab_machine *machine,
                       const struct lab_start *start)
{
    add(command, "-m");
    add(command, "%u", machine->memory);
    add(command, "-object");
    if (start->memory == LAB_MEMORY_FRESH)
        add(command, "memory-backend-ram,id=ram,size=%uM", machine->memory);
    else
        add(command, "memory-backend-file,id=ram,size=%uM,mem-path=%s,share=%s", machine->memory,
            start->ram, start->memory == LAB_MEMORY_SHARED ? "on" : "off");
}

/* QEMU's own syntax doubles a comma inside a value. */
static void double_commas(const char *in, char *out, size_t size)
{
    size_t at = 0;

    for (; *in && at + 2 < size; in++) {
        if (*in == ',')
            out[at++] = ',';
        out[at++] = *in;
    }
    out[at] = '\0';
}

/*
 * Xen is loaded by QEMU's multiboot loader, dom0's kernel and initrd as its modules. dom0 gets
 * three eighths of the memory, guests the rest. A dead Xen stays as it is, to be looked at
 * (noreboot); a non-maskable interrupt makes a hanging one tell where (nmi=fatal). Scrubbing would
 * touch, and so make part of every saved state, all free memory.
 */
static void add_boot(struct command *command, const struct lab_machine *machine)
{
    unsigned dom0 = machine->memory / 8 * 3;
    char args[2 * LAB_ARGS_MAX];

    add(command, "-kernel");
    add(command, "%s", machine->xen);
    add(command, "-append");
    add(command, "dom0_mem=%uM,max:%uM console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all "
        "noreboot bootscrub=0 nmi=fatal%s%s", dom0, dom0, machine->xen_args[0] ? " " : "",
        machine->xen_args);
    double_commas(machine->dom0_args, args, sizeof(args));
    add(command, "-initrd");
    add(command, "%s console=hvc0 root=/dev/vda rw quiet net.ifnames=0 "
        "systemd.show_status=false%s%s,%s", machine->kernel, args[0] ? " " : "", args,
        machine->initrd);
}

static void add_devices(struct command *command, const struct lab_start *start)
{
    add(command, "-blockdev");
    add(command, "qcow2,node-name=disk0,file.driver=file,file.filename=%s,discard=unmap,"
        "cache.no-flush=on,file.cache.no-flush=on", start->disk);
    add(command, "-device");
    add(command, "virtio-blk-pci,id=dom0-disk,drive=disk0,addr=3");
    add(command, "-netdev");
    add(command, "user,id=net0");
    add(command, "-device");
    add(command, "virtio-net-pci,id=nic0,netdev=net0,mac=%s,addr=4,romfile=", start->mac);
    add(command, "-device");
    add(command, "virtio-serial-pci,id=agent,max_ports=%d,addr=5", LAB_CHANNELS + 1);
    for (int i = 0; i < LAB_CHANNELS; i++) {
        add(command, "-chardev");
        add(command, "socket,id=agent%d,path=%s/agent.%d,server=on,wait=off", i, start->name, i);
        add(command, "-device");
        add(command, "virtserialport,bus=agent.0,nr=%d,chardev=agent%d,name=%s.%d", i + 1, i,
            LAB_CHANNEL_PORT, i);
    }
    add(command, "-chardev");
    add(command, "socket,id=console,path=%s/console,server=on,wait=off,logfile=%s/console.log,"
        "logappend=on", start->name, start->name);
    add(command, "-serial");
    add(command, "chardev:console");
    /* A monitor serves one client at a time: one for commands, one for looking
     * (lab/hang-monitor.c). */
    add(command, "-qmp");
    add(command, "unix:%s/qmp,server=on,wait=off", start->name);
    add(command, "-qmp");
    add(command, "unix:%s/watch,server=on,wait=off", start->name);
}

static int add_plugs(struct command *command, const struct lab_start *start, struct xw_error *err)
{
    struct lab_plug plug;
    size_t i;
    json_t *entry;
    int rc;

    json_array_foreach (start->disks, i, entry) {
        rc = lab_plug_disk(entry, &plug, err);
        if (rc)
            return rc;
        add(command, "-blockdev");
        add(command, "%s", plug.backend);
        add(command, "-device");
        add(command, "%s", plug.device);
    }
    json_array_foreach (start->links, i, entry) {
        rc = lab_plug_link(entry, start->name, &plug, err);
        if (rc)
            return rc;
        add(command, "-netdev");
        add(command, "%s", plug.backend);
        add(command, "-device");
        add(command, "%s", plug.device);
    }
    return 0;
}

static int build_command(struct command *command, const struct lab_qemu *qemu,
                         const struct lab_machine *machine, const struct lab_start *start,
                         struct xw_error *err)
{
    int rc;

    add(command, "%s", qemu->program);
    add(command, "-name");
    add(command, "xenwright-lab-%s", start->name);
    add(command, "-nodefaults");
    add(command, "-no-user-config");
    add(command, "-display");
    add(command, "none");
    add(command, "-machine");
    add(command, "pc,memory-backend=ram");
    add_processor(command, machine);
    add_memory(command, machine, start);
    add_boot(command, machine);
    add_devices(command, start);
    if (start->wait_state) {
        add(command, "-S");
        add(command, "-incoming");
        add(command, "defer");
    }
    if (start->gdb) {
        add(command, "-gdb");
        add(command, "unix:%s/gdb,server=on,wait=off", start->name);
    }
    rc = add_plugs(command, start, err);
    if (!rc && command->failed)
        rc =
            xw_error_set(err, E2BIG, "lab '%s': too many devices or too long options", start->name);
    return rc;
}

/* The last line QEMU wrote before it ended, as the reason. */
static int explain_end(const struct lab_place *place, const char *log, int status,
                       struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(64 * 1024);
    const char *line;
    char *end;

    if (xw_file_read(place->labs, log, 64 * 1024, &text, NULL) || text.length == 0)
        return xw_error_set(err, ECHILD, "qemu ended at its start (status %d) without a word",
                            status);
    end = text.data + text.length - 1;
    while (end > text.data && *end == '\n')
        *end-- = '\0';
    line = xw_buffer_text(&text);
    line = strrchr(line, '\n') ? strrchr(line, '\n') + 1 : line;
    return xw_error_set(err, ECHILD, "%s", line);
}

/*
 * What a QEMU before left in the folder: its socket, which what waits for that of the new one would
 * find, and what its Xen said and died of, which would be taken for the end of the new one.
 */
static void remove_stale(const struct lab_place *place, const char *name)
{
    static const char *const files[] = {"qmp", "console.log", "crash.json", "ssh-port"};
    char path[LAB_NAME_MAX + 64];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", name, files[i]);
        unlinkat(place->labs, path, 0);
    }
}

/* Wait until the QMP socket is there, or the process has ended. */
static int wait_listening(const struct lab_place *place, const char *name, struct xw_child *child,
                          struct xw_error *err)
{
    char folder[PATH_MAX], socket_name[LAB_NAME_MAX + 64];
    xw_auto_close int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int64_t deadline = xw_deadline(START_TIMEOUT_MS);

    snprintf(folder, sizeof(folder), "/proc/self/fd/%d/%s", place->labs, name);
    snprintf(socket_name, sizeof(socket_name), "%s/qmp", name);
    if (watch < 0 || inotify_add_watch(watch, folder, IN_CREATE) < 0)
        return xw_error_set_errno(err, "lab '%s': cannot watch its folder", name);
    for (;;) {
        struct pollfd fds[] = {{.fd = watch, .events = POLLIN},
                               {.fd = child->pidfd, .events = POLLIN}};
        char events[4096];

        if (faccessat(place->labs, socket_name, F_OK, 0) == 0)
            return 0;
        if (poll(fds, 2, xw_deadline_left(deadline)) <= 0)
            return xw_error_set(err, ETIMEDOUT, "qemu did not start in %d s",
                                START_TIMEOUT_MS / 1000);
        if (fds[1].revents) {
            char log[LAB_NAME_MAX + 64];
            enum xw_spawn_end end;
            int status = 0;

            snprintf(log, sizeof(log), "%s/qemu.log", name);
            xw_child_wait(child, -1, &end, &status, NULL);
            return explain_end(place, log, status, err);
        }
        while (read(watch, events, sizeof(events)) > 0)
            ;
    }
}

int lab_machine_start(const struct lab_place *place, const struct lab_qemu *qemu,
                      const struct lab_machine *machine, const struct lab_start *start,
                      pid_t *ret_pid, struct xw_error *err)
{
    xw_auto_free struct command *command = calloc(1, sizeof(*command));
    char log_name[LAB_NAME_MAX + 64];
    xw_auto_close int log = -1;
    struct xw_child child;
    int rc;

    if (!command)
        return xw_error_set(err, ENOMEM, "out of memory");
    rc = build_command(command, qemu, machine, start, err);
    if (rc)
        return rc;
    snprintf(log_name, sizeof(log_name), "%s/qemu.log", start->name);
    log = openat(place->labs, log_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log < 0)
        return xw_error_set_errno(err, "%s/labs/%s", place->path, log_name);
    const struct xw_spawn_fd alive = {.ours = start->alive_fd, .theirs = ALIVE_FD};
    const struct xw_spawn spawn = {.argv = (const char *const *)command->argv,
                                   .cwd_fd = place->labs,
                                   .stdin_fd = XW_SPAWN_NULL,
                                   .stdout_fd = log,
                                   .stderr_fd = log,
                                   .fds = &alive,
                                   .fd_count = 1,
                                   .new_session = true,
                                   .end_with_parent = start->passing ? SIGKILL : 0};

    remove_stale(place, start->name);
    rc = xw_spawn_start(&spawn, &child, err);
    if (rc)
        return rc;
    rc = wait_listening(place, start->name, &child, err);
    if (rc == -ETIMEDOUT)
        xw_child_kill(&child, SIGKILL, NULL);
    *ret_pid = child.pid;
    xw_child_forget(&child);
    return rc;
}
