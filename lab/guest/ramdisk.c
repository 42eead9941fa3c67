/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ramdisk of test guests: the archive made with the host's image, followed by one with this
 * package's programs.  The kernel unpacks one after the other (Documentation/driver-api/
 * early-userspace/buffer-format.rst), so that a new program needs no new image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lab/guest/guest.h"

#define PART_MAX (64u << 20)
#define RAMDISK_MAX (256u << 20)

/* What is put where; the sources lie beside this program. */
static const struct {
    const char *source, *target;
} programs[] = {
    {"xenwright-guest-init", "init"},
    {"xenwright-guest-agent", "bin/xenwright-agent"},
    {"xw-test", "bin/xw-test"},
};

#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

struct part {
    char path[PATH_MAX];
    const char *target; /* NULL: an archive */
    struct stat info;
};

static int find_part(struct part *part, const char *folder, const char *name, const char *target,
                     struct xw_error *err)
{
    if (snprintf(part->path, sizeof(part->path), "%s/%s", folder, name) >=
        (int)sizeof(part->path))
        return xw_error_set(err, ENAMETOOLONG, "%s: the path is too long", folder);
    part->target = target;
    if (stat(part->path, &part->info) < 0)
        return xw_error_set_errno(err, "%s", part->path);
    return 0;
}

static int find_parts(bool qga, struct part *parts, size_t *count, struct xw_error *err)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int rc;

    if (length < 0)
        return xw_error_set_errno(err, "/proc/self/exe");
    self[length] = '\0';
    *strrchr(self, '/') = '\0';

    *count = 0;
    rc = find_part(&parts[(*count)++], GUEST_DATA_DIR, "base.cpio", NULL, err);
    if (!rc && qga)
        rc = find_part(&parts[(*count)++], GUEST_DATA_DIR, "qga.cpio", NULL, err);
    for (size_t i = 0; i < PROGRAMS && !rc; i++)
        rc = find_part(&parts[(*count)++], self, programs[i].source, programs[i].target, err);
    if (rc)
        xw_error_prefix(err, "the parts of test guests are not complete");
    return rc;
}

/* Names a ramdisk by the sizes and times of its parts (FNV-1a, 64 bits). */
static uint64_t identity(const struct part *parts, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < count; i++) {
        const uint64_t words[] = {
            (uint64_t)parts[i].info.st_size, (uint64_t)parts[i].info.st_mtim.tv_sec,
            (uint64_t)parts[i].info.st_mtim.tv_nsec, (uint64_t)parts[i].info.st_ino,
        };

        for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
            hash = (hash ^ words[w]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static int pad(struct xw_buffer *out, size_t to, struct xw_error *err)
{
    static const char zeroes[512];
    size_t surplus = out->length % to;

    return surplus ? xw_buffer_append(out, zeroes, to - surplus, err) : 0;
}

/* Begins a member of an archive in the "newc" format: 14 numbers of 8 hex digits, then the name. */
static int put_header(struct xw_buffer *out, const char *name, unsigned mode, size_t size,
                      struct xw_error *err)
{
    int rc = xw_buffer_printf(
        out, err, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s", 0u, mode, 0u,
        0u, 1u, 0u, size, 0u, 0u, 0u, 0u, strlen(name) + 1, 0u, name);

    if (!rc)
        rc = xw_buffer_append(out, "", 1, err);
    return rc ? rc : pad(out, 4, err);
}

/* Adds the parts in their order: whole archives first, then an archive made of the rest. */
static int assemble(const struct part *parts, size_t count, struct xw_buffer *out,
                    struct xw_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < count && !rc; i++) {
        if (parts[i].target)
            rc = put_header(out, parts[i].target, 0100755, (size_t)parts[i].info.st_size, err);
        size_t before = out->length;
        if (!rc)
            rc = xw_file_read(AT_FDCWD, parts[i].path, PART_MAX, out, err);
        if (!rc && parts[i].target && out->length - before != (size_t)parts[i].info.st_size)
            rc = xw_error_set(err, EBUSY, "%s: it changed while it was read", parts[i].path);
        if (!rc)
            rc = pad(out, 4, err);
    }
    return rc ? rc : put_header(out, "TRAILER!!!", 0, 0, err);
}

int guest_ramdisk_make(bool qga, char path[static PATH_MAX], struct xw_error *err)
{
    struct part parts[2 + PROGRAMS];
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT(RAMDISK_MAX);
    size_t count = 0;
    int rc = find_parts(qga, parts, &count, err);

    if (!rc)
        rc = xw_file_make_folders(AT_FDCWD, GUEST_RUN_DIR, 0755, err);
    if (rc)
        return rc;
    snprintf(path, PATH_MAX, "%s/ramdisk-%016llx", GUEST_RUN_DIR,
             (unsigned long long)identity(parts, count));
    if (access(path, R_OK) == 0)
        return 0;
    rc = assemble(parts, count, &out, err);
    return rc ? rc : xw_file_write(AT_FDCWD, path, out.data, out.length, 0644, err);
}
