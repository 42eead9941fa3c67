/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The xl configuration of a test guest, see xl.cfg(5). */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lab/guest/guest.h"

#define CONFIG_MAX (64 * 1024)

static int put_list(struct xw_buffer *config, const char *key, const char *const *values,
                    struct xw_error *err)
{
    int rc = 0;

    if (!values[0])
        return 0;
    rc = xw_buffer_printf(config, err, "%s = [", key);
    for (size_t i = 0; values[i] && !rc; i++)
        rc = xw_buffer_printf(config, err, "%s '%s'", i ? "," : "", values[i]);
    return rc ? rc : xw_buffer_printf(config, err, " ]\n");
}

/* The words that lab/guest/init.c reads, and what makes a kernel start faster: it says little, and
 * does without the repairs of hardware that is not there. */
static int put_cmdline(struct xw_buffer *config, const struct guest_options *options,
                       struct xw_error *err)
{
    int rc = xw_buffer_printf(config, err,
                              "cmdline = 'console=hvc0 quiet mitigations=off panic=1 xw.name=%s",
                              options->name);

    if (!rc && !options->no_agent)
        rc = xw_buffer_printf(config, err, " xw.agent=%s", GUEST_AGENT_PATH);
    if (!rc && options->ip)
        rc = xw_buffer_printf(config, err, " xw.ip=%s", options->ip);
    if (!rc && options->gateway)
        rc = xw_buffer_printf(config, err, " xw.gateway=%s", options->gateway);
    if (!rc && options->qga)
        rc = xw_buffer_printf(config, err, " xw.qga=hvc1");
    if (!rc && options->extra)
        rc = xw_buffer_printf(config, err, " %s", options->extra);
    return rc ? rc : xw_buffer_printf(config, err, "'\n");
}

/* No more devices than a Linux guest needs that finds its disks by the PV drivers. */
static int put_hvm(struct xw_buffer *config, struct xw_error *err)
{
    return xw_buffer_printf(config, err,
                            "xen_platform_pci = 1\nvga = 'none'\nvnc = 0\nusb = 0\n"
                            "serial = 'none'\nacpi = 1\n");
}

static int put_channel(struct xw_buffer *config, const char *name, struct xw_error *err)
{
    return xw_buffer_printf(config, err,
                            "channel = [ 'connection=socket,path=%s/%s.qga,"
                            "name=org.qemu.guest_agent.0' ]\n",
                            GUEST_RUN_DIR, name);
}

/* Quotes and line ends would end a value, and what follows be read as more configuration. */
static int check_value(const char *what, const char *value, struct xw_error *err)
{
    for (const char *at = value ? value : ""; *at; at++)
        if (*at == '\'' || (unsigned char)*at < ' ')
            return xw_error_set(err, EINVAL, "%s '%s': quotes and line ends cannot be used", what,
                                value);
    return 0;
}

static int check_values(const struct guest_options *options, struct xw_error *err)
{
    int rc = check_value("name", options->name, err);

    if (!rc)
        rc = check_value("address", options->ip, err);
    if (!rc)
        rc = check_value("gateway", options->gateway, err);
    if (!rc)
        rc = check_value("extra words", options->extra, err);
    for (size_t i = 0; options->disks[i] && !rc; i++)
        rc = check_value("disk", options->disks[i], err);
    for (size_t i = 0; options->vifs[i] && !rc; i++)
        rc = check_value("vif", options->vifs[i], err);
    if (!rc && (!options->name[0] || strchr(options->name, '/') || options->name[0] == '.'))
        rc = xw_error_set(err, EINVAL, "name '%s': not a name for a guest", options->name);
    return rc;
}

int guest_config_write(const struct guest_options *options, const char *ramdisk, const char *path,
                       struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer config = XW_BUFFER_INIT(CONFIG_MAX);
    bool hvm = strcmp(options->type, "hvm") == 0;
    int rc = check_values(options, err);

    if (!rc)
        rc = xw_buffer_printf(&config, err,
                              "name = '%s'\ntype = '%s'\nmemory = %u\nvcpus = %u\n"
                              "kernel = '%s/%s'\nramdisk = '%s'\n",
                              options->name, options->type, options->memory_mib, options->vcpus,
                              GUEST_DATA_DIR, hvm ? "vmlinuz" : "vmlinux", ramdisk);
    if (!rc)
        rc = put_cmdline(&config, options, err);
    if (!rc)
        rc = put_list(&config, "disk", options->disks, err);
    if (!rc)
        rc = put_list(&config, "vif", options->vifs, err);
    if (!rc && hvm)
        rc = put_hvm(&config, err);
    if (!rc && options->qga)
        rc = put_channel(&config, options->name, err);
    if (!rc)
        rc = xw_file_write(AT_FDCWD, path, config.data, config.length, 0644, err);
    return rc;
}
