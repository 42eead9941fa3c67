/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When KVM is taken, how a device that is none is found out, and how long an answer is kept. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "lab/accel-kvm.h"

static char folder[] = "/tmp/xw-accel-XXXXXX";
static int folder_fd = -1;
static int probes;

static const struct lab_kvm_facts good = {
    .reached = LAB_KVM_RUN, .long_mode = true, .sse2 = true, .sse3 = true, .svm = true};

static void probe_good(const char *device, int timeout_ms, struct lab_kvm_facts *ret)
{
    (void)device;
    assert_int_equal(timeout_ms, 5000);
    probes++;
    *ret = good;
}

/* On a busy machine; tried again, it is as good. */
static void probe_slow_first(const char *device, int timeout_ms, struct lab_kvm_facts *ret)
{
    probe_good(device, timeout_ms, ret);
    if (probes == 1)
        *ret = (struct lab_kvm_facts){.reached = LAB_KVM_CREATED, .too_slow = true};
}

static void probe_not_first(const char *device, int timeout_ms, struct lab_kvm_facts *ret)
{
    probe_good(device, timeout_ms, ret);
    if (probes == 1)
        *ret = (struct lab_kvm_facts){.not_tried = true, .error = EAGAIN};
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("XENWRIGHT_ACCEL");
    probes = 0;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(folder_fd);
    return xw_file_remove_tree(AT_FDCWD, folder, NULL);
}

static void test_what_counts_for_kvm(void **state)
{
    static const struct {
        struct lab_kvm_facts facts;
        enum lab_accel_kind kind;
        const char *reason;
    } cases[] = {
        {{.reached = LAB_KVM_RUN, .long_mode = 1, .sse2 = 1, .sse3 = 1, .svm = 1},
         LAB_ACCEL_KVM,
         "/dev/kvm runs guests and offers SVM"},
        {{.reached = LAB_KVM_RUN, .long_mode = 1, .sse2 = 1, .sse3 = 1, .vmx = 1},
         LAB_ACCEL_KVM,
         "/dev/kvm runs guests and offers VMX"},
        {{.reached = LAB_KVM_RUN, .long_mode = 1, .sse2 = 1},
         LAB_ACCEL_TCG,
         "/dev/kvm offers processors without SSE3, SVM or VMX"},
        {{.reached = LAB_KVM_RUN, .sse2 = 1, .sse3 = 1, .svm = 1},
         LAB_ACCEL_TCG,
         "/dev/kvm offers processors without long mode"},
        {{.reached = LAB_KVM_RUN},
         LAB_ACCEL_TCG,
         "/dev/kvm offers processors without long mode, SSE2, SSE3, SVM or VMX"},
        {{.reached = LAB_KVM_NOTHING, .error = ENOENT},
         LAB_ACCEL_TCG,
         "/dev/kvm cannot be opened: No such file or directory"},
        {{.reached = LAB_KVM_NOTHING, .error = EACCES},
         LAB_ACCEL_TCG,
         "/dev/kvm cannot be opened (is the user in the group kvm?): Permission denied"},
        {{.reached = LAB_KVM_OPENED},
         LAB_ACCEL_TCG,
         "/dev/kvm does not speak KVM's API version 12"},
        {{.reached = LAB_KVM_SPOKEN, .error = EBUSY},
         LAB_ACCEL_TCG,
         "/dev/kvm cannot make a virtual machine: Device or resource busy"},
        {{.reached = LAB_KVM_CREATED},
         LAB_ACCEL_TCG,
         "/dev/kvm does not run a guest's instructions rightly"},
        {{.reached = LAB_KVM_CREATED, .too_slow = true},
         LAB_ACCEL_TCG,
         "/dev/kvm does not run a guest's instructions rightly: no answer in time"},
        {{.not_tried = true, .error = EAGAIN},
         LAB_ACCEL_TCG,
         "/dev/kvm cannot be tried: Resource temporarily unavailable"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lab_accel accel = {0};

        lab_kvm_judge("/dev/kvm", &cases[i].facts, &accel);
        assert_string_equal(accel.reason, cases[i].reason);
        assert_int_equal(accel.kind, cases[i].kind);
    }
}

static void test_devices_that_are_not_kvm(void **state)
{
    struct lab_kvm_facts facts;

    (void)state;
    lab_kvm_probe("/dev/xw-nothing-here", 1000, &facts);
    assert_int_equal(facts.reached, LAB_KVM_NOTHING);
    assert_int_equal(facts.error, ENOENT);
    lab_kvm_probe("/dev/null", 1000, &facts);
    assert_int_equal(facts.reached, LAB_KVM_OPENED);
    assert_int_equal(facts.error, ENOTTY);
    assert_false(facts.too_slow);
}

/* A file with a lease on it makes open() wait, as a sick driver would. */
static void test_a_device_that_hangs(void **state)
{
    struct lab_kvm_facts facts;
    int64_t start;
    int fd = openat(folder_fd, "slow", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char path[64];

    (void)state;
    assert_true(fd >= 0);
    signal(SIGIO, SIG_IGN);
    if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0) {
        print_message("# no file leases here: %s\n", strerror(errno));
        close(fd);
        skip();
    }
    snprintf(path, sizeof(path), "%s/slow", folder);
    start = xw_clock_ms();
    lab_kvm_probe(path, 100, &facts);
    assert_true(xw_clock_ms() - start >= 100);
    assert_true(facts.too_slow);
    assert_int_equal(facts.reached, LAB_KVM_NOTHING);
    close(fd);
}

/* The words of /proc/cpuinfo's first line of flags. */
static bool cpu_has(const char *flag)
{
    struct xw_buffer text = XW_BUFFER_INIT(16 << 20);
    char wanted[32];
    bool found;

    assert_int_equal(xw_file_read(AT_FDCWD, "/proc/cpuinfo", 16 << 20, &text, NULL), 0);
    snprintf(wanted, sizeof(wanted), " %s ", flag);
    found = strstr(xw_buffer_text(&text), wanted) != NULL;
    xw_buffer_free(&text);
    return found;
}

static void test_the_device_of_this_machine(void **state)
{
    struct lab_kvm_facts facts;
    struct lab_accel accel = {0};

    (void)state;
    if (access("/dev/kvm", R_OK | W_OK) != 0) {
        print_message("# /dev/kvm: %s\n", strerror(errno));
        skip();
    }
    lab_kvm_probe("/dev/kvm", 1000, &facts);
    lab_kvm_judge("/dev/kvm", &facts, &accel);
    print_message("# %s: %s\n", lab_accel_kind_name(accel.kind), accel.reason);
    assert_true(facts.reached >= LAB_KVM_OPENED);
    /* Whatever it lacks: if it runs instructions at all, the result is right. */
    if (facts.reached == LAB_KVM_CREATED)
        assert_true(facts.error != 0 || facts.too_slow);
    if (facts.reached >= LAB_KVM_SPOKEN) {
        assert_int_equal(facts.long_mode, cpu_has("lm"));
        assert_int_equal(facts.sse2, cpu_has("sse2"));
    }
    if (accel.kind == LAB_ACCEL_KVM)
        assert_true(cpu_has("svm") || cpu_has("vmx"));
}

static void test_an_answer_is_kept(void **state)
{
    static const struct lab_accel_source source = {"/dev/null", probe_good};
    static const struct lab_accel_source other = {"/dev/zero", probe_good};
    struct lab_accel accel = {0};

    (void)state;
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
    assert_int_equal(accel.kind, LAB_ACCEL_KVM);
    assert_true(accel.fresh);
    assert_int_equal(probes, 1);
    memset(&accel, 0, sizeof(accel));
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
    assert_int_equal(accel.kind, LAB_ACCEL_KVM);
    assert_string_equal(accel.reason, "/dev/null runs guests and offers SVM");
    assert_false(accel.fresh);
    assert_int_equal(probes, 1);
    /* Another device is another question. */
    assert_int_equal(lab_accel_find_by(&other, folder_fd, &accel, NULL), 0);
    assert_true(accel.fresh);
    assert_int_equal(probes, 2);
}

static void test_no_answer_is_not_kept(void **state)
{
    static const struct lab_accel_source sources[] = {{"/dev/null", probe_slow_first},
                                                      {"/dev/zero", probe_not_first}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct lab_accel accel = {0};

        probes = 0;
        assert_int_equal(lab_accel_find_by(&sources[i], folder_fd, &accel, NULL), 0);
        assert_int_equal(accel.kind, LAB_ACCEL_TCG);
        assert_int_equal(lab_accel_find_by(&sources[i], folder_fd, &accel, NULL), 0);
        assert_int_equal(accel.kind, LAB_ACCEL_KVM);
        assert_int_equal(probes, 2);
    }
}

static void test_a_device_that_comes_later_is_tried(void **state)
{
    char path[64];
    const struct lab_accel_source source = {path, probe_good};
    struct lab_accel accel = {0};
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/kvm", folder);
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
    assert_int_equal(probes, 2);
}

static void test_damaged_caches_are_replaced(void **state)
{
    static const char *const contents[] = {
        "", "{", "[]", "{\"format\": 2}", "{\"format\": 1, \"machine\": 3}",
        "{\"format\": 1, \"machine\": \"another boot\", \"accel\": \"tcg\", \"reason\": \"old\"}",
    };
    static const struct lab_accel_source source = {"/dev/null", probe_good};

    (void)state;
    for (size_t i = 0; i < sizeof(contents) / sizeof(*contents); i++) {
        struct lab_accel accel = {0};

        assert_int_equal(
            xw_file_write(folder_fd, "accel.json", contents[i], strlen(contents[i]), 0644, NULL),
            0);
        assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
        assert_int_equal(accel.kind, LAB_ACCEL_KVM);
        assert_int_equal(probes, (int)i + 1);
    }
}

static void test_a_cache_that_cannot_be_written(void **state)
{
    static const struct lab_accel_source source = {"/dev/null", probe_good};
    struct lab_accel accel = {0};

    (void)state;
    assert_int_equal(mkdirat(folder_fd, "accel.json", 0700), 0);
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
    assert_int_equal(accel.kind, LAB_ACCEL_KVM);
}

static void test_the_user_decides(void **state)
{
    static const struct lab_accel_source source = {"/dev/null", probe_good};
    struct xw_error err = XW_ERROR_INIT;
    struct lab_accel accel = {0};

    (void)state;
    setenv("XENWRIGHT_ACCEL", "tcg", 1);
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
    assert_int_equal(accel.kind, LAB_ACCEL_TCG);
    assert_string_equal(accel.reason, "XENWRIGHT_ACCEL=tcg");
    setenv("XENWRIGHT_ACCEL", "kvm", 1);
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, NULL), 0);
    assert_int_equal(accel.kind, LAB_ACCEL_KVM);
    setenv("XENWRIGHT_ACCEL", "hvf", 1);
    assert_int_equal(lab_accel_find_by(&source, folder_fd, &accel, &err), -EINVAL);
    assert_string_equal(err.message, "XENWRIGHT_ACCEL is 'hvf'; it takes 'kvm' or 'tcg'");
    assert_int_equal(probes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts_for_kvm),
        cmocka_unit_test(test_devices_that_are_not_kvm),
        TEST(test_a_device_that_hangs),
        cmocka_unit_test(test_the_device_of_this_machine),
        TEST(test_an_answer_is_kept),
        TEST(test_no_answer_is_not_kept),
        TEST(test_a_device_that_comes_later_is_tried),
        TEST(test_damaged_caches_are_replaced),
        TEST(test_a_cache_that_cannot_be_written),
        TEST(test_the_user_decides),
    };

    return cmocka_run_group_tests_name("accel", tests, NULL, NULL);
}
