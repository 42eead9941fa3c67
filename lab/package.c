/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/package.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/spawn.h"
#include "lab/run.h"

#define LISTING_MAX (4U << 20)
#define INSTALL_TIMEOUT_MS (5 * 60 * 1000)

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Names, sizes and times of all that packages are made from, hashed. */
static int hash_tree(const char *source, char ret[XW_HASH_TEXT_SIZE], struct xw_error *err)
{
    /* The folders of capabilities that are still to come are not there yet, which is fine. */
    static const char *const parts[] = {"base",  "clamp",     "cli",         "docs",
                                        "fuzz",  "host",      "hotplug",     "include",
                                        "lab",   "motion",    "packaging",   "snapshot",
                                        "trial", "unikernel", "xl",          "meson.build",
                                        "meson_options.txt"};
    enum { COUNT = sizeof(parts) / sizeof(parts[0]) };
    char paths[COUNT][PATH_MAX];
    char *roots[COUNT + 1] = {NULL};
    xw_auto_buffer struct xw_buffer listing = XW_BUFFER_INIT(LISTING_MAX);
    FTSENT *entry;
    FTS *tree;
    int rc = 0;

    for (size_t i = 0; i < COUNT; i++) {
        snprintf(paths[i], PATH_MAX, "%s/%s", source, parts[i]);
        roots[i] = paths[i];
    }
    tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree)
        return xw_error_set_errno(err, "%s", source);
    while (!rc && (entry = fts_read(tree)))
        if (entry->fts_info == FTS_F)
            rc = xw_buffer_printf(&listing, err, "%s %lld %lld.%09ld\n", entry->fts_path,
                                  (long long)entry->fts_statp->st_size,
                                  (long long)entry->fts_statp->st_mtim.tv_sec,
                                  entry->fts_statp->st_mtim.tv_nsec);
    fts_close(tree);
    if (!rc)
        xw_hash_bytes(listing.data, listing.length, ret);
    return rc;
}

/* Run a script of the tree; what it says at its end is the message when it fails. */
static int run_script(const struct lab_place *place, const struct lab_data *data,
                      const char *script, const char *const *args, struct xw_error *err)
{
    char path[PATH_MAX + 64], cache[PATH_MAX + 32];
    const char *argv[16] = {path};
    size_t n = 1;

    snprintf(path, sizeof(path), "%s/scripts/%s", data->source, script);
    snprintf(cache, sizeof(cache), "XENWRIGHT_CACHE=%s", place->path);
    while (*args && n < 15)
        argv[n++] = *args++;
    const char *const environment[] = {cache, NULL};
    const struct xw_spawn spawn = {
        .argv = argv, .environment = environment, .end_with_parent = SIGKILL};

    return xw_spawn_check(&spawn, NULL, err);
}

static int make_locked(const struct lab_place *place, const struct lab_data *data,
                       const struct lab_release *release, const struct lab_reporter *reporter,
                       const char *folder, struct xw_error *err)
{
    char root[PATH_MAX + 64], fresh[PATH_MAX + 64], step[64];
    const char *const root_args[] = {"--release", release->codename, "--output", root, NULL};
    const char *const build_args[] = {
        "--release", release->codename, "--root", root, "--output", fresh, NULL};
    int rc;

    snprintf(root, sizeof(root), "%s/roots/%s", place->path, release->codename);
    snprintf(fresh, sizeof(fresh), "%s/packages/.new-%s", place->path, release->codename);
    snprintf(step, sizeof(step), "making a build root of %s", release->codename);
    lab_report(reporter, step, -1);
    rc = run_script(place, data, "make-build-root", root_args, err);
    snprintf(step, sizeof(step), "compiling xenwright for %s", release->codename);
    lab_report(reporter, step, -1);
    if (!rc)
        rc = xw_file_remove_tree(AT_FDCWD, fresh, err);
    if (!rc)
        rc = run_script(place, data, "build-package", build_args, err);
    if (!rc)
        rc = xw_file_remove_tree(place->cache, folder, err);
    if (!rc && renameat(AT_FDCWD, fresh, place->cache, folder) < 0)
        rc = xw_error_set_errno(err, "%s", folder);
    return rc;
}

/* Packages of earlier versions of the tree are of no use to anybody. */
static void remove_others(const struct lab_place *place, const struct lab_release *release,
                          const char *folder)
{
    int fd = openat(place->cache, "packages", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *all = fd >= 0 ? fdopendir(fd) : NULL;
    const char *keep = strrchr(folder, '/') + 1;
    size_t length = strlen(release->codename);
    const struct dirent *entry;

    while (all && (entry = readdir(all)))
        if (strncmp(entry->d_name, release->codename, length) == 0 &&
            entry->d_name[length] == '-' && strcmp(entry->d_name, keep) != 0)
            xw_file_remove_tree(dirfd(all), entry->d_name, NULL);
}

int lab_package_make(const struct lab_place *place, const struct lab_data *data,
                     const struct lab_release *release, const struct lab_reporter *reporter,
                     char ret[PATH_MAX], struct xw_error *err)
{
    char hash[XW_HASH_TEXT_SIZE], lock_name[64];
    struct xw_lock lock = XW_LOCK_INIT;
    int rc;

    ret[0] = '\0';
    if (!data->source[0])
        return 0;
    rc = hash_tree(data->source, hash, err);
    if (rc)
        return rc;
    snprintf(ret, PATH_MAX, "packages/%s-%.12s", release->codename, hash);
    if (faccessat(place->cache, ret, F_OK, 0) == 0)
        return 0;
    snprintf(lock_name, sizeof(lock_name), "tmp/package-%s.lock", release->codename);
    rc = xw_file_make_folders(place->cache, "packages", 0700, err);
    if (!rc)
        rc = xw_lock_take(&lock, place->cache, lock_name, XW_LOCK_EXCLUSIVE, -1, err);
    if (!rc && faccessat(place->cache, ret, F_OK, 0) < 0) {
        rc = make_locked(place, data, release, reporter, ret, err);
        if (!rc)
            remove_others(place, release, ret);
    }
    xw_lock_release(&lock);
    if (rc)
        xw_error_prefix(err, "xenwright for %s", release->codename);
    return rc;
}

/*
 * dpkg-deb here, tar there. The packages' relations are met by the image (lab/layers/base). Links
 * to folders stay what they are, as with dpkg: a package with something in /lib would have a /lib
 * of its own there, and no program would find its libraries any more.
 */
int lab_package_unpack(const struct lab_place *place, const struct lab_record *record,
                       const char *deb, struct xw_error *err)
{
    const char *const contents[] = {"dpkg-deb", "--fsys-tarfile", deb, NULL};
    const char *const extract[] = {"tar", "-C", "/", "--keep-directory-symlink", "-xf", "-", NULL};
    xw_auto_fclose FILE *tar = tmpfile();
    int rc;

    if (!tar)
        return xw_error_set_errno(err, "a file for the content of %s", deb);
    const struct xw_spawn spawn = {.argv = contents, .stdout_fd = fileno(tar)};

    rc = xw_spawn_check(&spawn, NULL, err);
    lseek(fileno(tar), 0, SEEK_SET);
    if (!rc)
        rc = lab_run_check(place, record, extract, fileno(tar), INSTALL_TIMEOUT_MS, err);
    if (rc)
        xw_error_prefix(err, "cannot unpack %s", deb);
    return rc;
}

int lab_package_install(const struct lab_place *place, const struct lab_record *record,
                        const char *folder, struct xw_error *err)
{
    int fd = openat(place->cache, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *debs = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    int rc = 0;

    if (!debs)
        return xw_error_set_errno(err, "%s/%s", place->path, folder);
    while (!rc && (entry = readdir(debs))) {
        char path[2 * PATH_MAX];

        if (!strstr(entry->d_name, ".deb") || strstr(entry->d_name, "-dev_"))
            continue;
        snprintf(path, sizeof(path), "%s/%s/%s", place->path, folder, entry->d_name);
        rc = lab_package_unpack(place, record, path, err);
    }
    return rc;
}
