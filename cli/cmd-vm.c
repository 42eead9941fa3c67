/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `xenwright vm`: the domains of this host. The JSON is described in docs/formats/vm-json.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xenwright/domain.h>
#include <xenwright/host.h>
#include <xenwright/xlconfig.h>

#include "base/cleanup.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/domain.h"
#include "cli/vm.h"

/* Text from outside; where it is no UTF-8, which JSON must be, with the odd bytes escaped. */
static json_t *text_json(const char *text)
{
    char printable[4096];
    json_t *json = json_string(text);

    if (json)
        return json;
    xw_text_printable(printable, sizeof(printable), text, strlen(text));
    return json_string(printable);
}

/* null where the text is empty. */
static json_t *optional_json(const char *text)
{
    return *text ? text_json(text) : json_null();
}

static json_t *bytes_json(uint64_t kib)
{
    return kib < INT64_MAX / 1024 ? json_integer((json_int_t)kib * 1024) : json_null();
}

static json_t *flags_json(const struct xw_domain *domain)
{
    static const struct {
        unsigned int flag;
        const char *word;
    } words[] = {
        {XW_DOMAIN_RUNNING, "running"}, {XW_DOMAIN_BLOCKED, "blocked"},
        {XW_DOMAIN_PAUSED, "paused"},   {XW_DOMAIN_SHUTDOWN, "shutdown"},
        {XW_DOMAIN_DYING, "dying"},
    };
    json_t *json = json_array();

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (domain->flags & words[i].flag)
            json_array_append_new(json, json_string(words[i].word));
    }
    return json;
}

static json_t *reason_json(const struct xw_domain *domain)
{
    static const char *const words[] = {
        [XW_SHUTDOWN_POWEROFF] = "poweroff", [XW_SHUTDOWN_REBOOT] = "reboot",
        [XW_SHUTDOWN_SUSPEND] = "suspend",   [XW_SHUTDOWN_CRASH] = "crash",
        [XW_SHUTDOWN_WATCHDOG] = "watchdog", [XW_SHUTDOWN_SOFT_RESET] = "soft-reset",
    };
    int reason = domain->shutdown;

    if (reason < 0 || reason >= (int)(sizeof(words) / sizeof(words[0])))
        return json_null();
    return json_string(words[reason]);
}

static json_t *domain_json(const struct xw_domain *domain)
{
    return json_pack("{s:o, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:f}",
                     "name", text_json(domain->name),
                     "domid", (json_int_t)domain->domid,
                     "uuid", domain->uuid,
                     "type", xw_domain_type_name(domain->type),
                     "state", xw_domain_state(domain),
                     "flags", flags_json(domain),
                     "shutdown_reason", reason_json(domain),
                     "memory", bytes_json(domain->memory_kib),
                     "max_memory", bytes_json(domain->max_memory_kib),
                     "vcpus", (json_int_t)domain->vcpus,
                     "max_vcpus", (json_int_t)domain->max_vcpus,
                     "cpu_seconds", (double)domain->cpu_time_ns / 1e9);
}

static json_t *disk_json(const struct xw_disk *disk, bool running)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}",
                     "vdev", disk->vdev,
                     "devid", running ? json_integer(disk->devid) : json_null(),
                     "backend_domid", running ? json_integer(disk->backend_domid) : json_null(),
                     "backend_domain", optional_json(disk->backend_domain),
                     "backend", optional_json(disk->backend),
                     "format", optional_json(disk->format),
                     "target", optional_json(disk->target),
                     "script", optional_json(disk->script),
                     "readonly", disk->readonly,
                     "cdrom", disk->cdrom);
}

static json_t *disks_json(const struct xw_disk *disks, bool running)
{
    json_t *json = json_array();

    for (; disks; disks = disks->next)
        json_array_append_new(json, disk_json(disks, running));
    return json;
}

static json_t *vif_json(const struct xw_vif *vif, bool running)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "devid", (json_int_t)vif->devid,
                     "mac", optional_json(vif->mac),
                     "type", optional_json(vif->type),
                     "bridge", optional_json(vif->bridge),
                     "ip", optional_json(vif->ip),
                     "vifname", optional_json(vif->vifname),
                     "script", optional_json(vif->script),
                     "model", optional_json(vif->model),
                     "backend_domid", running ? json_integer(vif->backend_domid) : json_null(),
                     "backend_domain", optional_json(vif->backend_domain));
}

static json_t *vifs_json(const struct xw_vif *vifs, bool running)
{
    json_t *json = json_array();

    for (; vifs; vifs = vifs->next)
        json_array_append_new(json, vif_json(vifs, running));
    return json;
}

static json_t *config_json(const char *path, const struct xw_xlconfig *config)
{
    return json_pack("{s:o, s:n, s:o, s:s, s:n, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o,"
                     " s:o, s:o}",
                     "name", text_json(config->name),
                     "domid",
                     "uuid", optional_json(config->uuid),
                     "type", xw_domain_type_name(config->type),
                     "state",
                     "memory", config->memory_kib ? bytes_json(config->memory_kib) : json_null(),
                     "max_memory",
                     config->max_memory_kib ? bytes_json(config->max_memory_kib) : json_null(),
                     "vcpus", (json_int_t)config->vcpus,
                     "max_vcpus", (json_int_t)config->max_vcpus,
                     "config", text_json(path),
                     "kernel", optional_json(config->kernel),
                     "ramdisk", optional_json(config->ramdisk),
                     "cmdline", optional_json(config->cmdline),
                     "bootloader", optional_json(config->bootloader),
                     "firmware", optional_json(config->firmware),
                     "disks", disks_json(config->disks, false),
                     "vifs", vifs_json(config->vifs, false));
}

static int run_list(struct cli_call *call, struct xw_error *err)
{
    static const struct xw_column columns[] = {
        {.header = "NAME", .key = "name"},
        {.header = "DOMID", .key = "domid", .kind = XW_COLUMN_NUMBER},
        {.header = "TYPE", .key = "type"},
        {.header = "MEMORY", .key = "memory", .kind = XW_COLUMN_SIZE},
        {.header = "VCPUS", .key = "vcpus", .kind = XW_COLUMN_NUMBER},
        {.header = "STATE", .key = "state"},
    };
    struct xw_domain *domains = NULL;
    struct xw_host *host;
    json_t *rows;
    int ret = xw_host_open(&host, err);

    if (ret)
        return ret;
    ret = xw_domain_list(host, &domains, err);
    xw_host_close(host);
    if (ret)
        return ret;
    rows = json_array();
    for (const struct xw_domain *domain = domains; domain; domain = domain->next)
        json_array_append_new(rows, domain_json(domain));
    xw_domain_free(domains);
    return cli_show_rows(call, columns, sizeof(columns) / sizeof(columns[0]), rows, err);
}

static int describe_running(const char *name, json_t **ret_json, struct xw_error *err)
{
    struct xw_domain *domain = NULL;
    struct xw_disk *disks = NULL;
    struct xw_vif *vifs = NULL;
    struct xw_host *host;
    int ret = xw_host_open(&host, err);

    if (ret)
        return ret;
    ret = xw_domain_find(host, name, &domain, err);
    if (!ret)
        ret = xw_domain_disks(host, domain->domid, &disks, err);
    if (!ret)
        ret = xw_domain_vifs(host, domain->domid, &vifs, err);
    if (!ret) {
        *ret_json = domain_json(domain);
        json_object_set_new(*ret_json, "disks", disks_json(disks, true));
        json_object_set_new(*ret_json, "vifs", vifs_json(vifs, true));
    }
    xw_vif_free(vifs);
    xw_disk_free(disks);
    xw_domain_free(domain);
    xw_host_close(host);
    return ret;
}

static int describe_config(const char *path, json_t **ret_json, struct xw_error *err)
{
    struct xw_xlconfig *config;
    int ret = xw_xlconfig_read(path, &config, err);

    if (ret)
        return ret;
    *ret_json = config_json(path, config);
    xw_xlconfig_free(config);
    return 0;
}

/* What holds a slash is a file. Anything else is a domain, or a file where none has the name. */
static int describe(const char *name, json_t **ret_json, struct xw_error *err)
{
    int ret;

    if (strchr(name, '/'))
        return describe_config(name, ret_json, err);
    ret = describe_running(name, ret_json, err);
    /* Also where there are no domains, or none that this user may look at. */
    if ((ret == -ENOENT || ret == -ENODEV || ret == -EPERM || ret == -EACCES) &&
        !access(name, F_OK)) {
        xw_error_clear(err);
        return describe_config(name, ret_json, err);
    }
    return ret;
}

static void show_field(const char *label, const char *text)
{
    char printable[4096];

    xw_text_printable(printable, sizeof(printable), text, strlen(text));
    printf("%-11s %s\n", label, printable);
}

/* Members of the kinds that the fields of a domain have; null ones are left out. */
static void show_member(const char *label, const json_t *value, enum xw_column_kind kind)
{
    char text[64];

    if (json_is_string(value)) {
        show_field(label, json_string_value(value));
    } else if (json_is_integer(value) && kind == XW_COLUMN_SIZE) {
        show_field(label, xw_size_text((uint64_t)json_integer_value(value), text));
    } else if (json_is_number(value)) {
        snprintf(text, sizeof(text), json_is_real(value) ? "%.1f s" : "%.0f",
                 json_number_value(value));
        show_field(label, text);
    }
}

static void show_fields(const json_t *json)
{
    static const struct {
        const char *label;
        const char *key;
        enum xw_column_kind kind;
    } fields[] = {
        {"name", "name", XW_COLUMN_TEXT},
        {"domid", "domid", XW_COLUMN_NUMBER},
        {"uuid", "uuid", XW_COLUMN_TEXT},
        {"type", "type", XW_COLUMN_TEXT},
        {"state", "state", XW_COLUMN_TEXT},
        {"ended by", "shutdown_reason", XW_COLUMN_TEXT},
        {"memory", "memory", XW_COLUMN_SIZE},
        {"max memory", "max_memory", XW_COLUMN_SIZE},
        {"vcpus", "vcpus", XW_COLUMN_NUMBER},
        {"max vcpus", "max_vcpus", XW_COLUMN_NUMBER},
        {"cpu time", "cpu_seconds", XW_COLUMN_NUMBER},
        {"config", "config", XW_COLUMN_TEXT},
        {"kernel", "kernel", XW_COLUMN_TEXT},
        {"ramdisk", "ramdisk", XW_COLUMN_TEXT},
        {"cmdline", "cmdline", XW_COLUMN_TEXT},
        {"bootloader", "bootloader", XW_COLUMN_TEXT},
        {"firmware", "firmware", XW_COLUMN_TEXT},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        show_member(fields[i].label, json_object_get(json, fields[i].key), fields[i].kind);
}

static int show_devices(struct cli_call *call, const json_t *json, struct xw_error *err)
{
    static const struct xw_column disks[] = {
        {.header = "DISK", .key = "vdev"},       {.header = "BACKEND", .key = "backend"},
        {.header = "FORMAT", .key = "format"},   {.header = "READONLY", .key = "readonly"},
        {.header = "CDROM", .key = "cdrom"},     {.header = "TARGET", .key = "target"},
        {.header = "SCRIPT", .key = "script"},
    };
    static const struct xw_column vifs[] = {
        {.header = "VIF", .key = "devid", .kind = XW_COLUMN_NUMBER},
        {.header = "MAC", .key = "mac"},         {.header = "TYPE", .key = "type"},
        {.header = "BRIDGE", .key = "bridge"},   {.header = "IP", .key = "ip"},
        {.header = "VIFNAME", .key = "vifname"}, {.header = "SCRIPT", .key = "script"},
    };
    json_t *rows = json_object_get(json, "disks");
    int ret = 0;

    if (json_array_size(rows)) {
        printf("\n");
        ret = cli_show_rows(call, disks, sizeof(disks) / sizeof(disks[0]), json_incref(rows), err);
    }
    rows = json_object_get(json, "vifs");
    if (!ret && json_array_size(rows)) {
        printf("\n");
        ret = cli_show_rows(call, vifs, sizeof(vifs) / sizeof(vifs[0]), json_incref(rows), err);
    }
    return ret;
}

static int run_show(struct cli_call *call, struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    int ret = describe(cli_argument(call, 0), &json, err);

    if (ret)
        return ret;
    if (!json)
        return xw_error_set(err, ENOMEM, "no memory for the description");
    if (cli_flag(call, "json"))
        return cli_show_json(call, json_incref(json), err);
    show_fields(json);
    return show_devices(call, json, err);
}

static const struct cli_command list = {
    .verb = "list",
    .purpose = "List the domains of this host",
    .description = "Needs a Xen dom0 and the right to control it (root).",
    .examples = (const struct cli_example[]){
        {"xenwright vm list", "all domains"},
        {"xenwright vm list --json", "the same for a program"},
        {0},
    },
    .flags = CLI_SHOWS,
    .run = run_list,
};

static const struct cli_command show = {
    .verb = "show",
    .purpose = "Show everything about one domain",
    .description = "DOMAIN is the name or the domid of a domain, or an xl configuration file: what "
                   "holds a slash is a file, as is a name that no domain has. Files can be shown "
                   "on any machine.",
    .arguments = {.usage = "DOMAIN", .min = 1, .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_domain_names}}},
    .examples = (const struct cli_example[]){
        {"xenwright vm show web", "the domain called web, with its disks and network interfaces"},
        {"xenwright vm show 3 --json", "the domain with the domid 3, for a program"},
        {"xenwright vm show /etc/xen/web.cfg", "what its configuration file says"},
        {0},
    },
    .flags = CLI_SHOWS,
    .run = run_show,
};

extern const struct cli_command cli_vm_migrate;

const struct cli_group cli_group_vm = {
    .noun = "vm",
    .purpose = "Domains of this host",
    .commands = (const struct cli_command *const[]){&list, &show, &cli_vm_save, &cli_vm_restore,
                                                    &cli_vm_migrate, NULL},
};
