/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/ssh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lab/control.h"
#include "lab/identity.h"

#define MONITOR_TIMEOUT_MS 10000
#define TRIES 16

/* A port that nobody listens on at this moment. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 0;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

/* NAME/ssh-port holds the port of the QEMU whose pid stands behind it. */
static bool recorded_port(const struct lab_place *place, const struct lab_record *record, int *ret)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(64);
    char path[LAB_NAME_MAX + 32];
    int pid;

    snprintf(path, sizeof(path), "%s/ssh-port", record->name);
    return xw_file_read(place->labs, path, 63, &text, NULL) == 0 &&
           sscanf(xw_buffer_text(&text), "%d %d", ret, &pid) == 2 && pid == record->pid;
}

/* QEMU's monitor answers with silence, or with a reason in words: then another port is tried. */
static int add_forward(struct xw_qmp *qmp, const char *address, int *ret_port, struct xw_error *err)
{
    char line[96];

    for (int i = 0; i < TRIES; i++) {
        xw_auto_free char *answer = NULL;
        int port = free_port();
        int rc;

        snprintf(line, sizeof(line), "hostfwd_add net0 tcp:127.0.0.1:%d-%s:22", port, address);
        rc = xw_qmp_monitor(qmp, line, MONITOR_TIMEOUT_MS, &answer, err);
        if (rc)
            return rc;
        *ret_port = port;
        if (port && !answer[0])
            return 0;
    }
    return xw_error_set(err, EADDRINUSE, "no port of 127.0.0.1 can be had for ssh");
}

int lab_ssh_forward(const struct lab_place *place, const struct lab_record *record, int *ret_port,
                    struct xw_error *err)
{
    char path[LAB_NAME_MAX + 32], address[24], text[64];
    struct xw_qmp *qmp;
    int rc;

    if (recorded_port(place, record, ret_port))
        return 0;
    lab_identity_address(record, address);
    rc = lab_control_qmp(place, record->name, &qmp, err);
    if (rc)
        return rc;
    rc = add_forward(qmp, address, ret_port, err);
    xw_qmp_close(qmp);
    if (rc)
        return rc;
    snprintf(path, sizeof(path), "%s/ssh-port", record->name);
    snprintf(text, sizeof(text), "%d %d\n", *ret_port, (int)record->pid);
    return xw_file_write(place->labs, path, text, strlen(text), 0600, err);
}

int lab_ssh_known_hosts(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer line = XW_BUFFER_INIT(16 * 1024);
    char path[LAB_NAME_MAX + 64];
    int rc = xw_buffer_printf(&line, err, "%s.xenwright ", record->name);

    snprintf(path, sizeof(path), "%s/ssh_host_ed25519_key.pub", record->name);
    if (!rc)
        rc = xw_file_read(place->labs, path, 8192, &line, err);
    snprintf(path, sizeof(path), "%s/known_hosts", record->name);
    return rc ? rc : xw_file_write(place->labs, path, line.data, line.length, 0600, err);
}
