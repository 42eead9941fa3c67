/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/state-make.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "lab/control.h"
#include "lab/failed.h"
#include "lab/manifest.h"
#include "lab/overlay.h"
#include "lab/run.h"
#include "lab/transfer.h"
#include "lab/watch.h"

#define BOOT_TIMEOUT_MS (15 * 60 * 1000)
#define READY_TIMEOUT_MS (5 * 60 * 1000)
#define QMP_TIMEOUT_MS 30000

/* Wait for the agent to answer; shows the console's last line meanwhile. */
static int wait_agent(struct lab_watch *watch, struct lab_client *client,
                      const struct lab_reporter *reporter, struct xw_error *err)
{
    char step[128], shown[128] = "";
    int rc = lab_client_start_hello(client, BOOT_TIMEOUT_MS, err);

    if (!rc)
        rc = lab_client_step(client, NULL, 0, err);
    while (rc == LAB_CLIENT_WAITING) {
        struct pollfd fds[LAB_CLIENT_POLLFDS + LAB_WATCH_POLLFDS];
        int timeout = -1;
        size_t own = lab_client_pollfds(client, fds, &timeout);
        size_t count = own + lab_watch_pollfds(watch, fds + own, &timeout);

        poll(fds, count, timeout);
        snprintf(step, sizeof(step), "booting Xen and dom0: %.60s", lab_watch_last_line(watch));
        if (strcmp(step, shown) != 0)
            lab_report(reporter, memcpy(shown, step, sizeof(shown)), -1);
        rc = lab_watch_check(watch, err);
        if (!rc)
            rc = lab_client_step(client, fds, own, err);
    }
    return rc == LAB_CLIENT_DONE ? 0 : rc;
}

/*
 * The services have come up, xl answers, and what guests will need has been read from the disk
 * once. A service that failed does not matter here ("degraded"): whoever needs it will see.
 */
static int wait_services(struct lab_watch *watch, struct lab_client *client, struct xw_error *err)
{
    static const char *const settled[] = {"systemctl", "is-system-running", "--wait", NULL};
    static const char *const list[] = {"xl", "list", NULL};
    static const char *const warm[] = {
        "sh", "-c",
        "cat /usr/lib/xen*/bin/* /usr/lib/xen*/boot/* /usr/bin/qemu-system-i386 "
        "/boot/vmlinuz-* /usr/lib/xenwright/guest/* >/dev/null 2>&1; xl info >/dev/null; sync",
        NULL};
    struct lab_exec exec = {.argv = settled, .in = -1, .out = -1, .err = -1};
    struct lab_exec_end end;
    int rc = lab_run_on(watch, client, &exec, READY_TIMEOUT_MS, &end, err);

    exec.argv = list;
    if (!rc)
        rc = lab_run_on(watch, client, &exec, READY_TIMEOUT_MS, &end, err);
    if (!rc && (end.kind != LAB_EXIT_STATUS || end.value != 0))
        rc = xw_error_set(err, EIO, "dom0 has booted but 'xl list' fails in it");
    exec.argv = warm;
    if (!rc)
        rc = lab_run_on(watch, client, &exec, READY_TIMEOUT_MS, &end, err);
    return rc;
}

int lab_state_wait_ready(const struct lab_place *place, const char *name, pid_t pid,
                         const struct lab_reporter *reporter, struct xw_error *err)
{
    struct lab_watch *watch;
    struct lab_channel channel;
    int rc = lab_watch_open(place, name, pid, &watch, err);

    if (rc)
        return rc;
    lab_watch_spare_hangs(watch);
    rc = lab_channel_take(place, name, 0, &channel, err);
    if (!rc) {
        rc = wait_agent(watch, channel.client, reporter, err);
        if (!rc)
            lab_report(reporter, "waiting for dom0's services", -1);
        if (!rc)
            rc = wait_services(watch, channel.client, err);
        lab_channel_release(&channel);
    }
    lab_watch_free(watch);
    return rc;
}

/* A state in the making: its folder in tmp/, and the folder of its sockets in labs/. */
struct making {
    const struct lab_place *place;
    char *key; /* of LAB_KEY_MAX */
    char run[LAB_NAME_MAX + 1];       /* name in labs/ */
    char folder_name[LAB_KEY_MAX + 32]; /* in the cache */
    int folder;
    struct xw_lock alive;
    pid_t pid;
};

static int clear(struct making *making, struct xw_error *err)
{
    int rc = lab_control_end(making->place, making->run, making->pid, err);

    if (!rc)
        rc = xw_file_remove_tree(making->place->labs, making->run, err);
    if (!rc)
        rc = xw_file_remove_tree(making->place->cache, making->folder_name, err);
    return rc;
}

static int open_folders(struct making *making, struct xw_error *err)
{
    char alive[LAB_NAME_MAX + 32];
    int rc;

    snprintf(making->run, sizeof(making->run), ".state-%s", strrchr(making->key, '-') + 1);
    snprintf(making->folder_name, sizeof(making->folder_name), "states/.new-%s", making->key);
    rc = clear(making, err);
    if (!rc)
        rc = xw_file_make_folders(making->place->labs, making->run, 0700, err);
    if (!rc)
        rc = xw_file_make_folders(making->place->cache, making->folder_name, 0700, err);
    if (rc)
        return rc;
    making->folder = openat(making->place->cache, making->folder_name,
                            O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (making->folder < 0)
        return xw_error_set_errno(err, "%s", making->folder_name);
    snprintf(alive, sizeof(alive), "%s/alive", making->run);
    return xw_lock_take(&making->alive, making->place->labs, alive, XW_LOCK_EXCLUSIVE, 0, err);
}

static int boot(struct making *making, const struct lab_data *data, const struct lab_image *image,
                const struct lab_qemu *qemu, const struct lab_machine *wanted, struct xw_error *err)
{
    struct lab_machine machine = *wanted;
    char backing[LAB_KEY_MAX + 64], path[LAB_KEY_MAX + 64], disk[LAB_KEY_MAX + 96],
        ram[LAB_KEY_MAX + 96];
    int rc;

    snprintf(path, sizeof(path), "../%s", making->folder_name);
    snprintf(disk, sizeof(disk), "%s/disk.qcow2", path);
    snprintf(ram, sizeof(ram), "%s/ram.img", path);
    snprintf(backing, sizeof(backing), "../../images/%s/dom0.qcow2", image->key);
    rc = lab_state_boot_files(making->place, data, image, making->folder, path, &machine, err);
    if (!rc)
        rc = lab_overlay_make(making->folder, "disk.qcow2", backing, err);
    if (rc)
        return rc;
    const struct lab_start start = {.name = making->run, .disk = disk, .memory = LAB_MEMORY_SHARED,
                                    .ram = ram, .mac = "52:54:00:00:00:01", .passing = true,
                                    .alive_fd = making->alive.fd};

    rc = lab_machine_start(making->place, qemu, &machine, &start, &making->pid, err);
    xw_lock_release(&making->alive);
    return rc;
}

/* Stop the machine, take its state, end it. */
static int freeze(struct making *making, struct xw_error *err)
{
    xw_auto_close int file = openat(making->folder, "device.state",
                                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct xw_qmp *qmp;
    int rc;

    if (file < 0)
        return xw_error_set_errno(err, "device.state");
    rc = lab_control_qmp(making->place, making->run, &qmp, err);
    if (rc)
        return rc;
    rc = xw_qmp_execute(qmp, "stop", NULL, QMP_TIMEOUT_MS, NULL, err);
    if (!rc)
        rc = lab_transfer_save(qmp, file, true, NULL, NULL, err);
    xw_qmp_close(qmp);
    if (!rc)
        rc = lab_control_end(making->place, making->run, making->pid, err);
    return rc;
}

static int publish(struct making *making, const struct lab_image *image,
                   const struct lab_qemu *qemu, const struct lab_machine *machine,
                   struct xw_error *err)
{
    static const char *const files[] = {"ram.img", "device.state", "disk.qcow2", "xen", "vmlinuz",
                                        "initrd.img", NULL};
    const struct lab_shelf states = lab_shelf_states(making->place);
    xw_auto_close int ram = openat(making->folder, "ram.img", O_RDWR | O_CLOEXEC);
    xw_auto_json json_t *manifest = json_pack(
        "{s:i, s:s, s:s, s:s, s:o, s:I}", "format", LAB_MANIFEST_FORMAT, "kind", "state", "image",
        image->key, "qemu", qemu->version, "machine", lab_machine_json(machine), "created",
        (json_int_t)time(NULL));
    int rc;

    if (ram < 0)
        return xw_error_set_errno(err, "ram.img");
    if (!manifest)
        return xw_error_set(err, ENOMEM, "out of memory");
    rc = xw_sparse_punch(ram, NULL, err);
    return rc ? rc
              : lab_shelf_put(making->place, &states, making->folder_name, making->key, manifest,
                              files, making->key, err);
}

int lab_state_make(const struct lab_place *place, const char *lab, const struct lab_data *data,
                   const struct lab_image *image, const struct lab_qemu *qemu,
                   const struct lab_machine *machine, const struct lab_reporter *reporter,
                   char key[LAB_KEY_MAX], struct xw_error *err)
{
    struct making making = {.place = place, .key = key, .folder = -1, .alive = XW_LOCK_INIT};
    int rc = open_folders(&making, err);

    lab_report(reporter, "booting Xen and dom0", -1);
    if (!rc)
        rc = boot(&making, data, image, qemu, machine, err);
    if (!rc)
        rc = lab_state_wait_ready(place, making.run, making.pid, reporter, err);
    lab_report(reporter, "saving the state", -1);
    if (!rc)
        rc = freeze(&making, err);
    if (!rc)
        rc = publish(&making, image, qemu, machine, err);
    xw_lock_release(&making.alive);
    if (rc) {
        lab_failed_keep(place, making.run, lab, err);
        xw_error_prefix(err, "the first boot of %s", image->key);
    }
    if (making.folder >= 0)
        close(making.folder);
    clear(&making, NULL);
    return rc;
}
