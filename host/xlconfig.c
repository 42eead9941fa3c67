/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <xenwright/xlconfig.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "host/device.h"
#include "host/libxl-api.h"
#include "host/xlconfig-vif.h"

/* A file while it is read. libxlutil writes its messages to `report`, which gathers in `text`. */
struct reader {
    const char *source;
    FILE *report;
    char *text;
    size_t size;
    XLU_Config *config;
};

static int open_reader(struct reader *reader, const char *source, struct xw_error *err)
{
    *reader = (struct reader){.source = source};
    reader->report = open_memstream(&reader->text, &reader->size);
    if (reader->report)
        reader->config = xlu_cfg_init(reader->report, source);
    return reader->config ? 0 : xw_error_set(err, ENOMEM, "%s: no memory to read it", source);
}

static void close_reader(struct reader *reader)
{
    if (reader->config)
        xlu_cfg_destroy(reader->config);
    if (reader->report)
        fclose(reader->report);
    free(reader->text);
}

/* The first line of what libxlutil reported: "SOURCE:LINE: …". */
static int report_error(struct reader *reader, struct xw_error *err)
{
    static const char mark[] = ": warning:"; /* what is a warning for xl is an error for us */
    char *warning;

    fflush(reader->report);
    if (!reader->size)
        return xw_error_set(err, EINVAL, "%s: is no xl configuration", reader->source);
    reader->text[strcspn(reader->text, "\n")] = '\0';
    warning = strstr(reader->text, mark);
    if (!warning)
        return xw_error_set(err, EINVAL, "%s", reader->text);
    return xw_error_set(err, EINVAL, "%.*s:%s", (int)(warning - reader->text), reader->text,
                        warning + strlen(mark));
}

/* Sets *at to the value of `key`, "" where it is not set. */
static int get_text(struct reader *reader, const char *key, char **at, struct xw_error *err)
{
    const char *value = NULL;
    int problem = xlu_cfg_get_string(reader->config, key, &value, 0);

    if (problem && problem != ESRCH)
        return report_error(reader, err);
    if (xw_replace_text(at, value))
        return xw_error_set(err, ENOMEM, "%s: no memory for %s", reader->source, key);
    return 0;
}

/* Leaves *at as it is where `key` is not set. */
static int get_number(struct reader *reader, const char *key, long min, long max, long *at,
                      struct xw_error *err)
{
    int problem = xlu_cfg_get_bounded_long(reader->config, key, min, max, at, 0);

    return problem && problem != ESRCH ? report_error(reader, err) : 0;
}

static int get_type(struct reader *reader, struct xw_xlconfig *config, struct xw_error *err)
{
    xw_auto_free char *type = NULL;
    xw_auto_free char *builder = NULL;
    enum xw_domain_type built = XW_DOMAIN_TYPE_UNKNOWN;
    int ret = get_text(reader, "type", &type, err);

    if (!ret)
        ret = get_text(reader, "builder", &builder, err);
    if (ret)
        return ret;

    /* builder= is the older spelling; xl still takes it. */
    if (!strcmp(builder, "hvm"))
        built = XW_DOMAIN_TYPE_HVM;
    else if (!strcmp(builder, "generic"))
        built = XW_DOMAIN_TYPE_PV;
    else if (*builder)
        return xw_error_set(err, EINVAL, "%s: builder '%s' is none of hvm, generic",
                            reader->source, builder);

    config->type = *builder ? built : XW_DOMAIN_TYPE_PV;
    if (!*type)
        return 0;
    for (int t = XW_DOMAIN_TYPE_PV; t <= XW_DOMAIN_TYPE_HVM; t++) {
        if (strcmp(type, xw_domain_type_name((enum xw_domain_type)t)))
            continue;
        if (*builder && built != (enum xw_domain_type)t)
            return xw_error_set(err, EINVAL, "%s: type '%s' and builder '%s' contradict each other",
                                reader->source, type, builder);
        config->type = (enum xw_domain_type)t;
        return 0;
    }
    return xw_error_set(err, EINVAL, "%s: type '%s' is none of pv, pvh, hvm", reader->source, type);
}

static int get_identity(struct reader *reader, struct xw_xlconfig *config, struct xw_error *err)
{
    xw_auto_free char *text = NULL;
    libxl_uuid uuid;
    int ret = get_text(reader, "name", &config->name, err);

    if (!ret)
        ret = get_text(reader, "uuid", &text, err);
    if (ret)
        return ret;
    if (!*config->name)
        return xw_error_set(err, EINVAL, "%s: name= is missing", reader->source);
    if (!*text)
        return 0;
    if (libxl_uuid_from_string(&uuid, text))
        return xw_error_set(err, EINVAL, "%s: '%s' is no UUID", reader->source, text);
    snprintf(config->uuid, sizeof(config->uuid), LIBXL_UUID_FMT, LIBXL_UUID_BYTES(uuid));
    return 0;
}

static int get_size(struct reader *reader, struct xw_xlconfig *config, struct xw_error *err)
{
    long memory = 0;
    long vcpus = 1;
    long most;
    int ret = get_number(reader, "memory", 0, LONG_MAX / 1024, &memory, err);

    most = memory;
    if (!ret)
        ret = get_number(reader, "maxmem", 0, LONG_MAX / 1024, &most, err);
    config->memory_kib = (uint64_t)memory * 1024;
    config->max_memory_kib = (uint64_t)most * 1024;

    if (!ret)
        ret = get_number(reader, "vcpus", 1, INT_MAX, &vcpus, err);
    most = vcpus;
    if (!ret)
        ret = get_number(reader, "maxvcpus", 1, INT_MAX, &most, err);
    config->vcpus = (uint32_t)vcpus;
    config->max_vcpus = (uint32_t)most;
    if (!ret && most < vcpus)
        return xw_error_set(err, EINVAL, "%s: maxvcpus (%ld) is less than vcpus (%ld)",
                            reader->source, most, vcpus);
    return ret;
}

/* As xl: cmdline= alone, or "root=" and root=, a blank, and extra=. */
static int get_cmdline(struct reader *reader, struct xw_xlconfig *config, struct xw_error *err)
{
    xw_auto_free char *root = NULL;
    xw_auto_free char *extra = NULL;
    char *joined = NULL;
    int ret = get_text(reader, "cmdline", &config->cmdline, err);

    if (!ret)
        ret = get_text(reader, "root", &root, err);
    if (!ret)
        ret = get_text(reader, "extra", &extra, err);
    if (ret || *config->cmdline)
        return ret;
    if (asprintf(&joined, "%s%s%s%s", *root ? "root=" : "", root, *root && *extra ? " " : "",
                 extra) < 0)
        return xw_error_set(err, ENOMEM, "%s: no memory for cmdline", reader->source);
    free(config->cmdline);
    config->cmdline = joined;
    return 0;
}

/* *count is 0 where the list is not set. */
static int get_list(struct reader *reader, const char *key, XLU_ConfigList **list, int *count,
                    struct xw_error *err)
{
    int problem = xlu_cfg_get_list(reader->config, key, list, count, 0);

    if (problem == ESRCH)
        *count = 0;
    else if (problem)
        return report_error(reader, err);
    return 0;
}

static int get_item(const struct reader *reader, const XLU_ConfigList *list, const char *key,
                    int index, const char **item, struct xw_error *err)
{
    *item = xlu_cfg_get_listitem(list, index);
    if (!*item)
        return xw_error_set(err, EINVAL, "%s: %s %d is no string", reader->source, key, index + 1);
    return 0;
}

/* libxlutil does not know a disk's line, so its report carries the place in the list. */
static int parse_disk(const char *source, int index, const char *spec, struct xw_disk **ret,
                      struct xw_error *err)
{
    struct reader reader = {0};
    xw_auto_free char *place = NULL;
    libxl_device_disk disk;
    int failed;

    if (asprintf(&place, "%s: disk %d", source, index + 1) < 0)
        return xw_error_set(err, ENOMEM, "%s: no memory for a disk", source);
    libxl_device_disk_init(&disk);
    failed = open_reader(&reader, place, err);
    if (!failed && xlu_disk_parse(reader.config, 1, &spec, &disk))
        failed = report_error(&reader, err);
    if (!failed) {
        *ret = xw_disk_from_libxl(&disk);
        if (!*ret)
            failed = xw_error_set(err, ENOMEM, "%s: no memory for it", place);
    }
    close_reader(&reader);
    libxl_device_disk_dispose(&disk);
    return failed;
}

static int get_disks(struct reader *reader, struct xw_xlconfig *config, struct xw_error *err)
{
    struct xw_disk **last = &config->disks;
    XLU_ConfigList *list = NULL;
    int count;
    int ret = get_list(reader, "disk", &list, &count, err);

    for (int i = 0; !ret && i < count; i++) {
        const char *spec;

        ret = get_item(reader, list, "disk", i, &spec, err);
        if (!ret)
            ret = parse_disk(reader->source, i, spec, last, err);
        if (!ret)
            last = &(*last)->next;
    }
    return ret;
}

static int get_vifs(struct reader *reader, struct xw_xlconfig *config, struct xw_error *err)
{
    struct xw_vif **last = &config->vifs;
    XLU_ConfigList *list = NULL;
    int count;
    int ret = get_list(reader, "vif", &list, &count, err);

    for (int i = 0; !ret && i < count; i++) {
        const char *spec;

        ret = get_item(reader, list, "vif", i, &spec, err);
        if (!ret) {
            ret = xw_xlconfig_parse_vif(spec, (uint32_t)i, last, err);
            if (ret)
                xw_error_prefix(err, "%s: vif %d", reader->source, i + 1);
            else
                last = &(*last)->next;
        }
    }
    return ret;
}

static int get_all(struct reader *reader, struct xw_xlconfig *config, struct xw_error *err)
{
    const struct {
        const char *key;
        char **at;
    } texts[] = {
        {"kernel", &config->kernel},
        {"ramdisk", &config->ramdisk},
        {"bootloader", &config->bootloader},
        {"firmware", &config->firmware},
    };
    int ret = get_identity(reader, config, err);

    if (!ret)
        ret = get_type(reader, config, err);
    if (!ret)
        ret = get_size(reader, config, err);
    for (size_t i = 0; !ret && i < sizeof(texts) / sizeof(texts[0]); i++)
        ret = get_text(reader, texts[i].key, texts[i].at, err);
    if (!ret)
        ret = get_cmdline(reader, config, err);
    if (!ret)
        ret = get_disks(reader, config, err);
    if (!ret)
        ret = get_vifs(reader, config, err);
    return ret;
}

void xw_xlconfig_free(struct xw_xlconfig *config)
{
    if (!config)
        return;
    free(config->name);
    free(config->kernel);
    free(config->ramdisk);
    free(config->cmdline);
    free(config->bootloader);
    free(config->firmware);
    xw_disk_free(config->disks);
    xw_vif_free(config->vifs);
    free(config);
}

int xw_xlconfig_parse(const char *text, size_t size, const char *source, struct xw_xlconfig **ret,
                      struct xw_error *err)
{
    struct reader reader;
    struct xw_xlconfig *config;
    int failed;

    if (size > XW_XLCONFIG_MAX_SIZE)
        return xw_error_set(err, EFBIG, "%s: has more than %d bytes", source, XW_XLCONFIG_MAX_SIZE);
    /* libxlutil ends the whole program when it meets a NUL inside of quotes. */
    if (size && memchr(text, '\0', size))
        return xw_error_set(err, EINVAL, "%s: is no xl configuration, it holds binary data",
                            source);
    config = calloc(1, sizeof(*config));
    if (!config)
        return xw_error_set(err, ENOMEM, "%s: no memory to read it", source);

    failed = open_reader(&reader, source, err);
    if (!failed && xlu_cfg_readdata(reader.config, size ? text : "", (int)size))
        failed = report_error(&reader, err);
    if (!failed)
        failed = get_all(&reader, config, err);
    close_reader(&reader);
    if (failed)
        xw_xlconfig_free(config);
    else
        *ret = config;
    return failed;
}

int xw_xlconfig_read(const char *path, struct xw_xlconfig **config, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    int ret = xw_file_read(AT_FDCWD, path, XW_XLCONFIG_MAX_SIZE, &text, err);

    return ret ? ret : xw_xlconfig_parse(text.data, text.length, path, config, err);
}
