/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The link to the host of a target: one ssh in the background that forwards two sockets, of NBD and
 * of QMP, and through which other programs are run there (ControlMaster of ssh_config(5)).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/spawn.h"
#include "snapshot/mirror.h"

#define CHECK_MS 15000
#define CONNECT_MS 90000
#define RUN_MS 120000

void xw_mirror_socket(const struct xw_mirror *mirror, const char *ending, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, XW_MIRROR_RUN "/%s.%s", mirror->id, ending);
}

static void control_option(const struct xw_mirror *mirror, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "ControlPath=" XW_MIRROR_RUN "/%s.ctl", mirror->id);
}

static int command_master(const struct xw_mirror *mirror, const char *host, const char *what)
{
    char control[PATH_MAX];
    const char *const argv[] = {"ssh", "-o", control, "-O", what, "--", host, NULL};

    control_option(mirror, control);
    return xw_spawn_check(&(struct xw_spawn){.argv = argv, .timeout_ms = CHECK_MS}, NULL, NULL);
}

bool xw_mirror_link_is_up(const struct xw_mirror *mirror, const char *host)
{
    return command_master(mirror, host, "check") == 0;
}

/*
 * A cut is noticed within half a minute, since a request that was sent and not answered keeps QEMU
 * from standing still where it has to (a snapshot, the guest's end).
 */
int xw_mirror_link_up(const struct xw_mirror *mirror, const char *host, bool ask,
                      struct xw_error *err)
{
    char control[PATH_MAX], nbd[PATH_MAX], qmp[PATH_MAX];
    xw_auto_free char *nbd_pair = NULL, *qmp_pair = NULL;
    struct xw_spawn spawn = {.stdin_fd = ask ? XW_SPAWN_INHERIT : XW_SPAWN_NULL,
                             .stdout_fd = XW_SPAWN_NULL,
                             .stderr_fd = ask ? XW_SPAWN_INHERIT : XW_SPAWN_DEFAULT,
                             .new_session = !ask,
                             .timeout_ms = CONNECT_MS};
    int rc;

    if (xw_mirror_link_is_up(mirror, host))
        return 0;
    control_option(mirror, control);
    xw_mirror_socket(mirror, "nbd", nbd);
    xw_mirror_socket(mirror, "qmp", qmp);
    if (asprintf(&nbd_pair, "%s:%s", nbd, nbd) < 0 || asprintf(&qmp_pair, "%s:%s", qmp, qmp) < 0)
        return xw_error_set(err, ENOMEM, "the link to %s: out of memory", host);
    spawn.argv = (const char *const[]){"ssh", "-f", "-N", "-M",
                                       "-o", control,
                                       "-o", ask ? "BatchMode=no" : "BatchMode=yes",
                                       "-o", "ControlPersist=no",
                                       "-o", "ExitOnForwardFailure=yes",
                                       "-o", "StreamLocalBindUnlink=yes",
                                       "-o", "ServerAliveInterval=5",
                                       "-o", "ServerAliveCountMax=4",
                                       "-o", "ConnectTimeout=30",
                                       "-L", nbd_pair, "-L", qmp_pair, "--", host, NULL};
    rc = xw_file_make_folders(AT_FDCWD, XW_MIRROR_RUN, 0700, err);
    if (!rc)
        rc = xw_spawn_check(&spawn, NULL, err);
    if (rc)
        xw_error_prefix(err, "no link to '%s'", host);
    return rc;
}

/* ssh hands all words to a shell there, as one text. */
static char *quote(const char *const *argv)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(64 * 1024);
    int rc = 0;

    for (; *argv && !rc; argv++) {
        rc = xw_buffer_append_text(&text, text.length ? " '" : "'", NULL);
        for (const char *at = *argv; *at && !rc; at++)
            rc = *at == '\'' ? xw_buffer_append_text(&text, "'\\''", NULL)
                             : xw_buffer_append(&text, at, 1, NULL);
        if (!rc)
            rc = xw_buffer_append_text(&text, "'", NULL);
    }
    return rc ? NULL : xw_buffer_steal(&text);
}

int xw_mirror_link_words(const struct xw_mirror *mirror, const char *host,
                         const char *const *argv, char **memory,
                         const char *words[XW_MIRROR_WORDS], struct xw_error *err)
{
    xw_auto_free char *command = quote(argv);
    int length = snprintf(NULL, 0, "ControlPath=" XW_MIRROR_RUN "/%s.ctl", mirror->id);
    char *text = command ? malloc((size_t)length + 1 + strlen(command) + 1) : NULL;
    int at = 0;

    if (!text)
        return xw_error_set(err, ENOMEM, "a command for '%s': out of memory", host);
    snprintf(text, (size_t)length + 1, "ControlPath=" XW_MIRROR_RUN "/%s.ctl", mirror->id);
    memcpy(text + length + 1, command, strlen(command) + 1);
    for (const char *const *word = (const char *const[]){"ssh", "-o", text, "-o", "BatchMode=yes",
                                                         "-o", "ControlMaster=no", "--", host,
                                                         text + length + 1, NULL};
         *word; word++)
        words[at++] = *word;
    words[at] = NULL;
    *memory = text;
    return 0;
}

int xw_mirror_link_run(const struct xw_mirror *mirror, const char *host, const char *const *argv,
                       struct xw_error *err)
{
    const char *words[XW_MIRROR_WORDS];
    xw_auto_free char *memory = NULL;
    struct xw_spawn spawn = {.argv = words, .timeout_ms = RUN_MS};
    int rc = xw_mirror_link_words(mirror, host, argv, &memory, words, err);

    if (!rc)
        rc = xw_spawn_check(&spawn, NULL, err);
    if (rc)
        xw_error_prefix(err, "'%s' on '%s'", argv[0], host);
    return rc;
}

/* ssh and qemu-storage-daemon leave the sockets that they listened at. */
void xw_mirror_link_down(const struct xw_mirror *mirror, const char *host)
{
    char control[PATH_MAX], nbd[PATH_MAX], qmp[PATH_MAX];
    const char *const argv[] = {"rm", "-f", nbd, qmp, NULL};

    xw_mirror_socket(mirror, "ctl", control);
    xw_mirror_socket(mirror, "nbd", nbd);
    xw_mirror_socket(mirror, "qmp", qmp);
    if (xw_mirror_link_is_up(mirror, host)) {
        xw_mirror_link_run(mirror, host, argv, NULL);
        command_master(mirror, host, "exit");
    }
    unlink(control);
    unlink(nbd);
    unlink(qmp);
}
