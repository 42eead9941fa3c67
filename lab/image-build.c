/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making images: mmdebstrap makes the root from packages, make-disk the disk from the root.
 *
 * Everything is made in tmp/image-RECIPE and renamed to images/KEY when it is whole and on the
 * disk. An exclusive lock on tmp/image-RECIPE.lock keeps a second builder waiting; what a killed
 * one left in tmp/ is removed by the next.
 *
 * mmdebstrap outlives a killed xenwright by the step that it is at, and then takes its own folder
 * away. So it holds the locks, too: who comes next waits until it is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/spawn.h"
#include "lab/image.h"
#include "lab/manifest.h"
#include "lab/mirror.h"

#define DISK_SIZE "8G"
#define TMPDIR_MAX (PATH_MAX + 16)

struct build {
    const struct lab_place *place;
    const struct lab_data *data;
    const struct lab_recipe *recipe;
    const struct lab_reporter *reporter;
    struct xw_lock lock, temp_lock;
    struct lab_mirror mirror;
    char versions[XW_HASH_TEXT_SIZE]; /* of the versions of all packages */
    char sort[LAB_KEY_MAX];           /* the key, but for its last part */
    char folder[PATH_MAX];            /* tmp/image-RECIPE, absolute */
    int percent;
    char trouble[512];                /* the first thing apt could not fetch, and why */
    bool trouble_is_exact;            /* it has the address of the file */
    char erring[256];                 /* what apt's last "Err:" line names; its reason follows */
    char first_error[256]; /* its first "E:" line; the last one only says that it failed */
    struct xw_buffer chosen;          /* apt's "Inst PACKAGE (VERSION …)" lines of a simulation */
};

/* mmdebstrap runs a hook's text itself, perhaps as another user who could not read our file. */
static int hook(const struct build *build, const char *kind, const char *script, char **ret,
                struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(128 * 1024);
    char path[PATH_MAX + 64];
    int rc = xw_buffer_printf(&text, err, "--%s-hook=", kind);

    snprintf(path, sizeof(path), "%s/%s", build->data->share, script);
    if (!rc)
        rc = xw_file_read(AT_FDCWD, path, 64 * 1024, &text, err);
    if (!rc)
        *ret = xw_buffer_steal(&text);
    return rc;
}

/*
 * What apt cannot fetch it tells as "Err:N ARCHIVE SUITE FILE", with the reason in the next line,
 * and in the end, for some kinds of reasons only, as "E: Failed to fetch ADDRESS REASON".
 */
static void take_trouble(struct build *build, const char *line)
{
    const char *failed = strstr(line, "Failed to fetch ");

    if (failed && !build->trouble_is_exact) {
        snprintf(build->trouble, sizeof(build->trouble), "%s", failed + strlen("Failed to fetch "));
        build->trouble_is_exact = true;
    } else if (strncmp(line, "Err:", 4) == 0 && strchr(line, ' ')) {
        snprintf(build->erring, sizeof(build->erring), "%.255s", strchr(line, ' ') + 1);
    } else if (build->erring[0]) {
        if (!build->trouble[0])
            snprintf(build->trouble, sizeof(build->trouble), "%s: %.200s", build->erring,
                     line + strspn(line, " "));
        build->erring[0] = '\0';
    }
}

/* Steps of mmdebstrap, with how far each is in percent of the whole as measured once. */
static void follow(void *opaque, int stream, const char *line)
{
    static const struct {
        const char *prefix, *step;
        int percent;
    } steps[] = {
        {"I: running apt-get update", "reading package lists", 2},
        {"I: downloading packages", "downloading packages", 8},
        {"I: extracting archives", "unpacking the base system", 20},
        {"I: installing essential", "installing the base system", 25},
        {"I: installing remaining", "installing dom0's packages", 40},
        {"I: running --customize-hook", "setting up dom0", 75},
        {"I: creating tarball", "packing the root", 82},
    };
    struct build *build = opaque;

    (void)stream;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (strncmp(line, steps[i].prefix, strlen(steps[i].prefix)) == 0)
            lab_report(build->reporter, steps[i].step, build->percent = steps[i].percent);
    if (strncmp(line, "Inst ", 5) == 0)
        xw_buffer_printf(&build->chosen, NULL, "%s\n", line);
    take_trouble(build, line);
    if (strncmp(line, "E: ", 3) == 0 && !build->first_error[0])
        snprintf(build->first_error, sizeof(build->first_error), "%.255s", line + 3);
}

/* Whether users with no rights of their own get to a folder: each on the way lets others search it.
 */
static bool is_open_to_all(const char *path)
{
    char folder[PATH_MAX];
    struct stat info;

    for (const char *end = path; *end; end += strcspn(end, "/")) {
        end += strspn(end, "/");
        snprintf(folder, sizeof(folder), "%.*s", (int)(end + strcspn(end, "/") - path), path);
        if (stat(folder, &info) < 0 || !(info.st_mode & S_IXOTH))
            return false;
    }
    return path[0] == '/';
}

/*
 * The setting of TMPDIR. Where mmdebstrap does not run as root, it needs a folder that its other
 * ids can reach: the user's choice if it is one, else its default.
 */
static void choose_tmpdir(const struct build *build, char ret[TMPDIR_MAX])
{
    const char *chosen = getenv("TMPDIR");

    if (geteuid() == 0)
        snprintf(ret, TMPDIR_MAX, "TMPDIR=%s/tmp", build->place->path);
    else if (chosen && is_open_to_all(chosen))
        snprintf(ret, TMPDIR_MAX, "TMPDIR=%s", chosen);
    else
        snprintf(ret, TMPDIR_MAX, "TMPDIR");
}

/* Runs mmdebstrap with the arguments all its uses share, and `more` behind them (ends in NULL). */
static int run_mmdebstrap(struct build *build, const char *const *more,
                          struct xw_spawn_result *result, struct xw_error *err)
{
    char include[8192], main_line[1200], updates_line[1200], security_line[1200],
        tmpdir[TMPDIR_MAX];
    const char *codename = build->recipe->release->codename;
    const char *argv[32] = {"mmdebstrap", "--variant=minbase", "--architectures=amd64",
                            "--aptopt=Apt::Install-Recommends \"false\"",
                            "--aptopt=Acquire::Retries \"2\"",
                            "--aptopt=Acquire::http::Timeout \"30\"",
                            "--aptopt=Acquire::https::Timeout \"30\"",
                            "--dpkgopt=path-exclude=/usr/share/man/*",
                            "--dpkgopt=path-exclude=/usr/share/doc/*",
                            "--dpkgopt=path-exclude=/usr/share/locale/*",
                            "--dpkgopt=force-unsafe-io"};
    size_t n = 11;

    snprintf(include, sizeof(include), "--include=%s", build->recipe->packages);
    argv[n++] = include;
    while (*more && n < 24)
        argv[n++] = *more++;
    /* Behind the target (the last of `more`) stand the archives. */
    snprintf(main_line, sizeof(main_line), "deb %s %s main", build->mirror.main, codename);
    argv[n++] = main_line;
    snprintf(updates_line, sizeof(updates_line), "deb %s %s-updates main", build->mirror.main,
             codename);
    argv[n++] = updates_line;
    if (build->mirror.security[0]) {
        snprintf(security_line, sizeof(security_line), "deb %s %s-security main",
                 build->mirror.security, codename);
        argv[n++] = security_line;
    }
    choose_tmpdir(build, tmpdir);
    const char *const environment[] = {tmpdir, NULL};
    /* Far up: it gives its shells descriptors by number, and dash takes one digit only. */
    const struct xw_spawn_fd locks[] = {{build->lock.fd, 100}, {build->temp_lock.fd, 101}};
    const struct xw_spawn spawn = {.argv = argv, .environment = environment, .on_line = follow,
                                   .opaque = build, .output_limit = 8 << 20, .fds = locks,
                                   .fd_count = 2, .end_with_parent = SIGTERM};

    build->trouble[0] = build->erring[0] = build->first_error[0] = '\0';
    build->trouble_is_exact = false;
    int rc = xw_spawn_run(&spawn, result, err);

    if (!rc && (result->end != XW_SPAWN_EXITED || result->status != 0)) {
        if (build->trouble[0])
            rc = xw_error_set(err, EIO, "%s: cannot be fetched; try again later, after 'apt-get "
                              "update', or with another --mirror", build->trouble);
        else if (build->first_error[0])
            rc = xw_error_set(err, ECHILD, "mmdebstrap failed: %s", build->first_error);
        else
            rc = xw_spawn_result_check(&spawn, result, err);
    }
    return rc;
}

/* The versions of all packages as they are to be had now, hashed. */
static int resolve_versions(struct build *build, struct xw_error *err)
{
    const char *const more[] = {"--simulate", "--verbose", build->recipe->release->codename,
                                "/dev/null", NULL};
    struct xw_spawn_result result;
    int rc;

    lab_report(build->reporter, "asking for package versions", 1);
    xw_buffer_init(&build->chosen, 1 << 20);
    rc = run_mmdebstrap(build, more, &result, err);
    xw_spawn_result_free(&result);
    if (!rc && build->chosen.length == 0)
        rc = xw_error_set(err, EPROTO, "mmdebstrap --simulate named no package");
    if (!rc)
        xw_hash_bytes(build->chosen.data, build->chosen.length, build->versions);
    xw_buffer_free(&build->chosen);
    return rc;
}

static void name_sort(struct build *build)
{
    char both[2 * XW_HASH_TEXT_SIZE], hash[XW_HASH_TEXT_SIZE];
    int at = snprintf(build->sort, sizeof(build->sort), "%s", build->recipe->release->codename);

    for (size_t i = 0; i < build->recipe->layer_count && at < LAB_KEY_MAX - 50; i++)
        at += snprintf(build->sort + at, 24, "+%s", build->recipe->layers[i]);
    snprintf(both, sizeof(both), "%s%s", build->recipe->hash, build->versions);
    xw_hash_bytes(both, strlen(both), hash);
    snprintf(build->sort + at, sizeof(build->sort) - (size_t)at, "-%.12s", hash);
}

static int make_root(struct build *build, struct xw_error *err)
{
    xw_auto_free char *setup = NULL, *customise = NULL, *guest = NULL;
    char target[PATH_MAX + 16];
    struct xw_spawn_result result;
    int rc = hook(build, "essential", "image/initrd-setup", &setup, err);

    if (!rc)
        rc = hook(build, "customize", "guest/make-base", &guest, err);
    if (!rc)
        rc = hook(build, "customize", "image/customise", &customise, err);
    if (rc)
        return rc;
    snprintf(target, sizeof(target), "%s/root.tar", build->folder);
    const char *const more[] = {setup,  guest, customise, build->recipe->release->codename,
                                target, NULL};

    rc = run_mmdebstrap(build, more, &result, err);
    xw_spawn_result_free(&result);
    return rc;
}

static int make_disk(struct build *build, struct xw_error *err)
{
    char script[PATH_MAX + 32];
    const char *argv[8];
    size_t n = 0;

    snprintf(script, sizeof(script), "%s/image/make-disk", build->data->share);
    if (geteuid() != 0) {
        argv[n++] = "unshare";
        argv[n++] = "--map-root-user";
        argv[n++] = "--map-auto";
    }
    argv[n++] = "sh";
    argv[n++] = script;
    argv[n++] = build->folder;
    argv[n++] = DISK_SIZE;
    argv[n] = NULL;
    const struct xw_spawn spawn = {.argv = argv, .end_with_parent = SIGKILL};

    lab_report(build->reporter, "making the disk", 88);
    return xw_spawn_check(&spawn, NULL, err);
}

static json_t *describe(const struct build *build)
{
    json_t *layers = json_array();

    for (size_t i = 0; i < build->recipe->layer_count; i++)
        json_array_append_new(layers, json_string(build->recipe->layers[i]));
    return json_pack("{s:i, s:s, s:s, s:o, s:s, s:s, s:I}", "format", LAB_MANIFEST_FORMAT, "kind",
                     "image", "release", build->recipe->release->codename, "layers", layers,
                     "recipe", build->recipe->hash, "versions", build->versions, "created",
                     (json_int_t)time(NULL));
}

/* Give the finished folder its name. */
static int publish(struct build *build, char ret[LAB_KEY_MAX], struct xw_error *err)
{
    static const char *const files[] = {"dom0.qcow2", "xen", "vmlinuz", "initrd.img", NULL};
    const struct lab_shelf images = lab_shelf_images(build->place);
    xw_auto_json json_t *manifest = describe(build);
    char path[XW_HASH_TEXT_SIZE + 32];

    lab_report(build->reporter, "checking the disk", 95);
    if (!manifest)
        return xw_error_set(err, ENOMEM, "out of memory");
    snprintf(path, sizeof(path), "tmp/image-%s", build->recipe->hash);
    return lab_shelf_put(build->place, &images, path, build->sort, manifest, files, ret, err);
}

static int make_image(struct build *build, char ret[LAB_KEY_MAX], struct xw_error *err)
{
    int length = snprintf(build->folder, sizeof(build->folder), "%s/tmp/image-%s",
                          build->place->path, build->recipe->hash);
    int rc;

    if (length < 0 || (size_t)length >= sizeof(build->folder))
        return xw_error_set(err, ENAMETOOLONG, "%s: the path is too long", build->place->path);
    rc = xw_file_remove_tree(AT_FDCWD, build->folder, err);
    if (!rc)
        rc = xw_file_make_folders(AT_FDCWD, build->folder, 0700, err);
    if (!rc)
        rc = make_root(build, err);
    if (!rc)
        rc = make_disk(build, err);
    if (!rc)
        rc = publish(build, ret, err);
    if (rc)
        xw_file_remove_tree(AT_FDCWD, build->folder, NULL);
    return rc;
}

/* Folders of an mmdebstrap that was killed itself. Where none runs, nobody holds the lock. */
static void clear_temp(const struct lab_place *place)
{
    struct xw_lock lock = XW_LOCK_INIT;
    int copy = openat(place->cache, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    if (!folder ||
        xw_lock_take(&lock, place->cache, LAB_IMAGE_TEMP_LOCK, XW_LOCK_EXCLUSIVE, 0, NULL))
        return;
    while ((entry = readdir(folder)))
        if (entry->d_type == DT_DIR &&
            strncmp(entry->d_name, LAB_IMAGE_TEMP, strlen(LAB_IMAGE_TEMP)) == 0)
            xw_file_remove_tree(dirfd(folder), entry->d_name, NULL);
    xw_lock_release(&lock);
}

static int take_locks(struct build *build, struct xw_error *err)
{
    char name[XW_HASH_TEXT_SIZE + 32];
    int rc;

    snprintf(name, sizeof(name), "tmp/image-%s.lock", build->recipe->hash);
    lab_report(build->reporter, "waiting for another xenwright that makes this image", -1);
    rc = xw_lock_take(&build->lock, build->place->cache, name, XW_LOCK_EXCLUSIVE, -1, err);
    if (rc)
        return rc;
    clear_temp(build->place);
    return xw_lock_take(&build->temp_lock, build->place->cache, LAB_IMAGE_TEMP_LOCK, XW_LOCK_SHARED,
                        -1, err);
}

int lab_image_build(const struct lab_place *place, const struct lab_data *data,
                    const struct lab_recipe *recipe, const char *mirror,
                    const struct lab_reporter *reporter, struct lab_image *ret, bool *ret_made,
                    struct xw_error *err)
{
    struct build build = {.place = place, .data = data, .recipe = recipe, .reporter = reporter,
                          .lock = XW_LOCK_INIT, .temp_lock = XW_LOCK_INIT};
    const struct lab_shelf images = lab_shelf_images(place);
    int rc = take_locks(&build, err);

    if (!rc)
        rc = lab_mirror_find(mirror, &build.mirror, err);
    if (!rc)
        rc = resolve_versions(&build, err);
    if (!rc) {
        name_sort(&build);
        *ret_made = lab_shelf_find(&images, build.sort, true, ret->key) != 0;
        if (*ret_made)
            rc = make_image(&build, ret->key, err);
    }
    if (rc)
        xw_error_prefix(err, "image of %s", recipe->release->codename);
    xw_lock_release(&build.temp_lock);
    xw_lock_release(&build.lock);
    return rc;
}
