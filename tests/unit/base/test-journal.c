/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <signal.h>

#include "base/journal.h"

static struct xw_journal *open_journal(const char *path)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_journal *journal = NULL;

    assert_ok(xw_journal_open(AT_FDCWD, path, &journal, &err));
    return journal;
}

static void records_survive(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_journal *journal = open_journal("j");
    json_t *args = json_pack("{s:s}", "name", "a");
    json_t *pid = json_pack("{s:i}", "pid", 4711);

    (void)state;
    assert_null(xw_journal_pending(journal));
    assert_null(xw_journal_args(journal));
    assert_int_equal(xw_journal_step(journal, "early", NULL, &err), -EINVAL);
    assert_int_equal(xw_journal_done(journal, &err), -EINVAL);
    assert_ok(xw_journal_begin(journal, "up", args, &err));
    assert_int_equal(xw_journal_begin(journal, "down", NULL, &err), -EBUSY);
    assert_says("'up' is not finished");
    assert_ok(xw_journal_step(journal, "folder", NULL, &err));
    assert_ok(xw_journal_step(journal, "qemu", NULL, &err));
    assert_ok(xw_journal_step(journal, "qemu", pid, &err));
    xw_journal_close(journal);

    journal = open_journal("j");
    assert_string_equal(xw_journal_pending(journal), "up");
    assert_true(json_equal(xw_journal_args(journal), args));
    assert_int_equal(xw_journal_count(journal), 3);
    assert_string_equal(xw_journal_at(journal, 0).name, "folder");
    assert_int_equal(json_object_size(xw_journal_at(journal, 0).args), 0);
    assert_true(json_equal(xw_journal_find(journal, "qemu"), pid));
    assert_null(xw_journal_find(journal, "absent"));
    assert_ok(xw_journal_done(journal, &err));
    assert_null(xw_journal_pending(journal));
    assert_int_equal(xw_journal_count(journal), 0);
    xw_journal_close(journal);

    journal = open_journal("j");
    assert_null(xw_journal_pending(journal));
    xw_journal_close(journal);
    xw_journal_close(NULL);
    json_decref(args);
    json_decref(pid);
}

/* What is done must not pile up. */
static void file_stays_small(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_journal *journal = open_journal("small");
    struct stat st;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_ok(xw_journal_begin(journal, "op", NULL, &err));
        assert_ok(xw_journal_step(journal, "one", NULL, &err));
        assert_ok(xw_journal_done(journal, &err));
    }
    xw_journal_close(journal);
    assert_int_equal(stat("small", &st), 0);
    assert_true(st.st_size < 200);
}

/* A journal with one pending operation of two steps; its bytes, which the caller frees. */
static char *make_pending(size_t *ret_length)
{
    struct xw_journal *journal = open_journal("pending");
    char *text;

    if (!xw_journal_pending(journal)) {
        assert_int_equal(xw_journal_begin(journal, "op", NULL, NULL), 0);
        assert_int_equal(xw_journal_step(journal, "one", NULL, NULL), 0);
        assert_int_equal(xw_journal_step(journal, "two", NULL, NULL), 0);
    }
    xw_journal_close(journal);
    text = get_file("pending");
    *ret_length = strlen(text);
    return text;
}

/* Cut off at every byte: what was whole before counts, and the next record goes behind it. */
static void torn_end_is_dropped(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    size_t length, header = strlen("xenwright-journal 1\n");
    char *text = make_pending(&length);

    (void)state;
    for (size_t cut = header; cut <= length; cut++) {
        size_t lines = 0;
        struct xw_journal *journal;

        for (size_t i = header; i < cut; i++)
            lines += text[i] == '\n';
        put_file("cut", text, cut);
        journal = open_journal("cut");
        assert_int_equal(xw_journal_count(journal), lines > 0 ? lines - 1 : 0);
        if (lines == 0) {
            assert_null(xw_journal_pending(journal));
            assert_ok(xw_journal_begin(journal, "op", NULL, &err));
        }
        assert_ok(xw_journal_step(journal, "after", NULL, &err));
        xw_journal_close(journal);
        journal = open_journal("cut");
        assert_non_null(xw_journal_find(journal, "after"));
        xw_journal_close(journal);
    }
    free(text);
}

/* Space that was given to the file but not written yet reads as zeros after a power cut. */
static void zeros_at_the_end_are_dropped(void **state)
{
    size_t length;
    char *text = make_pending(&length), torn[1000] = {0};
    struct xw_journal *journal;

    (void)state;
    memcpy(torn, text, length);
    put_file("zeros", torn, length + 100);
    journal = open_journal("zeros");
    assert_int_equal(xw_journal_count(journal), 2);
    xw_journal_close(journal);
    memset(torn + length - 40, 0, 10);
    put_file("zeros", torn, length);
    journal = open_journal("zeros");
    assert_int_equal(xw_journal_count(journal), 1);
    /* What comes now is shorter than what was dropped, and nothing of that may follow it. */
    assert_int_equal(xw_journal_done(journal, NULL), 0);
    xw_journal_close(journal);
    journal = open_journal("zeros");
    assert_null(xw_journal_pending(journal));
    xw_journal_close(journal);
    free(text);
}

/* Any byte that is another than was written is noticed: none is taken for something else. */
static void damage_is_named(void **state)
{
    size_t length, header = strlen("xenwright-journal 1\n");
    char *text = make_pending(&length), line[32];
    unsigned number = 2;

    (void)state;
    for (size_t i = header; i < length - 1; i++) {
        struct xw_error err = XW_ERROR_INIT;
        struct xw_journal *journal = NULL;
        char was = text[i];

        text[i] ^= 0x04;
        put_file("damaged", text, length);
        assert_int_equal(xw_journal_open(AT_FDCWD, "damaged", &journal, &err), -EBADMSG);
        snprintf(line, sizeof(line), "in line %u:", number);
        assert_says(line);
        assert_says("journal 'damaged'");
        text[i] = was;
        number += was == '\n';
    }
    free(text);
}

static void lost_and_moved_lines_are_noticed(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_journal *journal = NULL;
    char *text, *begin, *one, *two;
    char other[1000];
    size_t length;

    (void)state;
    text = make_pending(&length);
    begin = strchr(text, '\n') + 1;
    one = strchr(begin, '\n') + 1;
    two = strchr(one, '\n') + 1;
    snprintf(other, sizeof(other), "%.*s%s", (int)(one - text), text, two);
    put_file("lost", other, strlen(other));
    assert_int_equal(xw_journal_open(AT_FDCWD, "lost", &journal, &err), -EBADMSG);
    snprintf(other, sizeof(other), "%.*s%s%.*s", (int)(one - text), text, two, (int)(two - one),
             one);
    put_file("moved", other, strlen(other));
    assert_int_equal(xw_journal_open(AT_FDCWD, "moved", &journal, &err), -EBADMSG);
    snprintf(other, sizeof(other), "%s%s", text, two);
    put_file("twice", other, strlen(other));
    assert_int_equal(xw_journal_open(AT_FDCWD, "twice", &journal, &err), -EBADMSG);
    free(text);
}

static void other_files_are_refused(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_journal *journal = NULL;

    (void)state;
    put_file("later", "xenwright-journal 2\n", 20);
    assert_int_equal(xw_journal_open(AT_FDCWD, "later", &journal, &err), -EPROTONOSUPPORT);
    assert_says("later format");
    put_file("empty", "", 0);
    assert_int_equal(xw_journal_open(AT_FDCWD, "empty", &journal, &err), -EBADMSG);
    assert_says("'empty' is not a journal");
    assert_int_equal(xw_journal_open(AT_FDCWD, "absent/j", &journal, &err), -ENOENT);
    assert_null(journal);
}

/* Exit status of a child. */
static int operate(const char *path)
{
    struct xw_journal *journal;

    return xw_journal_open(AT_FDCWD, path, &journal, NULL) < 0 ||
           xw_journal_begin(journal, "op", NULL, NULL) < 0 ||
           xw_journal_step(journal, "one", NULL, NULL) < 0 ||
           xw_journal_step(journal, "one", NULL, NULL) < 0 || xw_journal_done(journal, NULL) < 0;
}

/* Do an operation in a child with these settings; how it ended. */
static int run_operation(const char *path, const char *kill_at, const char *kill_list)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (kill_at)
            setenv("XENWRIGHT_KILL_AT", kill_at, 1);
        if (kill_list)
            setenv("XENWRIGHT_KILL_LIST", kill_list, 1);
        _exit(operate(path));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static const struct {
    const char *point;
    bool pending;
    size_t steps;
} kills[] = {
    {"op/before-begin", false, 0}, {"op/begin", true, 0},    {"op/before-one", true, 0},
    {"op/one", true, 1},           {"op/one:2", true, 2},    {"op/before-one:2", true, 1},
    {"op/before-done", true, 2},   {"op/done", false, 0},
};

static void killed_at_every_point(void **state)
{
    char *list;

    (void)state;
    assert_int_equal(run_operation("listed", NULL, "list"), 0);
    list = get_file("list");
    assert_string_equal(list, "op/before-begin\nop/begin\nop/before-one\nop/one\nop/before-one\n"
                              "op/one\nop/before-done\nop/done\n");
    free(list);
    for (size_t i = 0; i < COUNT(kills); i++) {
        struct xw_journal *journal;
        int status;

        unlink("killed");
        status = run_operation("killed", kills[i].point, NULL);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        journal = open_journal("killed");
        assert_int_equal(xw_journal_pending(journal) != NULL, kills[i].pending);
        assert_int_equal(xw_journal_count(journal), kills[i].steps);
        xw_journal_close(journal);
    }
    unlink("killed");
    assert_int_equal(run_operation("killed", "op/one:3", NULL), 0);
    assert_int_equal(run_operation("killed", "op/on", NULL), 0);
}

static void stopped_and_gone_on(void **state)
{
    struct xw_journal *journal;
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        setenv("XENWRIGHT_STOP_AT", "op/one:2", 1);
        _exit(operate("stopped"));
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    journal = open_journal("stopped");
    assert_int_equal(xw_journal_count(journal), 2);
    xw_journal_close(journal);
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_survive),
        cmocka_unit_test(file_stays_small),
        cmocka_unit_test(torn_end_is_dropped),
        cmocka_unit_test(zeros_at_the_end_are_dropped),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(lost_and_moved_lines_are_noticed),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(killed_at_every_point),
        cmocka_unit_test(stopped_and_gone_on),
    };

    return cmocka_run_group_tests_name("journal", tests, enter_folder, leave_folder);
}
