/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/random.h"
#include "base/spawn.h"

#define KEY_SIZE_MAX 8192
#define TIMEOUT_MS 60000
#define SEED_BYTES 64

static int make_key_pair(int folder, const char *path, const char *comment, struct xw_error *err)
{
    const char *const argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment,
                                "-f", path, NULL};
    const struct xw_spawn spawn = {.argv = argv, .cwd_fd = folder, .timeout_ms = TIMEOUT_MS};

    return xw_spawn_check(&spawn, NULL, err);
}

/* The user's own key pair for all labs, made once. */
static int ensure_user_key(const struct lab_place *place, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    int rc;

    if (faccessat(place->cache, LAB_SSH_KEY ".pub", R_OK, 0) == 0)
        return 0;
    rc = xw_file_make_folders(place->cache, "ssh", 0700, err);
    if (!rc)
        rc = xw_lock_take(&lock, place->cache, "ssh/lock", XW_LOCK_EXCLUSIVE, -1, err);
    if (!rc && faccessat(place->cache, LAB_SSH_KEY ".pub", R_OK, 0) < 0) {
        unlinkat(place->cache, LAB_SSH_KEY, 0);
        rc = make_key_pair(place->cache, LAB_SSH_KEY, "xenwright-lab", err);
    }
    xw_lock_release(&lock);
    return rc;
}

int lab_identity_choose(const struct lab_place *place, struct lab_record *record,
                        struct xw_error *err)
{
    char path[LAB_NAME_MAX + 64];
    unsigned char tail[3];
    int rc = lab_number_choose(place, record->name, &record->number, err);

    if (!rc)
        rc = xw_random_bytes(tail, sizeof(tail), err);
    if (!rc)
        rc = ensure_user_key(place, err);
    if (rc)
        return rc;
    snprintf(record->mac, sizeof(record->mac), "52:54:00:%02x:%02x:%02x", tail[0], tail[1],
             tail[2]);
    /* A lab that is down but has saved states may come up again. */
    snprintf(path, sizeof(path), "%s/ssh_host_ed25519_key", record->name);
    if (faccessat(place->labs, path, F_OK, 0) == 0)
        return 0;
    return make_key_pair(place->labs, path, record->name, err);
}

void lab_identity_address(const struct lab_record *record, char out[24])
{
    snprintf(out, 24, "10.0.2.%d", 20 + record->number);
}

/* Append "file=MODE PATH BASE64". */
static int add_file(struct xw_buffer *lines, const char *mode, const char *path, const void *bytes,
                    size_t size, struct xw_error *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = bytes;
    int rc = xw_buffer_printf(lines, err, "file=%s %s ", mode, path);

    for (size_t i = 0; i < size && !rc; i += 3) {
        unsigned word = (unsigned)in[i] << 16;
        char four[4];

        if (i + 1 < size)
            word |= (unsigned)in[i + 1] << 8;
        if (i + 2 < size)
            word |= in[i + 2];
        four[0] = digits[word >> 18 & 63];
        four[1] = digits[word >> 12 & 63];
        four[2] = i + 1 < size ? digits[word >> 6 & 63] : '=';
        four[3] = i + 2 < size ? digits[word & 63] : '=';
        rc = xw_buffer_append(lines, four, 4, err);
    }
    return rc ? rc : xw_buffer_append(lines, "\n", 1, err);
}

/* A file of ours becomes one of the lab's. */
static int add_copy(struct xw_buffer *lines, const char *mode, const char *path, int folder,
                    const char *from, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer content = XW_BUFFER_INIT(KEY_SIZE_MAX);
    int rc = xw_file_read(folder, from, KEY_SIZE_MAX, &content, err);

    return rc ? rc : add_file(lines, mode, path, content.data, content.length, err);
}

static int add_keys(const struct lab_place *place, const struct lab_record *record,
                    struct xw_buffer *lines, struct xw_error *err)
{
    char path[LAB_NAME_MAX + 64];
    int rc;

    snprintf(path, sizeof(path), "%s/ssh_host_ed25519_key", record->name);
    rc = add_copy(lines, "600", "/etc/ssh/ssh_host_ed25519_key", place->labs, path, err);
    snprintf(path, sizeof(path), "%s/ssh_host_ed25519_key.pub", record->name);
    if (!rc)
        rc = add_copy(lines, "644", "/etc/ssh/ssh_host_ed25519_key.pub", place->labs, path, err);
    if (!rc)
        rc = add_copy(lines, "600", "/root/.ssh/authorized_keys", place->cache, LAB_SSH_KEY ".pub",
                      err);
    return rc;
}

static int add_names(const struct lab_record *record, struct xw_buffer *lines, struct xw_error *err)
{
    char hosts[256], machine_id[33], seed[2 * SEED_BYTES + 1], address[24];
    int rc = xw_random_hex(machine_id, 32, err);

    if (!rc)
        rc = xw_random_hex(seed, 2 * SEED_BYTES, err);
    if (rc)
        return rc;
    lab_identity_address(record, address);
    snprintf(hosts, sizeof(hosts), "127.0.0.1 localhost\n::1 localhost\n%s %s\n", address,
             record->name);
    rc = xw_buffer_printf(lines, err, "seed=%s\nhostname=%s\nmachine-id=%s\n", seed, record->name,
                          machine_id);
    if (!rc)
        rc = add_file(lines, "644", "/etc/hosts", hosts, strlen(hosts), err);
    if (!rc)
        rc = xw_buffer_printf(lines, err, "mac=eth0 %s\naddress=eth0 %s/24\ngateway=10.0.2.2\n",
                              record->mac, address);
    return rc;
}

static int add_time(struct xw_buffer *lines, struct xw_error *err)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return xw_buffer_printf(lines, err, "time=%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
}

static int send_lines(const struct xw_buffer *lines, struct lab_watch *watch,
                      struct lab_client *client, struct xw_error *err)
{
    int rc = lab_client_start_personalise(client, xw_buffer_text(lines), TIMEOUT_MS, err);

    return rc ? rc : lab_watch_drive(watch, client, err);
}

int lab_identity_set_clock(struct lab_watch *watch, struct lab_client *client, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer lines = XW_BUFFER_INIT(256);
    int rc = add_time(&lines, err);

    return rc ? rc : send_lines(&lines, watch, client, err);
}

int lab_identity_give(const struct lab_place *place, const struct lab_record *record,
                      struct lab_watch *watch, struct lab_client *client, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer lines = XW_BUFFER_INIT(64 * 1024);
    int rc = add_time(&lines, err);

    if (!rc)
        rc = add_names(record, &lines, err);
    if (!rc)
        rc = add_keys(place, record, &lines, err);
    return rc ? rc : send_lines(&lines, watch, client, err);
}
