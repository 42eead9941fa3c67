/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xl configuration files as text: what they say, and what is said of those that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenwright/xlconfig.h>

#include "host/xlconfig-format.h"

const char *__lsan_default_suppressions(void);

/* Under the leak sanitizer: after an error libxlutil itself loses some of what it had parsed. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libxlutil\n";
}

static struct xw_xlconfig *parsed(const char *text)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xlconfig *config = NULL;

    if (xw_xlconfig_parse(text, strlen(text), "web.cfg", &config, &err))
        fail_msg("%s", err.message);
    return config;
}

static void test_all_fields_are_read(void **state)
{
    struct xw_xlconfig *config = parsed(
        "# a guest\n"
        "name = \"web\"; type = 'pvh'\n"
        "uuid = \"6FAF2E4C-7B2B-4D0A-8B0C-0123456789AB\"\n"
        "memory = 512\nmaxmem = 0x400\nvcpus = 2\nmaxvcpus = 4\n"
        "kernel = \"/boot/vmlinuz\"\nramdisk = \"/boot/initrd\"\n"
        "cmdline = 'console=hvc0 \"quoted\"'\nbootloader = \"pygrub\"\nfirmware = \"ovmf\"\n");

    (void)state;
    assert_string_equal(config->name, "web");
    assert_string_equal(config->uuid, "6faf2e4c-7b2b-4d0a-8b0c-0123456789ab");
    assert_int_equal(config->type, XW_DOMAIN_TYPE_PVH);
    assert_int_equal(config->memory_kib, 512 * 1024);
    assert_int_equal(config->max_memory_kib, 1024 * 1024);
    assert_int_equal(config->vcpus, 2);
    assert_int_equal(config->max_vcpus, 4);
    assert_string_equal(config->kernel, "/boot/vmlinuz");
    assert_string_equal(config->ramdisk, "/boot/initrd");
    assert_string_equal(config->cmdline, "console=hvc0 \"quoted\"");
    assert_string_equal(config->bootloader, "pygrub");
    assert_string_equal(config->firmware, "ovmf");
    assert_null(config->disks);
    assert_null(config->vifs);
    xw_xlconfig_free(config);
}

static void test_what_is_not_set_has_its_default(void **state)
{
    struct xw_xlconfig *config = parsed("name='a'");

    (void)state;
    assert_string_equal(config->uuid, "");
    assert_int_equal(config->type, XW_DOMAIN_TYPE_PV);
    assert_int_equal(config->memory_kib, 0);
    assert_int_equal(config->max_memory_kib, 0);
    assert_int_equal(config->vcpus, 1);
    assert_int_equal(config->max_vcpus, 1);
    assert_string_equal(config->kernel, "");
    assert_string_equal(config->cmdline, "");
    xw_xlconfig_free(config);
}

static void test_types_and_builders(void **state)
{
    static const struct {
        const char *text;
        enum xw_domain_type type;
    } cases[] = {
        {"name='a'\ntype='pv'\n", XW_DOMAIN_TYPE_PV},
        {"name='a'\ntype='hvm'\n", XW_DOMAIN_TYPE_HVM},
        {"name='a'\nbuilder='hvm'\n", XW_DOMAIN_TYPE_HVM},
        {"name='a'\nbuilder='generic'\n", XW_DOMAIN_TYPE_PV},
        {"name='a'\nbuilder='hvm'\ntype='hvm'\n", XW_DOMAIN_TYPE_HVM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_xlconfig *config = parsed(cases[i].text);

        assert_int_equal(config->type, cases[i].type);
        xw_xlconfig_free(config);
    }
}

static void test_root_and_extra_make_a_cmdline(void **state)
{
    static const struct {
        const char *text;
        const char *cmdline;
    } cases[] = {
        {"name='a'\nroot='/dev/xvda1 ro'\nextra='quiet'\n", "root=/dev/xvda1 ro quiet"},
        {"name='a'\nroot='/dev/xvda1'\n", "root=/dev/xvda1"},
        {"name='a'\nextra='single'\n", "single"},
        {"name='a'\ncmdline='x'\nroot='/dev/xvda1'\nextra='y'\n", "x"},
        {"name='a'\nextra='a'\nextra+='b'\nextra+='c'\n", "abc"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_xlconfig *config = parsed(cases[i].text);

        assert_string_equal(config->cmdline, cases[i].cmdline);
        xw_xlconfig_free(config);
    }
}

static void test_disks_in_all_spellings(void **state)
{
    static const struct {
        const char *spec;
        const char *vdev;
        const char *backend;
        const char *format;
        const char *target;
        const char *script;
        bool readonly;
        bool cdrom;
    } cases[] = {
        {"/dev/vg/web,raw,xvda,rw", "xvda", "", "raw", "/dev/vg/web", "", false, false},
        {"/img/a.qcow2,qcow2,hda", "hda", "", "qcow2", "/img/a.qcow2", "", false, false},
        {"format=qcow2, vdev=xvdb, access=ro, target=/img/a, b=c.qcow2", "xvdb", "", "qcow2",
         "/img/a, b=c.qcow2", "", true, false},
        {"phy:/dev/vg/web,xvda,w", "xvda", "", "raw", "/dev/vg/web", "", false, false},
        {"vdev=xvda,script=block-drbd,backendtype=phy,target=web", "xvda", "phy", "raw", "web",
         "block-drbd", false, false},
        {"drbd:web,xvda,w", "xvda", "", "raw", "web", "block-drbd", false, false},
        {",,hdc:cdrom,r", "hdc", "", "empty", "", "", true, true},
        {"/cd.iso,,hdc,cdrom", "hdc", "", "raw", "/cd.iso", "", true, true},
        {"vdev=xvda,backendtype=qdisk,backend=storage,target=/x", "xvda", "qdisk", "raw", "/x", "",
         false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_xlconfig *config;
        char text[256];

        snprintf(text, sizeof(text), "name='a'\ndisk=[ '%s' ]\n", cases[i].spec);
        config = parsed(text);
        assert_non_null(config->disks);
        assert_null(config->disks->next);
        assert_string_equal(config->disks->vdev, cases[i].vdev);
        assert_string_equal(config->disks->backend, cases[i].backend);
        assert_string_equal(config->disks->format, cases[i].format);
        assert_string_equal(config->disks->target, cases[i].target);
        assert_string_equal(config->disks->script, cases[i].script);
        assert_int_equal(config->disks->readonly, cases[i].readonly);
        assert_int_equal(config->disks->cdrom, cases[i].cdrom);
        assert_string_equal(config->disks->backend_domain,
                            strstr(text, "backend=") ? "storage" : "");
        xw_xlconfig_free(config);
    }
}

static void test_lists_over_several_lines_keep_their_order(void **state)
{
    struct xw_xlconfig *config = parsed("disk = [\n  '/a,raw,xvda', # first\n\n '/b,raw,xvdb',\n]\n"
                                        "disk += ['/c,raw,xvdc']\nname = 'a'\n"
                                        "vif = ['', 'bridge=x']\n");
    const struct xw_disk *disk = config->disks;

    (void)state;
    assert_string_equal(disk->target, "/a");
    assert_string_equal(disk->next->target, "/b");
    assert_string_equal(disk->next->next->target, "/c");
    assert_null(disk->next->next->next);
    assert_int_equal(config->vifs->devid, 0);
    assert_string_equal(config->vifs->mac, "");
    assert_int_equal(config->vifs->next->devid, 1);
    assert_string_equal(config->vifs->next->bridge, "x");
    assert_null(config->vifs->next->next);
    xw_xlconfig_free(config);
}

static void test_a_vif_with_everything(void **state)
{
    struct xw_xlconfig *config = parsed(
        "name='a'\nvif=['mac=0:16:3E:1:2:fF, bridge=xenbr0,ip=10.0.0.2 10.0.0.3,script=vif-route,"
        "vifname=web0,model=e1000,type=ioemu,backend=net,devid=7,rate=10Mb/s,"
        "unknown=1,trusted']\n");
    const struct xw_vif *vif = config->vifs;

    (void)state;
    assert_string_equal(vif->mac, "00:16:3e:01:02:ff");
    assert_string_equal(vif->bridge, "xenbr0");
    assert_string_equal(vif->ip, "10.0.0.2 10.0.0.3");
    assert_string_equal(vif->script, "vif-route");
    assert_string_equal(vif->vifname, "web0");
    assert_string_equal(vif->model, "e1000");
    assert_string_equal(vif->type, "ioemu");
    assert_string_equal(vif->backend_domain, "net");
    assert_int_equal(vif->devid, 7);
    xw_xlconfig_free(config);
}

static void test_errors_name_file_and_place(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "web.cfg: name= is missing"},
        {"memory=1\n", "web.cfg: name= is missing"},
        {"name='a'\n\nmemory = 'lots'\n", "web.cfg:3: parameter `memory' is not a valid number"},
        {"name='a'\nmemory = -5\n", "web.cfg:2: config parsing error near `-5'"},
        {"name='a'\nmemory = '-5'\n", "web.cfg:2: value `-5' is smaller than minimum bound '0'"},
        {"name='a'\nmemory = 99999999999999999999\n", "web.cfg:2: parameter `memory' could not be"},
        {"name='a'\nvcpus = '0'\n", "web.cfg:2: value `0' is smaller than minimum bound '1'"},
        {"name='a'\nvcpus=4\nmaxvcpus=2\n", "web.cfg: maxvcpus (2) is less than vcpus (4)"},
        {"name=['a']\n", "web.cfg:1: parameter `name' is a list but should be a single value"},
        {"name='a'\ndisk='/a,raw,xvda'\n",
         "web.cfg:2: parameter `disk' is a single value but should be a list"},
        {"name='a'\ndisk=[['/a,raw,xvda']]\n", "web.cfg: disk 1 is no string"},
        {"name='a'\ndisk=['/a,raw,xvda','/b,odd,xvdb']\n",
         "web.cfg: disk 2: config parsing error in disk specification: unknown value for format"},
        {"name='a'\ndisk=['/a']\n",
         "web.cfg: disk 1: config parsing error in disk specification: no vdev specified"},
        {"name='a'\nvif=['','mac=00:16:3e:00:00']\n",
         "web.cfg: vif 2: mac '00:16:3e:00:00' is no MAC address"},
        {"name='a'\nvif=['mac=00:16:3e:00:00:1g']\n", "web.cfg: vif 1: mac '00:16:3e:00:00:1g' is"},
        {"name='a'\nvif=['mac= 0:16:3e:00:00:11']\n", "web.cfg: vif 1: mac ' 0:16:3e:00:00:11' is"},
        {"name='a'\nvif=['type=fast']\n", "web.cfg: vif 1: type 'fast' is none of vif, ioemu"},
        {"name='a'\nvif=['devid=-1']\n", "web.cfg: vif 1: devid '-1' is no device number"},
        {"name='a'\ntype='xvm'\n", "web.cfg: type 'xvm' is none of pv, pvh, hvm"},
        {"name='a'\nbuilder='linux'\n", "web.cfg: builder 'linux' is none of hvm, generic"},
        {"name='a'\ntype='pv'\nbuilder='hvm'\n",
         "web.cfg: type 'pv' and builder 'hvm' contradict each other"},
        {"name='a'\nuuid='12'\n", "web.cfg: '12' is no UUID"},
        {"name='a'\nimport os\n", "web.cfg:2: config parsing error near `os'"},
        {"name='a\n", "web.cfg:1: config parsing error near `'a': lexical error"},
        {"name='a'\nx=[1,\n", "web.cfg:2: config parsing error near"},
        {"name=\"\\x4\"\n", "web.cfg:1: config parsing error near"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_error err = XW_ERROR_INIT;
        struct xw_xlconfig *config = NULL;

        assert_int_equal(
            xw_xlconfig_parse(cases[i].text, strlen(cases[i].text), "web.cfg", &config, &err),
            -EINVAL);
        assert_null(config);
        if (strncmp(err.message, cases[i].message, strlen(cases[i].message)))
            fail_msg("%s\n  is said of: %s", err.message, cases[i].text);
    }
}

static void test_binary_garbage_is_refused(void **state)
{
    static const char elf[] = "\177ELF\2\1\1\0\0\0\0\0";
    static const char quoted[] = "name='a\0b'\n";
    static const char high[] = "\xff\xfe\x80\x81\n\xc3(";
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xlconfig *config = NULL;

    (void)state;
    assert_int_equal(xw_xlconfig_parse(elf, sizeof(elf), "x", &config, &err), -EINVAL);
    assert_string_equal(err.message, "x: is no xl configuration, it holds binary data");
    assert_int_equal(xw_xlconfig_parse(quoted, sizeof(quoted) - 1, "x", &config, &err), -EINVAL);
    assert_int_equal(xw_xlconfig_parse(high, sizeof(high) - 1, "x", &config, &err), -EINVAL);
    assert_null(config);
}

static void test_nesting_without_end_is_refused(void **state)
{
    char *text = malloc(XW_XLCONFIG_MAX_SIZE);
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xlconfig *config = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, '[', XW_XLCONFIG_MAX_SIZE);
    memcpy(text, "a=", 2);
    assert_int_equal(xw_xlconfig_parse(text, XW_XLCONFIG_MAX_SIZE, "x", &config, &err), -EINVAL);
    free(text);
}

static void test_files(void **state)
{
    char path[] = "/tmp/xenwright-xlconfig-XXXXXX";
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xlconfig *config = NULL;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "name = 'filed'\n") > 0);
    assert_int_equal(xw_xlconfig_read(path, &config, &err), 0);
    assert_string_equal(config->name, "filed");
    xw_xlconfig_free(config);
    config = NULL;

    assert_int_equal(ftruncate(fd, XW_XLCONFIG_MAX_SIZE + 1), 0);
    assert_int_equal(xw_xlconfig_read(path, &config, &err), -EFBIG);
    assert_non_null(strstr(err.message, path));
    close(fd);
    unlink(path);

    assert_int_equal(xw_xlconfig_read(path, &config, &err), -ENOENT);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(xw_xlconfig_read("/", &config, &err), -EISDIR);
    assert_null(config);
}

/* The text with disk xvda's format changed to qcow2; it must be `expected`, or (NULL) refused. */
static void assert_format_changed(const char *text, const char *expected, int refused)
{
    struct xw_buffer changed = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    struct xw_error err = XW_ERROR_INIT;
    int rc = xw_xlconfig_set_format(text, strlen(text), "web.cfg", "xvda", "qcow2", &changed, &err);

    if (rc != refused)
        fail_msg("%s: %d %s", text, rc, err.message);
    if (expected)
        assert_string_equal(xw_buffer_text(&changed), expected);
    else
        assert_int_equal(changed.length, 0);
    xw_buffer_free(&changed);
}

static void test_the_format_of_a_disk_is_one_word(void **state)
{
    (void)state;
    assert_format_changed("name='a'\ndisk=['format=raw,vdev=xvda,target=/a'] # raw\n",
                          "name='a'\ndisk=['format=qcow2,vdev=xvda,target=/a'] # raw\n", 0);
    assert_format_changed("# format=raw\nname='raw'\ndisk=[ '/raw/raw,raw,xvdb,w',\n"
                          "\t\"/srv/raw/raw.raw, raw, xvda\" ]\n",
                          "# format=raw\nname='raw'\ndisk=[ '/raw/raw,raw,xvdb,w',\n"
                          "\t\"/srv/raw/raw.raw, qcow2, xvda\" ]\n", 0);
    assert_format_changed("name='a'\ndisk=['vdev=xvda,format=qed,target=raw']",
                          "name='a'\ndisk=['vdev=xvda,format=qcow2,target=raw']", 0);
    assert_format_changed("name='a'\ndisk=['vdev=xvda,format=qcow2,target=/a']",
                          "name='a'\ndisk=['vdev=xvda,format=qcow2,target=/a']", 0);
    assert_format_changed("name='a'\ndisk=['vdev=xvda,target=raw']", NULL, -ENOTSUP);
    assert_format_changed("name='a'\ndisk=['/raw,,xvda,w']", NULL, -ENOTSUP);
    assert_format_changed("name='a'\ndisk=['/raw,raw,xvdb,w']", NULL, -ENOENT);
    assert_format_changed("name='a'", NULL, -ENOENT);
    assert_format_changed("name=", NULL, -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_fields_are_read),
        cmocka_unit_test(test_what_is_not_set_has_its_default),
        cmocka_unit_test(test_types_and_builders),
        cmocka_unit_test(test_root_and_extra_make_a_cmdline),
        cmocka_unit_test(test_disks_in_all_spellings),
        cmocka_unit_test(test_lists_over_several_lines_keep_their_order),
        cmocka_unit_test(test_a_vif_with_everything),
        cmocka_unit_test(test_errors_name_file_and_place),
        cmocka_unit_test(test_binary_garbage_is_refused),
        cmocka_unit_test(test_nesting_without_end_is_refused),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_the_format_of_a_disk_is_one_word),
    };

    return cmocka_run_group_tests_name("xlconfig", tests, NULL, NULL);
}
