/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a state, or having it made (state-make.c). */
#include "lab/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "lab/manifest.h"
#include "lab/state-make.h"

#define STATE_FORMAT 1 /* to be raised when states are made in another way */

/* Replace a path by the hash of what it holds: the same file elsewhere is the same file. */
static int hash_member(json_t *shape, const char *member, const char *path, struct xw_error *err)
{
    char hash[XW_HASH_TEXT_SIZE];
    int rc = path[0] ? xw_hash_file(AT_FDCWD, path, hash, err) : 0;

    if (!rc && path[0])
        json_object_set_new(shape, member, json_string(hash));
    return rc;
}

static int make_key(const struct lab_data *data, const struct lab_image *image,
                    const struct lab_qemu *qemu, const struct lab_machine *machine,
                    char out[LAB_KEY_MAX], struct xw_error *err)
{
    xw_auto_json json_t *shape = json_pack("{s:i, s:s, s:s, s:o}", "format", STATE_FORMAT, "image",
                                           image->key, "qemu", qemu->version, "machine",
                                           lab_machine_json(machine));
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(64 * 1024);
    char hash[XW_HASH_TEXT_SIZE];
    json_t *files = json_object_get(shape, "machine");
    int rc;

    if (!shape)
        return xw_error_set(err, ENOMEM, "out of memory");
    rc = hash_member(shape, "agent", data->agent, err);
    if (!rc)
        rc = hash_member(files, "xen", machine->xen, err);
    if (!rc)
        rc = hash_member(files, "kernel", machine->kernel, err);
    if (!rc)
        rc = xw_json_print(shape, &text, err);
    if (rc)
        return rc;
    xw_hash_bytes(text.data, text.length, hash);
    snprintf(out, LAB_KEY_MAX, "%.*s-%.12s", (int)strcspn(image->key, "-"), image->key, hash);
    return 0;
}

static int open_state(const struct lab_place *place, const char *key)
{
    return openat(place->states, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* 0, -ENOENT, or -EBADMSG with why it cannot be used. */
static int check_state(const struct lab_place *place, const char *key, bool content,
                       struct xw_error *err)
{
    xw_auto_close int folder = open_state(place, key);
    xw_auto_json json_t *manifest = NULL;

    if (folder < 0)
        return -ENOENT;
    if (lab_manifest_read(folder, &manifest, err) ||
        lab_manifest_check(manifest, folder, content, err))
        return -EBADMSG;
    return 0;
}

int lab_state_check(const struct lab_place *place, const char *key, struct xw_error *err)
{
    return check_state(place, key, false, err);
}

int lab_state_name(const struct lab_data *data, const struct lab_image *image,
                   const struct lab_qemu *qemu, const struct lab_machine *machine,
                   struct lab_state *ret, struct xw_error *err)
{
    ret->made = false;
    return make_key(data, image, qemu, machine, ret->key, err);
}

int lab_state_verify(const struct lab_place *place, const char *key, struct xw_error *err)
{
    return check_state(place, key, true, err);
}

void lab_state_set_aside(const struct lab_place *place, const char *key, const char *why)
{
    char name[LAB_KEY_MAX + 16];

    /* Labs that run from it have its files open; the next of its kind clears the folder. */
    snprintf(name, sizeof(name), ".damaged-%s", key);
    xw_log(XW_LOG_WARNING, "state %s: %s; it will be made again", key, why);
    xw_file_remove_tree(place->states, name, NULL);
    renameat(place->states, key, place->states, name);
}

/* The files of the state as the machine's own. */
static void use_files(struct lab_machine *machine, const char *key)
{
    snprintf(machine->xen, sizeof(machine->xen), "../states/%s/xen", key);
    snprintf(machine->kernel, sizeof(machine->kernel), "../states/%s/vmlinuz", key);
    snprintf(machine->initrd, sizeof(machine->initrd), "../states/%s/initrd.img", key);
}

/* With the lock of the state held: find it, or make it. */
static int get_locked(const struct lab_place *place, const struct lab_data *data,
                      const struct lab_image *image, const struct lab_qemu *qemu,
                      struct lab_machine *machine, const struct lab_reporter *reporter,
                      struct lab_state *ret, struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    int rc = check_state(place, ret->key, false, &why);

    if (rc == -EBADMSG)
        lab_state_set_aside(place, ret->key, why.message);
    if (rc) {
        rc = lab_state_make(place, data, image, qemu, machine, ret->key, reporter, err);
        ret->made = true;
    }
    if (!rc)
        use_files(machine, ret->key);
    return rc;
}

int lab_state_get(const struct lab_place *place, const struct lab_data *data,
                  const struct lab_image *image, const struct lab_qemu *qemu,
                  struct lab_machine *machine, const struct lab_reporter *reporter,
                  struct lab_state *ret, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    char lock_name[LAB_KEY_MAX + 32];
    int rc;

    rc = lab_state_name(data, image, qemu, machine, ret, err);
    if (rc)
        return rc;
    /* The usual case needs no lock: a state that is there is whole. */
    if (check_state(place, ret->key, false, NULL) == 0) {
        use_files(machine, ret->key);
        return 0;
    }
    snprintf(lock_name, sizeof(lock_name), "tmp/state-%s.lock", ret->key);
    lab_report(reporter, "waiting for another xenwright that makes this state", -1);
    rc = xw_lock_take(&lock, place->cache, lock_name, XW_LOCK_EXCLUSIVE, -1, err);
    if (!rc)
        rc = get_locked(place, data, image, qemu, machine, reporter, ret, err);
    xw_lock_release(&lock);
    return rc;
}
