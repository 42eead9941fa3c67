/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a state, or having it made (state-make.c). */
#include "lab/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
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

/* The key, but for its last part. */
static int name_sort(const struct lab_data *data, const struct lab_image *image,
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

int lab_state_find(const struct lab_place *place, const struct lab_data *data,
                   const struct lab_image *image, const struct lab_qemu *qemu,
                   const struct lab_machine *machine, bool clear, struct lab_state *ret,
                   struct xw_error *err)
{
    const struct lab_shelf states = lab_shelf_states(place);
    char sort[LAB_KEY_MAX];
    int rc = name_sort(data, image, qemu, machine, sort, err);

    if (rc)
        return rc;
    ret->made = false;
    ret->there = lab_shelf_find(&states, sort, clear, ret->key) == 0;
    if (!ret->there)
        memcpy(ret->key, sort, sizeof(sort));
    return 0;
}

/* The files of the state as the machine's own. */
static void use_files(struct lab_machine *machine, const char *key)
{
    snprintf(machine->xen, sizeof(machine->xen), "../states/%s/xen", key);
    snprintf(machine->kernel, sizeof(machine->kernel), "../states/%s/vmlinuz", key);
    snprintf(machine->initrd, sizeof(machine->initrd), "../states/%s/initrd.img", key);
}

/* Whether what boots is Debian's own, as it is. */
static bool is_stock(const struct lab_machine *machine)
{
    return !machine->xen[0] && !machine->kernel[0] && !machine->xen_args[0] &&
           !machine->dom0_args[0];
}

/*
 * With the lock of the state held: somebody else may have made it meanwhile. An emulated processor
 * has its faults, so Xen and kernel that nobody changed get a second try, and the user is told.
 */
static int get_locked(const struct lab_place *place, const char *lab, const struct lab_data *data,
                      const struct lab_image *image, const struct lab_qemu *qemu,
                      const struct lab_machine *machine, const struct lab_reporter *reporter,
                      struct lab_state *ret, struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    int rc = lab_state_find(place, data, image, qemu, machine, true, ret, err);

    if (rc || ret->there)
        return rc;
    ret->made = true;
    rc = lab_state_make(place, lab, data, image, qemu, machine, reporter, ret->key, &why);
    if (rc == -EIO && is_stock(machine)) {
        xw_log(XW_LOG_WARNING, "%s; it is booted once more", why.message);
        return lab_state_make(place, lab, data, image, qemu, machine, reporter, ret->key, err);
    }
    if (rc && err)
        *err = why;
    return rc;
}

int lab_state_get(const struct lab_place *place, const char *lab, const struct lab_data *data,
                  const struct lab_image *image, const struct lab_qemu *qemu,
                  struct lab_machine *machine, const struct lab_reporter *reporter,
                  struct lab_state *ret, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    char lock_name[LAB_KEY_MAX + 32];
    /* The usual case needs no lock: a state that is there is whole. */
    int rc = lab_state_find(place, data, image, qemu, machine, true, ret, err);

    if (!rc && !ret->there) {
        snprintf(lock_name, sizeof(lock_name), "tmp/state-%s.lock", ret->key);
        lab_report(reporter, "waiting for another xenwright that makes this state", -1);
        rc = xw_lock_take(&lock, place->cache, lock_name, XW_LOCK_EXCLUSIVE, -1, err);
        if (!rc)
            rc = get_locked(place, lab, data, image, qemu, machine, reporter, ret, err);
        xw_lock_release(&lock);
    }
    if (!rc)
        use_files(machine, ret->key);
    return rc;
}
