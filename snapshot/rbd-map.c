/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of RBD images, and what the kernel says of those that it has mapped. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "snapshot/rbd.h"

#define DEV "/dev/rbd/"
#define BUS "/sys/bus/rbd/devices"

/* What udev leaves as it is in a link (udev(7), SYMLINK), without what rbd(8) takes for its own. */
static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789+_.:=-";

static bool is_name(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length < XW_RBD_NAME_SIZE && text[0] != '-' &&
           strspn(text, name_characters) == length && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

static bool is_whole(const struct xw_rbd_name *name)
{
    return is_name(name->pool) && (!name->space[0] || is_name(name->space)) &&
           is_name(name->image);
}

int xw_rbd_parse_path(const char *path, struct xw_rbd_name *ret)
{
    const char *first, *last;

    memset(ret, 0, sizeof(*ret));
    if (strncmp(path, DEV, strlen(DEV)) != 0 || strlen(path) >= XW_RBD_PATH_SIZE)
        return -EINVAL;
    path += strlen(DEV);
    first = strchr(path, '/');
    last = strrchr(path, '/');
    if (!first || (size_t)(first - path) >= sizeof(ret->pool) ||
        strlen(last + 1) >= sizeof(ret->image) || last - first > XW_RBD_NAME_SIZE)
        return -EINVAL;
    memcpy(ret->pool, path, (size_t)(first - path));
    if (last > first + 1)
        memcpy(ret->space, first + 1, (size_t)(last - first - 1));
    memcpy(ret->image, last + 1, strlen(last + 1));
    return is_whole(ret) && (last == first || ret->space[0]) ? 0 : -EINVAL;
}

void xw_rbd_spec(const struct xw_rbd_name *name, const char *snapshot, char out[XW_RBD_PATH_SIZE])
{
    snprintf(out, XW_RBD_PATH_SIZE, "%s/%s%s%s%s%s", name->pool, name->space,
             name->space[0] ? "/" : "", name->image, snapshot[0] ? "@" : "", snapshot);
}

void xw_rbd_path(const struct xw_rbd_name *name, char out[XW_RBD_PATH_SIZE])
{
    snprintf(out, XW_RBD_PATH_SIZE, DEV "%s/%s%s%s", name->pool, name->space,
             name->space[0] ? "/" : "", name->image);
}

/* One line of a file there, without its newline; "" where there is no such file. */
static void read_line(const char *folder, const char *file, char *out, size_t size)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT((size_t)64 << 10);
    char path[PATH_MAX];

    out[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    if (xw_file_read(AT_FDCWD, path, (size_t)64 << 10, &text, NULL) ||
        strcspn(xw_buffer_text(&text), "\n") >= size)
        return;
    snprintf(out, size, "%.*s", (int)strcspn(xw_buffer_text(&text), "\n"), xw_buffer_text(&text));
}

/* Options that are not the user's own: who it is, its key, and what rbd(8) itself passes on. */
static bool is_own_option(const char *option)
{
    static const char *const others[] = {"name=", "key=", "secret=", "_", "noudev"};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (!strncmp(option, others[i], strlen(others[i])))
            return false;
    }
    return option[0] != '\0';
}

/* "MONITORS OPTION,OPTION… POOL IMAGE SNAPSHOT" */
void xw_rbd_parse_config(const char *text, struct xw_rbd_mapping *ret)
{
    char options[XW_RBD_NAME_SIZE], *rest, *option;
    const char *at = strchr(text, ' ');
    size_t length = at ? strcspn(at + 1, " ") : 0;

    ret->user[0] = ret->options[0] = '\0';
    if (!at || length >= sizeof(options))
        return;
    snprintf(options, sizeof(options), "%.*s", (int)length, at + 1);
    for (option = strtok_r(options, ",", &rest); option; option = strtok_r(NULL, ",", &rest)) {
        size_t used = strlen(ret->options);

        if (!strncmp(option, "name=", strlen("name=")))
            snprintf(ret->user, sizeof(ret->user), "%s", option + strlen("name="));
        if (is_own_option(option))
            snprintf(ret->options + used, sizeof(ret->options) - used, "%s%s", used ? "," : "",
                     option);
    }
}

/* `folder`: of a device on the bus of the kernel's rbd. */
static int read_mapping(const char *folder, struct xw_rbd_mapping *ret)
{
    char config[4096];

    memset(ret, 0, sizeof(*ret));
    read_line(folder, "pool", ret->name.pool, sizeof(ret->name.pool));
    read_line(folder, "pool_ns", ret->name.space, sizeof(ret->name.space));
    read_line(folder, "name", ret->name.image, sizeof(ret->name.image));
    read_line(folder, "current_snap", ret->snapshot, sizeof(ret->snapshot));
    read_line(folder, "image_id", ret->image_id, sizeof(ret->image_id));
    read_line(folder, "config_info", config, sizeof(config));
    xw_rbd_parse_config(config, ret);
    if (!strcmp(ret->snapshot, "-"))
        ret->snapshot[0] = '\0';
    return is_whole(&ret->name) && ret->image_id[0] ? 0 : -EMEDIUMTYPE;
}

/* Of a whole device "device" leads to the bus; a partition has none. */
int xw_rbd_of_device(const char *path, struct xw_rbd_mapping *ret)
{
    char folder[96], bus[128], real[PATH_MAX];
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
        return -EMEDIUMTYPE;
    snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u/device", major(st.st_rdev),
             minor(st.st_rdev));
    snprintf(bus, sizeof(bus), "%s/subsystem", folder);
    if (!realpath(bus, real) || strcmp(real, "/sys/bus/rbd") != 0 || read_mapping(folder, ret) ||
        !realpath(folder, real))
        return -EMEDIUMTYPE;
    ret->number = (unsigned)strtoul(strrchr(real, '/') + 1, NULL, 10);
    return 0;
}

static bool is_same(const struct xw_rbd_name *a, const struct xw_rbd_name *wanted)
{
    return !strcmp(a->pool, wanted->pool) && !strcmp(a->space, wanted->space) &&
           (!wanted->image[0] || !strcmp(a->image, wanted->image));
}

int xw_rbd_find_mapping(const struct xw_rbd_name *name, const char *snapshot, unsigned but,
                        struct xw_rbd_mapping *ret)
{
    xw_auto_closedir DIR *dir = opendir(BUS);
    struct dirent *entry;
    char folder[sizeof(BUS) + NAME_MAX + 2];

    while (dir && (entry = readdir(dir))) {
        unsigned number = (unsigned)strtoul(entry->d_name, NULL, 10);

        if (!isdigit((unsigned char)entry->d_name[0]) || number == but)
            continue;
        snprintf(folder, sizeof(folder), BUS "/%s", entry->d_name);
        if (read_mapping(folder, ret) || !is_same(&ret->name, name) ||
            strcmp(ret->snapshot, snapshot) != 0)
            continue;
        ret->number = number;
        return 0;
    }
    return -ENOENT;
}

bool xw_rbd_number_is_used(unsigned number)
{
    char folder[sizeof(BUS) + 16];

    snprintf(folder, sizeof(folder), BUS "/%u", number);
    return access(folder, F_OK) == 0;
}

bool xw_rbd_is_mapped_as(const struct xw_rbd_name *name, unsigned number)
{
    struct xw_rbd_mapping mapping;
    char folder[sizeof(BUS) + 16];

    snprintf(folder, sizeof(folder), BUS "/%u", number);
    return read_mapping(folder, &mapping) == 0 && is_same(&mapping.name, name) &&
           !mapping.snapshot[0];
}

void xw_rbd_canonical(char path[PATH_MAX])
{
    char canonical[XW_RBD_PATH_SIZE];
    struct xw_rbd_mapping mapping;

    if (xw_rbd_of_device(path, &mapping) || mapping.snapshot[0])
        return;
    xw_rbd_path(&mapping.name, canonical);
    snprintf(path, PATH_MAX, "%s", canonical);
}
