/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What on a console is a crash of the hypervisor, what is none, and what the report says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/file.h"
#include "lab/crash.h"

#define STARS "(XEN) ****************************************\r\n"
#define REBOOT "(XEN) \r\n(XEN) Reboot in five seconds...\r\n"
#define BANNER(cpu, reason) \
    "(XEN) \r\n" STARS "(XEN) Panic on CPU " cpu ":\r\n(XEN) " reason "\r\n" STARS REBOOT

#define DUMP(cpu, rip, context)                                              \
    "(XEN) ----[ Xen-4.20.5-pre  x86_64  debug=n  Not tainted ]----\r\n"     \
    "(XEN) CPU:    " cpu "\r\n"                                              \
    "(XEN) RIP:    e008:[<" rip "\r\n"                                       \
    "(XEN) RFLAGS: 0000000000010246   CONTEXT: " context "\r\n"              \
    "(XEN) rax: 0000000000000000   rbx: ffff830000000000   rcx: 0000000000000000\r\n" \
    "(XEN) Xen code around <ffff82d040203abc> (crash+0x1/0x9):\r\n"          \
    "(XEN)  00 00 00 00 00 <0f> 0b c3\r\n"                                   \
    "(XEN) Xen stack trace from rsp=ffff83013fe7fd80:\r\n"                   \
    "(XEN)    0000000000000000 ffff82d0402f2b8b\r\n"

#define TRACE                                                                \
    "(XEN) Xen call trace:\r\n"                                              \
    "(XEN)    [<ffff82d040203abc>] R crash+0x1/0x9\r\n"                      \
    "(XEN)    [<ffff82d0402f2b8b>] F common/domctl.c#do_domctl+0x12/0x345\r\n" \
    "(XEN)    [<ffff82d040201320>] F lstar_enter+0x140/0x150\r\n"            \
    "(XEN) \r\n"

#define HYPERVISOR_DUMP DUMP("1", "ffff82d040203abc>] crash+0x1/0x9", "hypervisor (d0v1)") TRACE

static struct lab_crash_scan *new_scan(void)
{
    struct lab_crash_scan *scan = NULL;

    assert_int_equal(lab_crash_scan_new(&scan, NULL), 0);
    return scan;
}

/* The state after all of `text`, fed in pieces of `piece` bytes. */
static enum lab_crash_state feed(struct lab_crash_scan *scan, const char *text, size_t piece)
{
    enum lab_crash_state state = LAB_CRASH_NONE;

    for (size_t left = strlen(text); left > 0;) {
        size_t now = left < piece ? left : piece;

        state = lab_crash_feed(scan, text, now);
        text += now;
        left -= now;
    }
    return state;
}

static const struct crash_case {
    const char *text;
    enum lab_crash_kind kind;
    const char *reason;
    int cpu;
    const char *symbol;
} crashes[] = {
    {BANNER("0", "Could not construct domain 0"), LAB_CRASH_PANIC, "Could not construct domain 0",
     0, ""},
    {HYPERVISOR_DUMP BANNER("1", "FATAL PAGE FAULT\r\n(XEN) [error_code=0002]\r\n(XEN) Faulting "
                                 "linear address: 0000000000000008"),
     LAB_CRASH_PAGE_FAULT,
     "FATAL PAGE FAULT [error_code=0002] Faulting linear address: 0000000000000008", 1,
     "crash+0x1/0x9"},
    {HYPERVISOR_DUMP BANNER("1", "GENERAL PROTECTION FAULT\r\n(XEN) [error_code=0000]"),
     LAB_CRASH_TRAP, "GENERAL PROTECTION FAULT [error_code=0000]", 1, "crash+0x1/0x9"},
    {HYPERVISOR_DUMP BANNER("1", "FATAL TRAP: vector = 6 (invalid opcode)"), LAB_CRASH_TRAP,
     "FATAL TRAP: vector = 6 (invalid opcode)", 1, "crash+0x1/0x9"},
    {"(XEN) Assertion 'a < b' failed at x.c:3\r\n" HYPERVISOR_DUMP BANNER(
         "1", "Assertion 'a < b' failed at x.c:3"),
     LAB_CRASH_ASSERTION, "Assertion 'a < b' failed at x.c:3", 1, "crash+0x1/0x9"},
    {"(XEN) Xen BUG at domctl.c:77\r\n" HYPERVISOR_DUMP BANNER("1", "Xen BUG at domctl.c:77"),
     LAB_CRASH_BUG, "Xen BUG at domctl.c:77", 1, "crash+0x1/0x9"},
    {"(XEN) *** DOUBLE FAULT ***\r\n" HYPERVISOR_DUMP BANNER("1",
                                                             "DOUBLE FAULT -- system shutdown"),
     LAB_CRASH_DOUBLE_FAULT, "DOUBLE FAULT -- system shutdown", 1, "crash+0x1/0x9"},
    {"(XEN) Uhhuh. NMI received for unknown reason 20.\r\n"
     "(XEN) Do you have a strange power saving mode enabled?\r\n" HYPERVISOR_DUMP BANNER(
         "1", "FATAL TRAP: vec 2, NMI[0000] IN INTERRUPT CONTEXT"),
     LAB_CRASH_NMI, "FATAL TRAP: vec 2, NMI[0000] IN INTERRUPT CONTEXT", 1, "crash+0x1/0x9"},
    {"(XEN) Watchdog timer detects that CPU1 is stuck!\r\n" HYPERVISOR_DUMP DUMP(
         "0", "ffff82d0aaaaaaaa>] other+0/0x1", "hypervisor")
         BANNER("1", "FATAL TRAP: vec 2, NMI[0000]"),
     LAB_CRASH_WATCHDOG, "FATAL TRAP: vec 2, NMI[0000]", 1, "crash+0x1/0x9"},
    /* Half a line of dom0 before Xen's, dom0 and guests in between, timestamps. */
    {"root@lab:~# ls(XEN) \r\n" STARS "lost+found\r\r\n(XEN) Panic on CPU 3:\r\n"
     "(d1) (XEN) nothing\r\n[  1.2] dom0 k(XEN) Out of luck\r\n" STARS REBOOT,
     LAB_CRASH_PANIC, "Out of luck", 3, ""},
    {"(XEN) [   12.345678] ****************************************\r\n"
     "(XEN) [2026-11-23 15:30:00] Panic on CPU 0:\r\n(XEN) [   12.345680] Why\r\n"
     "(XEN) [0000001234abcdef] ****************************************\r\n"
     "(XEN) [   12.345680] Manual reset required ('noreboot' specified)\r\n",
     LAB_CRASH_PANIC, "Why", 0, ""},
    /* A reason cut at 127 bytes has no newline of its own. */
    {STARS "(XEN) Panic on CPU 0:\r\n(XEN) A long story****************************************"
           "\r\n" REBOOT,
     LAB_CRASH_PANIC, "A long story", 0, ""},
    /* Registers of another processor or of a guest, a warning or a debug key are not the crash's.
     */
    {DUMP("0", "ffff82d040203abc>] crash+0x1/0x9", "hypervisor") TRACE BANNER("1", "Why"),
     LAB_CRASH_PANIC, "Why", 1, ""},
    {DUMP("1", "ffffffff81000000>]", "pv guest (d0v1)") BANNER("1", "Why"), LAB_CRASH_PANIC, "Why",
     1, ""},
    {"(XEN) Xen WARN at x.c:1\r\n" HYPERVISOR_DUMP BANNER("1", "Why"), LAB_CRASH_PANIC, "Why", 1,
     ""},
    {"(XEN) *** Dumping CPU1 host state: ***\r\n" HYPERVISOR_DUMP BANNER("1", "Why"),
     LAB_CRASH_PANIC, "Why", 1, ""},
    {HYPERVISOR_DUMP "(XEN) d1v0: upcall vector f3\r\n" BANNER("1", "Why"), LAB_CRASH_PANIC, "Why",
     1, ""},
    {"(XEN) 'C' pressed -> triggering crashdump\r\n" BANNER("0", "Why"), LAB_CRASH_PANIC, "Why", 0,
     ""},
    {"[    9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\r\r\n"
     "(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\r\n",
     LAB_CRASH_DOM0, "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b", -1,
     ""},
    {"(XEN) Hardware Dom0 crashed: 'noreboot' set - not rebooting.\r\n", LAB_CRASH_DOM0,
     "Hardware Dom0 crashed: 'noreboot' set - not rebooting.", -1, ""},
    {"(XEN) Hardware Dom0 shutdown: watchdog rebooting machine\r\n", LAB_CRASH_DOM0,
     "Hardware Dom0 shutdown: watchdog rebooting machine", -1, ""},
};

static void check_report(const struct crash_case *c, const struct lab_crash_scan *scan)
{
    struct lab_crash_report report;

    assert_int_equal(lab_crash_report_get(scan, &report, NULL), 0);
    assert_string_equal(lab_crash_kind_name(report.kind), lab_crash_kind_name(c->kind));
    assert_string_equal(report.reason, c->reason);
    assert_int_equal(report.cpu, c->cpu);
    assert_string_equal(report.symbol, c->symbol);
    assert_int_equal(report.frame_count, c->symbol[0] ? 3 : 0);
    assert_int_equal(report.rip, c->symbol[0] ? 0xffff82d040203abc : 0);
    lab_crash_report_free(&report);
}

static void test_crashes_are_recognised(void **state)
{
    static const size_t pieces[] = {100000, 1, 7};

    (void)state;
    for (size_t i = 0; i < sizeof(crashes) / sizeof(*crashes); i++) {
        for (size_t p = 0; p < sizeof(pieces) / sizeof(*pieces); p++) {
            struct lab_crash_scan *scan = new_scan();

            print_message("# %zu in pieces of %zu\n", i, pieces[p]);
            assert_int_equal(feed(scan, "(XEN) Xen version 4.20\r\nlogin: \r\r\n", pieces[p]),
                             LAB_CRASH_NONE);
            assert_int_equal(feed(scan, crashes[i].text, pieces[p]), LAB_CRASH_REPORTED);
            check_report(&crashes[i], scan);
            lab_crash_scan_free(scan);
        }
    }
}

static const char *const harmless[] = {
    /* A guest prints what Xen would; Xen puts the guest's name before it. */
    "(d3) (XEN) ****************************************\r\n(d3) (XEN) Panic on CPU 0:\r\n"
    "(d3) (XEN) boo\r\n(d3) (XEN) ****************************************\r\n"
    "(d3) (XEN) Reboot in five seconds...\r\n",
    "root# (d3) (XEN) ****************************************\r\n"
    "x(d3) (XEN) Panic on CPU 0:\r\n(d3) (XEN) y\r\n(d3) " STARS,
    "(d3) Hardware Dom0 crashed: rebooting machine in 5 seconds.\r\n",
    /* An old log on dom0's terminal. */
    "(XEN) ****************************************\r\r\n(XEN) Panic on CPU 0:\r\r\n"
    "(XEN) boo\r\r\n(XEN) ****************************************\r\r\n"
    "(XEN) Reboot in five seconds...\r\r\n",
    "(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\r\r\n",
    /* Words without the shape. */
    "Panic on CPU 0:\r\r\nKernel panic - not syncing: no\r\r\n",
    "(XEN) Panic on CPU 0:\r\n(XEN) why\r\n" STARS REBOOT,
    STARS "(XEN) d1v0 Panic on CPU 0:\r\n(XEN) why\r\n" STARS REBOOT,
    STARS "(XEN) Panic on CPU :\r\n(XEN) why\r\n",
    STARS "(XEN) Panic on CPU 99999999999999999999:\r\n(XEN) why\r\n",
    STARS "(XEN) all is well\r\n",
    /* Registers of a guest, of a warning, of debug key 'd'; a guest that triple-faulted. */
    "(XEN) *** Dumping Dom2 vcpu#0 state: ***\r\n" DUMP("0", "ffffffff81000000>]",
                                                        "hvm guest (d2v0)"),
    "(XEN) d2v0 Triple fault - invoking HVM shutdown action 1\r\n"
    "(XEN) *** Dumping Dom2 vcpu#0 state: ***\r\n" DUMP("0", "ffffffff81000000>]",
                                                        "hvm guest (d2v0)"),
    "(XEN) Xen WARN at x.c:1\r\n" HYPERVISOR_DUMP "(XEN) going on\r\n",
    "(XEN) 'd' pressed -> dumping registers\r\n(XEN) *** Dumping CPU1 host state: ***\r\n"
        HYPERVISOR_DUMP,
    /* Debug key C without a crash kernel: Xen goes on. */
    "(XEN) 'C' pressed -> triggering crashdump\r\n(XEN)  * no crash kernel loaded!\r\n",
    "(XEN) Hardware Dom0 halted: halting machine\r\n",
    "(XEN) Hardware Dom0 shutdown: rebooting machine\r\n",
};

static void test_harmless_text_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
        struct lab_crash_scan *scan = new_scan();

        print_message("# %zu\n", i);
        feed(scan, harmless[i], 1);
        assert_int_equal(lab_crash_quiet(scan), LAB_CRASH_NONE);
        /* And nothing of it sticks to a later crash. */
        assert_int_equal(feed(scan, "(XEN) on\r\n" BANNER("2", "Later"), 64), LAB_CRASH_REPORTED);
        check_report(&(struct crash_case){"", LAB_CRASH_PANIC, "Later", 2, ""}, scan);
        lab_crash_scan_free(scan);
    }
}

static void test_silence_completes_a_report(void **state)
{
    static const struct {
        const char *text;
        enum lab_crash_kind kind;
    } cases[] = {
        {STARS "(XEN) Panic on CPU 0:\r\n(XEN) why\r\n", LAB_CRASH_PANIC},
        {STARS "(XEN) Panic on CPU 0:\r\n(XEN) why\r\n" STARS, LAB_CRASH_PANIC},
        {"(XEN) 'C' pressed -> triggering crashdump\r\n", LAB_CRASH_DEBUG_KEY},
        {"(XEN) Hardware Dom0 crashed: ", LAB_CRASH_DOM0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lab_crash_scan *scan = new_scan();
        struct lab_crash_report report;

        assert_int_not_equal(feed(scan, cases[i].text, 1000), LAB_CRASH_REPORTED);
        assert_int_equal(lab_crash_report_get(scan, &report, NULL), -ENOENT);
        assert_int_equal(lab_crash_quiet(scan), LAB_CRASH_REPORTED);
        assert_int_equal(lab_crash_report_get(scan, &report, NULL), 0);
        assert_int_equal(report.kind, cases[i].kind);
        lab_crash_report_free(&report);
        lab_crash_scan_free(scan);
    }
}

static void test_a_flood_keeps_memory_and_the_newest_text(void **state)
{
    struct lab_crash_scan *scan = new_scan();
    struct lab_crash_report report;
    char *line = malloc(10001);

    (void)state;
    assert_non_null(line);
    memset(line, 'x', 10000);
    line[10000] = '\0';
    feed(scan, STARS "(XEN) Panic on CPU 0:\r\n(XEN) why\r\n", 4096);
    for (int i = 0; i < 100; i++)
        feed(scan, line, 1000);
    for (int i = 0; i < 100000; i++)
        feed(scan, "a line of dom0\r\r\n", 100);
    assert_int_equal(feed(scan, STARS REBOOT, 100), LAB_CRASH_REPORTED);
    assert_int_equal(lab_crash_report_get(scan, &report, NULL), 0);
    assert_true(strlen(report.text) <= 256 * 1024);
    assert_true(strlen(report.text) > 128 * 1024);
    assert_non_null(strstr(report.text, "(XEN) Reboot in five seconds...\n"));
    lab_crash_report_free(&report);
    lab_crash_scan_free(scan);
    free(line);
}

static void test_text_is_printable_and_begins_at_the_first_sign(void **state)
{
    struct lab_crash_scan *scan = new_scan();
    struct lab_crash_report report;

    (void)state;
    feed(scan, "(XEN) before\r\n(XEN) Xen BUG at x.c:1\r\n\x1b[31mdom0\r\r\n", 1000);
    feed(scan, BANNER("0", "Xen BUG at x.c:1"), 1000);
    assert_int_equal(lab_crash_report_get(scan, &report, NULL), 0);
    assert_ptr_equal(strstr(report.text, "(XEN) Xen BUG at x.c:1\n\\x1b[31mdom0\n"), report.text);
    lab_crash_report_free(&report);
    lab_crash_scan_free(scan);
}

/* What Debian's Xen 4.20 wrote in a lab when it was crashed; see tests/host/lab-crash.sh. */
static void test_real_consoles(void **state)
{
    static const struct {
        const char *file;
        enum lab_crash_kind kind;
        int cpu;
        size_t frames;
        const char *reason, *symbol;
    } cases[] = {
        {"bug-4.20.log", LAB_CRASH_BUG, 0, 6, "Xen BUG at crash-bug.c:77",
         "xenwright_crash_bug+0x4/0x7 [crash-bug]"},
        {"fault-4.20.log", LAB_CRASH_PAGE_FAULT, 1, 6,
         "FATAL PAGE FAULT [error_code=0002] Faulting linear address: 0000000000000010",
         "xenwright_crash_fault+0x6/0xe [crash-fault]"},
        {"spin-4.20.log", LAB_CRASH_NMI, 0, 5, "FATAL TRAP: vec 2, NMI[0000] IN INTERRUPT CONTEXT",
         "xenwright_crash_spin+0xa/0xc [crash-spin]"},
        {"dom0-4.20.log", LAB_CRASH_DOM0, -1, 0,
         "Kernel panic - not syncing: sysrq triggered crash", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lab_crash_scan *scan = new_scan();
        struct xw_buffer text = XW_BUFFER_INIT(1 << 20);
        struct lab_crash_report report;
        char path[4096];

        print_message("# %s\n", cases[i].file);
        snprintf(path, sizeof(path), "%s/consoles/%s", getenv("XENWRIGHT_TEST_DATA"),
                 cases[i].file);
        assert_int_equal(xw_file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
        assert_int_equal(lab_crash_feed(scan, text.data, text.length), LAB_CRASH_REPORTED);
        assert_int_equal(lab_crash_report_get(scan, &report, NULL), 0);
        assert_string_equal(lab_crash_kind_name(report.kind), lab_crash_kind_name(cases[i].kind));
        assert_int_equal(report.cpu, cases[i].cpu);
        assert_int_equal(report.frame_count, cases[i].frames);
        assert_string_equal(report.reason, cases[i].reason);
        assert_string_equal(report.symbol, cases[i].symbol);
        lab_crash_report_free(&report);
        xw_buffer_free(&text);
        lab_crash_scan_free(scan);
    }
}

static void test_json(void **state)
{
    struct lab_crash_scan *scan = new_scan();
    struct lab_crash_report report;
    const char *kind, *rip, *address, *symbol;
    json_t *object = NULL;
    json_t *backtrace;
    int cpu;

    (void)state;
    feed(scan, HYPERVISOR_DUMP BANNER("1", "FATAL PAGE FAULT"), 1000);
    assert_int_equal(lab_crash_report_get(scan, &report, NULL), 0);
    assert_int_equal(lab_crash_report_json(&report, &object, NULL), 0);
    assert_int_equal(json_unpack(object, "{ss si ss so}", "kind", &kind, "cpu", &cpu, "rip", &rip,
                                 "backtrace", &backtrace),
                     0);
    assert_string_equal(kind, "page-fault");
    assert_int_equal(cpu, 1);
    assert_string_equal(rip, "ffff82d040203abc");
    assert_int_equal(json_array_size(backtrace), 3);
    assert_int_equal(json_unpack(json_array_get(backtrace, 1), "{ss ss}", "address", &address,
                                 "symbol", &symbol),
                     0);
    assert_string_equal(address, "ffff82d0402f2b8b");
    assert_string_equal(symbol, "common/domctl.c#do_domctl+0x12/0x345");
    json_decref(object);
    lab_crash_report_free(&report);
    lab_crash_scan_free(scan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes_are_recognised),
        cmocka_unit_test(test_harmless_text_is_none),
        cmocka_unit_test(test_silence_completes_a_report),
        cmocka_unit_test(test_a_flood_keeps_memory_and_the_newest_text),
        cmocka_unit_test(test_text_is_printable_and_begins_at_the_first_sign),
        cmocka_unit_test(test_real_consoles),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
