/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is this a dom0? What Xen's libraries log, and what libxl notes of disks, made into our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenwright/domain.h>

#include "base/file.h"
#include "host/connection.h"
#include "host/device.h"

/* A root folder with the files that tell; NULL leaves one out. */
static void make_root(const char *root, const char *type, const char *capabilities, bool privcmd)
{
    const struct {
        const char *path;
        const char *content;
    } files[] = {
        {"sys/hypervisor/type", type},
        {"proc/xen/capabilities", capabilities},
        {"dev/xen/privcmd", privcmd ? "" : NULL},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[256];

        if (!files[i].content)
            continue;
        snprintf(path, sizeof(path), "%s/%s", root, files[i].path);
        *strrchr(path, '/') = '\0';
        assert_int_equal(xw_file_make_folders(AT_FDCWD, path, 0755, NULL), 0);
        snprintf(path, sizeof(path), "%s/%s", root, files[i].path);
        assert_int_equal(xw_file_write(AT_FDCWD, path, files[i].content, strlen(files[i].content),
                                       0644, NULL), 0);
    }
}

static void test_a_dom0_is_told_from_other_machines(void **state)
{
    static const struct {
        const char *type;
        const char *capabilities;
        bool privcmd;
        int ret;
        const char *message;
    } cases[] = {
        {"xen\n", "control_d\n", true, 0, ""},
        {"xen\n", NULL, true, 0, ""}, /* xenfs is not mounted: libxl will find out */
        {NULL, NULL, false, -ENODEV, "this machine is not a Xen dom0 (no Xen is running here)"},
        {"kvm\n", NULL, false, -ENODEV, "this machine is not a Xen dom0"},
        {"xen\n", "", true, -EPERM, "this machine is a Xen guest, not a Xen dom0"},
        {"xen\n", "control_d\n", false, -ENOENT, "Xen cannot be controlled from here (load the"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char root[] = "/tmp/xenwright-host-XXXXXX";
        struct xw_error err = XW_ERROR_INIT;

        assert_non_null(mkdtemp(root));
        make_root(root, cases[i].type, cases[i].capabilities, cases[i].privcmd);
        assert_int_equal(xw_host_probe(root, &err), cases[i].ret);
        assert_int_equal(strncmp(err.message, cases[i].message, strlen(cases[i].message)), 0);
        assert_int_equal(xw_file_remove_tree(AT_FDCWD, root, NULL), 0);
    }
}

static void test_no_handle_without_xen(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_host *host = NULL;

    (void)state;
    if (!access("/sys/hypervisor/type", F_OK)) {
        print_message("skipped: this machine runs on a hypervisor that says so\n");
        skip();
    }
    assert_int_equal(xw_host_open(&host, &err), -ENODEV);
    assert_null(host);
    assert_non_null(strstr(err.message, "'xenwright lab up'"));
    xw_host_close(NULL);
}

static void test_the_first_error_of_a_library_is_kept(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xen_log log;

    (void)state;
    xw_xen_log_init(&log);
    assert_int_equal(xw_xen_log_error(&log, ENOENT, &err, "cannot open %s", "it"), -ENOENT);
    assert_string_equal(err.message, "cannot open it: No such file or directory");

    xtl_log(&log.logger, XTL_WARN, -1, "xc", "only a warning");
    xtl_log(&log.logger, XTL_ERROR, EACCES, "xc", "no access to %s\n", "privcmd");
    xtl_log(&log.logger, XTL_ERROR, -1, "libxl", "cannot do anything");
    assert_int_equal(xw_xen_log_error(&log, EIO, &err, "cannot open it"), -EIO);
    assert_string_equal(err.message, "cannot open it: no access to privcmd: Permission denied");

    xw_xen_log_reset(&log);
    xw_xen_log_error(&log, EIO, &err, "cannot open it");
    assert_string_equal(err.message, "cannot open it: Input/output error");
}

static void test_params_give_target_and_format(void **state)
{
    static const struct {
        libxl_disk_backend backend;
        const char *script;
        const char *params;
        const char *target;
        const char *format;
    } cases[] = {
        {LIBXL_DISK_BACKEND_QDISK, NULL, "qcow2:/img/a:b.qcow2", "/img/a:b.qcow2", "qcow2"},
        {LIBXL_DISK_BACKEND_QDISK, NULL, "aio:/img/a.raw", "/img/a.raw", "raw"},
        {LIBXL_DISK_BACKEND_QDISK, NULL, "aio:", "", "empty"},
        {LIBXL_DISK_BACKEND_PHY, "/etc/xen/scripts/block", "/dev/vg/a", "/dev/vg/a", "raw"},
        {LIBXL_DISK_BACKEND_PHY, NULL, "/dev/loop0", "/dev/loop0", "raw"},
        {LIBXL_DISK_BACKEND_PHY, "/etc/xen/scripts/block-rbd", "rbd:pool/a", "rbd:pool/a", ""},
        {LIBXL_DISK_BACKEND_STANDALONE, NULL, "any:thing", "any:thing", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        libxl_device_disk from;
        struct xw_disk *disk;
        char params[64];

        libxl_device_disk_init(&from);
        from.backend = cases[i].backend;
        from.script = cases[i].script ? strdup(cases[i].script) : NULL;
        disk = xw_disk_from_libxl(&from);
        libxl_device_disk_dispose(&from);
        assert_non_null(disk);
        snprintf(params, sizeof(params), "%s", cases[i].params);
        assert_int_equal(xw_disk_set_params(disk, params), 0);
        assert_string_equal(disk->target, cases[i].target);
        assert_string_equal(disk->format, cases[i].format);
        xw_disk_free(disk);
    }
}

static void test_one_word_for_a_state(void **state)
{
    static const struct {
        unsigned int flags;
        enum xw_domain_shutdown reason;
        const char *word;
    } cases[] = {
        {0, XW_SHUTDOWN_UNKNOWN, "runnable"},
        {XW_DOMAIN_RUNNING, XW_SHUTDOWN_UNKNOWN, "running"},
        {XW_DOMAIN_BLOCKED, XW_SHUTDOWN_UNKNOWN, "blocked"},
        {XW_DOMAIN_BLOCKED | XW_DOMAIN_PAUSED, XW_SHUTDOWN_UNKNOWN, "paused"},
        {XW_DOMAIN_SHUTDOWN, XW_SHUTDOWN_POWEROFF, "shutdown"},
        {XW_DOMAIN_SHUTDOWN | XW_DOMAIN_PAUSED, XW_SHUTDOWN_CRASH, "crashed"},
        {XW_DOMAIN_SHUTDOWN, XW_SHUTDOWN_WATCHDOG, "crashed"},
        {XW_DOMAIN_SHUTDOWN, XW_SHUTDOWN_REBOOT, "rebooting"},
        {XW_DOMAIN_SHUTDOWN, XW_SHUTDOWN_SUSPEND, "suspended"},
        {XW_DOMAIN_SHUTDOWN | XW_DOMAIN_DYING, XW_SHUTDOWN_CRASH, "dying"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xw_domain domain = {.flags = cases[i].flags, .shutdown = cases[i].reason};

        assert_string_equal(xw_domain_state(&domain), cases[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dom0_is_told_from_other_machines),
        cmocka_unit_test(test_no_handle_without_xen),
        cmocka_unit_test(test_the_first_error_of_a_library_is_kept),
        cmocka_unit_test(test_params_give_target_and_format),
        cmocka_unit_test(test_one_word_for_a_state),
    };

    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
