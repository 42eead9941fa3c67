/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to the disks of a VM, and in which order, by the store "null": snapshots are made,
 * reverted to and deleted, each call of a store fails in its turn, and operations are cancelled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/stores/null.h"

#define IMAGE_SIZE 4096
#define MOST_CALLS 200

/* The one VM of a test, whose disks are xvda and xvdb, in a folder of its own. */
struct vm {
    char folder[64], images[80], config[80], state[80];
    struct xw_snapshots *snapshots;
};

static char calls[16384]; /* "take xvda, take xvdb, " */
static int count, fail_from, fail_count; /* the calls from this one on (1 is the first) fail */

static int watch(const struct xw_store_disk *disk, const char *function)
{
    size_t length = strlen(calls);

    snprintf(calls + length, sizeof(calls) - length, "%s %s, ", function, disk->vdev);
    count++;
    return fail_from && count >= fail_from && count < fail_from + fail_count ? -EIO : 0;
}

static void start_watching(int from, int failures)
{
    calls[0] = '\0';
    count = 0;
    fail_from = from;
    fail_count = failures;
    xw_null_watch = watch;
}

static void set_up(struct vm *vm)
{
    char text[512];
    struct xw_error err = XW_ERROR_INIT;

    snprintf(vm->folder, sizeof(vm->folder), "%s/xw-engine-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(vm->folder));
    snprintf(vm->images, sizeof(vm->images), "%s/images", vm->folder);
    snprintf(vm->config, sizeof(vm->config), "%s/web.cfg", vm->folder);
    snprintf(vm->state, sizeof(vm->state), "%s/state", vm->folder);
    assert_int_equal(mkdir(vm->images, 0700), 0);
    for (int i = 0; i < 2; i++) {
        static const char zeros[IMAGE_SIZE];

        snprintf(text, sizeof(text), "%s/xvd%c", vm->images, 'a' + i);
        assert_int_equal(xw_file_write(AT_FDCWD, text, zeros, sizeof(zeros), 0600, &err), 0);
    }
    snprintf(text, sizeof(text),
             "name = \"web\"\nmemory = 64\ndisk = [ 'format=raw,vdev=xvda,target=%s/xvda', "
             "'format=raw,vdev=xvdb,target=%s/xvdb' ]\n",
             vm->images, vm->images);
    assert_int_equal(xw_file_write(AT_FDCWD, vm->config, text, strlen(text), 0600, &err), 0);
    assert_int_equal(xw_snapshots_open(vm->state, NULL, &vm->snapshots, &err), 0);
    start_watching(0, 0);
}

static void tear_down(struct vm *vm)
{
    xw_null_watch = NULL;
    xw_snapshots_close(vm->snapshots);
    assert_int_equal(xw_file_remove_tree(AT_FDCWD, vm->folder, NULL), 0);
}

/* Steps it to its end, cancelled after so many steps (-1: not). It is freed. */
static int run(struct xw_operation *operation, int cancel_after, struct xw_error *err)
{
    int rc;

    for (int steps = 0;; steps++) {
        struct pollfd in = {.fd = xw_operation_fd(operation), .events = POLLIN};

        if (steps == cancel_after)
            xw_operation_cancel(operation);
        rc = xw_operation_step(operation, err);
        if (rc <= 0)
            break;
        assert_int_equal(poll(&in, 1, 10000), 1);
    }
    xw_operation_free(operation);
    return rc;
}

enum verb {
    CREATE,
    REVERT,      /* to the snapshot, the present state kept */
    REVERT_ONLY, /* the present state discarded */
    DELETE
};

static int start(struct vm *vm, enum verb verb, const char *name, struct xw_operation **ret,
                 struct xw_error *err)
{
    const struct xw_snapshot_create create = {.domain = vm->config, .name = name};
    const struct xw_snapshot_revert revert = {
        .domain = vm->config, .snapshot = name, .discard_current = verb == REVERT_ONLY};

    switch (verb) {
    case CREATE:
        return xw_snapshot_create(vm->snapshots, &create, NULL, ret, err);
    case DELETE:
        return xw_snapshot_delete(vm->snapshots, vm->config, name, false, ret, err);
    default:
        return xw_snapshot_revert(vm->snapshots, &revert, NULL, ret, err);
    }
}

static int try(struct vm *vm, enum verb verb, const char *name, int cancel_after,
               struct xw_error *err)
{
    struct xw_operation *operation = NULL;
    int rc = start(vm, verb, name, &operation, err);

    return rc ? rc : run(operation, cancel_after, err);
}

static void does(struct vm *vm, enum verb verb, const char *name)
{
    struct xw_error err = XW_ERROR_INIT;

    start_watching(0, 0);
    if (try(vm, verb, name, -1, &err))
        fail_msg("%s", err.message);
}

/* The names of the snapshots, each with its parent and "*" for the current one: "s1() s2(s1)* ". */
static void list(struct vm *vm, char out[256])
{
    struct xw_snapshot_vm *found = NULL;

    out[0] = '\0';
    if (xw_snapshot_list(vm->snapshots, vm->config, &found, NULL))
        return;
    assert_int_equal(found->damaged, 0);
    for (const struct xw_snapshot *at = found->snapshots; at; at = at->next) {
        const struct xw_snapshot *parent = at->parent[0] ? xw_snapshot_find(found, at->parent)
                                                         : NULL;
        size_t length = strlen(out);

        snprintf(out + length, 256 - length, "%s(%s)%s ", at->name, parent ? parent->name : "",
                 strcmp(found->current, at->id) ? "" : "*");
    }
    xw_snapshot_vm_free(found);
}

/* The folder of the images holds these, what the listed snapshots have kept, and nothing else. */
static void check_files(struct vm *vm, const char *what)
{
    struct xw_snapshot_vm *found = NULL;
    struct dirent *entry;
    int files = 0, expected = 2;
    DIR *dir = opendir(vm->images);

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        files += entry->d_name[0] != '.';
    closedir(dir);
    xw_snapshot_list(vm->snapshots, vm->config, &found, NULL);
    for (const struct xw_snapshot *at = found ? found->snapshots : NULL; at; at = at->next) {
        for (const struct xw_snapshot_disk *disk = at->disks; disk; disk = disk->next) {
            struct xw_snapshot_space space;

            assert_int_equal(xw_snapshot_disk_space(vm->snapshots, disk, &space, NULL), 0);
            if (space.missing)
                fail_msg("%s: disk %s of '%s' is missing", what, disk->vdev, at->name);
            expected++;
        }
    }
    xw_snapshot_vm_free(found);
    if (files != expected)
        fail_msg("%s: %d files beside the images, not %d", what, files, expected);
}

static void test_that_nobody_gets_it(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    static const char *const paths[] = {"/dev/null", "/dev/zero", "/proc/self/exe"};

    (void)state;
    xw_null_watch = NULL;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct xw_store_disk *disk = xw_store_disk_new("xvda", paths[i], "raw", "");

        assert_non_null(disk);
        assert_int_equal(xw_store_null.claims(disk, &err), -EMEDIUMTYPE);
        xw_store_choose(disk, &err);
        assert_ptr_not_equal(disk->store, &xw_store_null);
        xw_store_disk_free(disk);
    }
}

static void test_order(void **state)
{
    struct vm vm;
    char listed[256];

    (void)state;
    set_up(&vm);
    does(&vm, CREATE, "s1");
    assert_string_equal(calls, "claims xvda, place xvda, claims xvdb, place xvdb, "
                               "prepare xvda, prepare xvdb, take xvda, take xvdb, "
                               "settle xvda, settle xvdb, ");
    does(&vm, CREATE, "s2");
    does(&vm, REVERT_ONLY, "s1");
    assert_string_equal(calls, "revert_check xvda, revert_check xvdb, "
                               "revert_prepare xvda, revert_prepare xvdb, "
                               "revert_swap xvda, revert_swap xvdb, "
                               "revert_settle xvda, revert_settle xvdb, ");
    does(&vm, CREATE, "b1");
    list(&vm, listed);
    assert_string_equal(listed, "s1() s2(s1) b1(s1)* ");
    does(&vm, REVERT, "s2");
    assert_string_equal(calls, "revert_check xvda, revert_check xvdb, "
                               "claims xvda, place xvda, claims xvdb, place xvdb, "
                               "prepare xvda, prepare xvdb, take xvda, take xvdb, "
                               "settle xvda, settle xvdb, "
                               "revert_prepare xvda, revert_prepare xvdb, "
                               "revert_swap xvda, revert_swap xvdb, "
                               "revert_settle xvda, revert_settle xvdb, ");
    list(&vm, listed);
    assert_string_equal(listed, "s1() s2(s1)* b1(s1) before-revert-1(b1) ");
    does(&vm, DELETE, "s1");
    assert_string_equal(calls, "drop_check xvda, drop_check xvdb, drop xvda, drop xvda, "
                               "drop xvdb, drop xvdb, ");
    list(&vm, listed);
    assert_string_equal(listed, "s2()* b1() before-revert-1(b1) ");
    does(&vm, DELETE, "s2");
    list(&vm, listed);
    assert_string_equal(listed, "b1() before-revert-1(b1) ");
    check_files(&vm, "in the end");
    tear_down(&vm);
}

/* s1 and s2, made one after the other. */
static void set_up_two(struct vm *vm)
{
    set_up(vm);
    does(vm, CREATE, "s1");
    does(vm, CREATE, "s2");
}

/*
 * After an operation ended in any way: once recovered, the snapshots are as before it, or as after
 * it, or (a revert's, between its two parts) with the kept state only; nothing is left over.
 */
static void check_outcome(struct vm *vm, const char *what, const char *const *outcomes)
{
    struct xw_error err = XW_ERROR_INIT;
    char listed[256];
    uint32_t found;

    start_watching(0, 0);
    if (xw_snapshot_recover(vm->snapshots, NULL, &found, &err))
        fail_msg("%s: recover: %s", what, err.message);
    assert_int_equal(xw_snapshot_recover(vm->snapshots, NULL, &found, &err), 0);
    assert_int_equal(found, 0);
    list(vm, listed);
    while (*outcomes && strcmp(*outcomes, listed) != 0)
        outcomes++;
    if (!*outcomes)
        fail_msg("%s: the snapshots are %s", what, listed);
    check_files(vm, what);
}

struct walk {
    const char *what;
    enum verb verb;
    const char *name;
    const char *outcomes[4];
};

static const struct walk walks[] = {
    {"create", CREATE, "s3", {"s1() s2(s1)* ", "s1() s2(s1) s3(s2)* "}},
    {"revert", REVERT_ONLY, "s1", {"s1() s2(s1)* ", "s1()* s2(s1) "}},
    {"revert, kept", REVERT, "s1",
     {"s1() s2(s1)* ", "s1() s2(s1) before-revert-1(s2)* ", "s1()* s2(s1) before-revert-1(s2) "}},
    {"delete", DELETE, "s1", {"s1() s2(s1)* ", "s2()* "}},
};

/* The n-th call fails (failures: and so many in all); then the storage is well again. */
static void fail_at(const struct walk *walk, int at, int failures, bool *failed)
{
    struct xw_error err = XW_ERROR_INIT;
    struct vm vm;
    char what[80];
    int rc;

    set_up_two(&vm);
    start_watching(at, failures);
    rc = try(&vm, walk->verb, walk->name, -1, &err);
    *failed = count >= at;
    snprintf(what, sizeof(what), "%s, %d calls fail from number %d on", walk->what, failures, at);
    if (rc && (!err.message[0] || strchr(err.message, '\n')))
        fail_msg("%s: no line that says so", what);
    if (!rc && *failed && at + failures > count && failures > 1)
        fail_msg("%s: it went well", what);
    check_outcome(&vm, what, walk->outcomes);
    tear_down(&vm);
}

static void test_failures(void **state)
{
    static const int failures[] = {1, 3, MOST_CALLS};

    (void)state;
    for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        for (size_t j = 0; j < sizeof(failures) / sizeof(failures[0]); j++) {
            bool failed = true;
            int at;

            for (at = 1; failed && at < MOST_CALLS; at++)
                fail_at(&walks[i], at, failures[j], &failed);
            if (at < 6)
                fail_msg("%s: %d calls only", walks[i].what, at);
        }
    }
}

static void test_cancelled(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        for (int steps = 0; steps < 8; steps++) {
            struct xw_error err = XW_ERROR_INIT;
            struct vm vm;
            int rc;

            set_up_two(&vm);
            rc = try(&vm, walks[i].verb, walks[i].name, steps, &err);
            if (steps == 0 && rc != -ECANCELED)
                fail_msg("%s, cancelled at once: %d %s", walks[i].what, rc, err.message);
            check_outcome(&vm, walks[i].what, walks[i].outcomes);
            tear_down(&vm);
        }
    }
}

/* Left in the middle by a failure that lasts; the next command fails too, and says why. */
static void test_pending(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct vm vm;

    (void)state;
    set_up_two(&vm);
    start_watching(4, MOST_CALLS); /* drop_check twice, drop xvda once: it has begun to be lost */
    assert_int_equal(try(&vm, DELETE, "s1", -1, &err), -EIO);
    assert_non_null(strstr(err.message, "is not finished, 'xenwright snapshot recover' goes on"));
    start_watching(1, MOST_CALLS);
    assert_int_equal(try(&vm, CREATE, "s3", -1, &err), -EIO);
    assert_non_null(strstr(err.message, "an interrupted 'delete' of snapshots of 'web'"));
    check_outcome(&vm, "a deletion that had begun", (const char *const[]){"s2()* ", NULL});
    tear_down(&vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_that_nobody_gets_it),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_pending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
