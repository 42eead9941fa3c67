/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer about hardware virtualisation: from the user, from the cache, or found out anew. */
#include "lab/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "lab/accel-kvm.h"

#define CACHE_FILE "accel.json"
#define CACHE_FORMAT 1
#define PROBE_MS 5000 /* for a host that is very busy */

const char *lab_accel_kind_name(enum lab_accel_kind kind)
{
    return kind == LAB_ACCEL_KVM ? "kvm" : "tcg";
}

static int read_override(const char *value, struct lab_accel *ret, struct xw_error *err)
{
    if (strcmp(value, "kvm") == 0)
        ret->kind = LAB_ACCEL_KVM;
    else if (strcmp(value, "tcg") == 0)
        ret->kind = LAB_ACCEL_TCG;
    else
        return xw_error_set(err, EINVAL, "XENWRIGHT_ACCEL is '%s'; it takes 'kvm' or 'tcg'", value);
    snprintf(ret->reason, sizeof(ret->reason), "XENWRIGHT_ACCEL=%s", value);
    return 0;
}

/* The first line of a small file, "" where it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(4096);

    line[0] = '\0';
    if (xw_file_read(AT_FDCWD, path, 4095, &text, NULL) == 0)
        snprintf(line, size, "%.*s", (int)strcspn(xw_buffer_text(&text), "\n"),
                 xw_buffer_text(&text));
}

/* All that may change the answer, as one line: what is cached holds while it stays the same. */
static void describe_machine(const char *device, char *key, size_t size)
{
    char boot[64], nested_amd[8], nested_intel[8];
    struct utsname kernel = {0};
    struct stat st = {0};
    bool there = stat(device, &st) == 0;

    uname(&kernel);
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    read_line("/sys/module/kvm_amd/parameters/nested", nested_amd, sizeof(nested_amd));
    read_line("/sys/module/kvm_intel/parameters/nested", nested_intel, sizeof(nested_intel));
    snprintf(key, size, "boot %s, kernel %s, %s %u:%u inode %" PRIu64 " %s, nested '%s%s'", boot,
             kernel.release, device, major(st.st_rdev), minor(st.st_rdev), (uint64_t)st.st_ino,
             !there ? "absent" : access(device, R_OK | W_OK) == 0 ? "usable" : "closed to us",
             nested_amd, nested_intel);
}

static bool read_cache(int cache_dirfd, const char *key, struct lab_accel *ret)
{
    xw_auto_json json_t *cache = NULL;
    const char *kind, *reason, *machine;
    int64_t format;

    if (xw_json_read_file(cache_dirfd, CACHE_FILE, NULL, &cache, NULL) != 0 ||
        xw_json_integer(cache, CACHE_FILE, "format", CACHE_FORMAT, CACHE_FORMAT, &format, NULL) ||
        xw_json_string(cache, CACHE_FILE, "machine", &machine, NULL) != 0 ||
        xw_json_string(cache, CACHE_FILE, "accel", &kind, NULL) != 0 ||
        xw_json_string(cache, CACHE_FILE, "reason", &reason, NULL) != 0)
        return false;
    if (strcmp(machine, key) != 0 || (strcmp(kind, "kvm") != 0 && strcmp(kind, "tcg") != 0))
        return false;
    ret->kind = strcmp(kind, "kvm") == 0 ? LAB_ACCEL_KVM : LAB_ACCEL_TCG;
    snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
    return true;
}

static void write_cache(int cache_dirfd, const char *key, const struct lab_accel *accel)
{
    xw_auto_json json_t *cache =
        json_pack("{si ss ss ss}", "format", CACHE_FORMAT, "machine", key, "accel",
                  lab_accel_kind_name(accel->kind), "reason", accel->reason);
    struct xw_error err = XW_ERROR_INIT;

    if (!cache || xw_json_write_file(cache_dirfd, CACHE_FILE, cache, 0644, &err) != 0)
        xw_log(XW_LOG_DEBUG, "the result for %s is not kept: %s", accel->reason, err.message);
}

int lab_accel_find_by(const struct lab_accel_source *source, int cache_dirfd,
                      struct lab_accel *ret, struct xw_error *err)
{
    const char *override = getenv("XENWRIGHT_ACCEL");
    struct lab_kvm_facts facts;
    struct lab_accel found = {0};
    char key[512];

    if (override && override[0] != '\0') {
        int rc = read_override(override, &found, err);

        if (rc != 0)
            return rc;
        *ret = found;
        return 0;
    }
    describe_machine(source->device, key, sizeof(key));
    if (!read_cache(cache_dirfd, key, &found)) {
        source->probe(source->device, PROBE_MS, &facts);
        lab_kvm_judge(source->device, &facts, &found);
        /* What says nothing about the device is asked again next time. */
        if (!facts.too_slow && !facts.not_tried)
            write_cache(cache_dirfd, key, &found);
        found.fresh = true;
    }
    *ret = found;
    return 0;
}

int lab_accel_find(int cache_dirfd, struct lab_accel *ret, struct xw_error *err)
{
    static const struct lab_accel_source kvm = {.device = "/dev/kvm", .probe = lab_kvm_probe};

    return lab_accel_find_by(&kvm, cache_dirfd, ret, err);
}
