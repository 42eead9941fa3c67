/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files a lab boots from: the image's own, or those of somebody who works on Xen or a kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sparse.h"
#include "base/spawn.h"
#include "lab/state.h"

#define AGENT_NAME "xenwright-agent"
#define XEN_SIZE_MAX ((size_t)256 << 20)

static int copy_into(int folder, const char *name, const char *from, struct xw_error *err)
{
    xw_auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
    xw_auto_close int out =
        in < 0 ? -1 : openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (in < 0)
        return xw_error_set_errno(err, "%s", from);
    if (out < 0)
        return xw_error_set_errno(err, "%s", name);
    return xw_sparse_copy(in, out, NULL, NULL, err);
}

/* Xen is shipped compressed, and QEMU's multiboot loader wants the ELF file in it. */
static int copy_xen(int folder, const char *from, struct xw_error *err)
{
    xw_auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
    unsigned char magic[2] = {0};
    const char *const argv[] = {"gzip", "-dc", "--", from, NULL};
    const struct xw_spawn spawn = {.argv = argv, .output_limit = XEN_SIZE_MAX};
    struct xw_spawn_result result;
    int rc;

    if (in < 0 || read(in, magic, sizeof(magic)) < 0)
        return xw_error_set_errno(err, "%s", from);
    if (magic[0] != 0x1f || magic[1] != 0x8b)
        return copy_into(folder, "xen", from, err);
    rc = xw_spawn_check(&spawn, &result, err);
    if (!rc)
        rc = xw_file_write(folder, "xen", result.out.data, result.out.length, 0600, err);
    xw_spawn_result_free(&result);
    return rc;
}

/* The kernel unpacks every archive in its initrd: the agent follows in one of its own. */
static int append_agent(int folder, const struct lab_data *data, struct xw_error *err)
{
    static const char name[] = AGENT_NAME "\n";
    const char *const argv[] = {"cpio", "--quiet", "-o", "-H", "newc", "--owner=0:0", NULL};
    const struct xw_spawn spawn = {.argv = argv, .cwd_fd = folder, .input = name,
                                   .input_size = strlen(name), .output_limit = 64 << 20};
    xw_auto_close int initrd = openat(folder, "initrd.img", O_WRONLY | O_CLOEXEC);
    static const char zeros[4] = {0};
    struct xw_spawn_result result;
    struct stat now;
    int rc = copy_into(folder, AGENT_NAME, data->agent, err);

    if (rc)
        return rc;
    if (initrd < 0 || fchmodat(folder, AGENT_NAME, 0755, 0) < 0)
        return xw_error_set_errno(err, "initrd.img");
    rc = xw_spawn_check(&spawn, &result, err);
    /* An archive begins at a multiple of four bytes (Linux,
     * driver-api/early-userspace/buffer-format). */
    if (!rc && (fstat(initrd, &now) < 0 || lseek(initrd, 0, SEEK_END) < 0))
        rc = xw_error_set_errno(err, "initrd.img");
    if (!rc && now.st_size % 4)
        rc = xw_file_write_all(initrd, zeros, (size_t)(4 - now.st_size % 4), "initrd.img", err);
    if (!rc)
        rc = xw_file_write_all(initrd, result.out.data, result.out.length, "initrd.img", err);
    xw_spawn_result_free(&result);
    return rc;
}

int lab_state_boot_files(const struct lab_place *place, const struct lab_data *data,
                         const struct lab_image *image, int folder, const char *path,
                         struct lab_machine *machine, struct xw_error *err)
{
    char file[PATH_MAX + LAB_KEY_MAX + 32];
    int rc;

    snprintf(file, sizeof(file), "%s/images/%s/xen", place->path, image->key);
    rc = copy_xen(folder, machine->xen[0] ? machine->xen : file, err);
    snprintf(file, sizeof(file), "%s/images/%s/vmlinuz", place->path, image->key);
    if (!rc)
        rc = copy_into(folder, "vmlinuz", machine->kernel[0] ? machine->kernel : file, err);
    snprintf(file, sizeof(file), "%s/images/%s/initrd.img", place->path, image->key);
    if (!rc)
        rc = copy_into(folder, "initrd.img", machine->initrd[0] ? machine->initrd : file, err);
    if (!rc)
        rc = append_agent(folder, data, err);
    if (rc)
        return rc;
    snprintf(machine->xen, sizeof(machine->xen), "%s/xen", path);
    snprintf(machine->kernel, sizeof(machine->kernel), "%s/vmlinuz", path);
    snprintf(machine->initrd, sizeof(machine->initrd), "%s/initrd.img", path);
    return 0;
}
