/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xl/divert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "base/spawn.h"
#include "xl/paths.h"

#define REAL_FOLDER "/usr/libexec"         /* of XL_REAL */
#define NEW_NAME "/usr/sbin/.xl.xenwright" /* what is about to be renamed to XL_NAME */

/* A path under the root; "", which is nowhere, where it is too long. */
struct path {
    char text[PATH_MAX];
};

static struct path under(const char *root, const char *path)
{
    struct path whole;

    if (snprintf(whole.text, sizeof(whole.text), "%s%s", root, path) >= (int)sizeof(whole.text))
        whole.text[0] = '\0';
    return whole;
}

/* What our link holds: relative, as links within /usr are, so that it is right under any root. */
static struct path link_target(void)
{
    const char *below = strncmp(XL_OURS, "/usr/", 5) ? NULL : &XL_OURS[5];

    return under(below ? "../" : "", below ? below : XL_OURS);
}

static bool exists(const char *path)
{
    struct stat seen;

    return !lstat(path, &seen);
}

static bool is_our_link(const char *path)
{
    struct path target = {0}, ours = link_target();

    return readlink(path, target.text, sizeof(target.text) - 1) > 0 &&
           !strcmp(target.text, ours.text);
}

static bool same_program(const char *a, const char *b)
{
    struct stat first, second;

    return !stat(a, &first) && !stat(b, &second) && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* The first line that dpkg-divert prints of our file; "" for none. */
static int ask_dpkg(const char *question, char *ret, size_t size, struct xw_error *err)
{
    const char *const argv[] = {"dpkg-divert", question, XL_NAME, NULL};
    struct xw_spawn_result result = {0};
    int rc = xw_spawn_check(&(struct xw_spawn){.argv = argv}, &result, err);

    if (!rc)
        snprintf(ret, size, "%.*s", (int)strcspn(result.out.data ? result.out.data : "", "\n"),
                 result.out.data ? result.out.data : "");
    xw_spawn_result_free(&result);
    return rc;
}

static int change_diversion(const char *change, struct xw_error *err)
{
    const char *const argv[] = {"dpkg-divert", "--quiet",     "--package", XL_PACKAGE, "--divert",
                                XL_REAL,       "--no-rename", change,      XL_NAME,    NULL};

    return xw_spawn_check(&(struct xw_spawn){.argv = argv}, NULL, err);
}

int xl_state_read(const char *root, struct xl_state *ret, struct xw_error *err)
{
    struct path name = under(root, XL_NAME), real = under(root, XL_REAL), to;
    int rc;

    *ret = (struct xl_state){
        .is_there = exists(name.text),
        .is_ours = is_our_link(name.text),
        .has_real = exists(real.text),
        .same = same_program(name.text, real.text),
    };
    rc = ask_dpkg("--listpackage", ret->by, sizeof(ret->by), err);
    if (rc || !ret->by[0])
        return rc;
    ret->diversion = XL_DIVERSION_OTHER;
    rc = ask_dpkg("--truename", to.text, sizeof(to.text), err);
    if (!rc && !strcmp(ret->by, XL_PACKAGE) && !strcmp(to.text, XL_REAL))
        ret->diversion = XL_DIVERSION_OURS;
    return rc;
}

enum xl_summary xl_state_summary(const struct xl_state *state)
{
    if (state->is_ours && !state->has_real)
        return XL_SUMMARY_NO_REAL;
    if (state->is_ours && state->diversion == XL_DIVERSION_OURS)
        return XL_SUMMARY_ENABLED;
    if (state->is_ours || state->diversion == XL_DIVERSION_OURS || (state->has_real && state->same))
        return XL_SUMMARY_HALF;
    return XL_SUMMARY_DISABLED;
}

/* A relative link leads from another folder to something else, unless that is as deep. */
static bool leads_to_same_from_there(const char *root)
{
    struct path name = under(root, XL_NAME), folder = under(root, REAL_FOLDER "/"), target = {0};

    if (readlink(name.text, target.text, sizeof(target.text) - 1) < 0 || target.text[0] == '/')
        return true;
    folder = under(folder.text, target.text);
    return same_program(name.text, folder.text);
}

static void add(struct xl_plan *plan, enum xl_step step)
{
    plan->steps[plan->count++] = step;
}

/* Why it cannot be enabled at all. */
static int check_enable(const char *root, const struct xl_state *state, struct xw_error *err)
{
    struct path ours = under(root, XL_OURS), name = under(root, XL_NAME);

    if (state->diversion == XL_DIVERSION_OTHER)
        return xw_error_set(err, EEXIST,
                            XL_NAME " is diverted by %s already; 'dpkg-divert --list " XL_NAME
                                    "' shows it",
                            strcmp(state->by, "LOCAL") ? state->by : "the administrator");
    if (access(ours.text, X_OK))
        return xw_error_set_errno(err, "%s, which is to stand in for xl", ours.text);
    if (state->is_ours && !state->has_real)
        return xw_error_set(err, ENOENT,
                            "the real xl is gone from " XL_REAL ": install xen-utils-common "
                            "(again), or run 'xenwright xl disable'");
    if (!state->is_ours && !(state->has_real && state->diversion == XL_DIVERSION_OURS) &&
        access(name.text, X_OK))
        return xw_error_set_errno(err, "%s; install xen-utils-common first", name.text);
    if (state->has_real && !state->is_ours && state->diversion == XL_DIVERSION_NONE && !state->same)
        return xw_error_set(err, EEXIST,
                            XL_REAL " is in the way: it is another program than " XL_NAME
                                    "; move it away");
    if (!state->has_real && !leads_to_same_from_there(root))
        return xw_error_set(err, ENOTSUP,
                            "%s is a link that leads elsewhere from " REAL_FOLDER
                            ": it cannot be moved there",
                            name.text);
    return 0;
}

int xl_plan_enable(const char *root, const struct xl_state *state, struct xl_plan *ret,
                   struct xw_error *err)
{
    int rc = check_enable(root, state, err);

    *ret = (struct xl_plan){0};
    if (rc)
        return rc;
    if (!state->has_real)
        add(ret, XL_STEP_KEEP);
    if (state->diversion == XL_DIVERSION_NONE)
        add(ret, XL_STEP_DIVERT);
    if (!state->is_ours)
        add(ret, XL_STEP_TAKE);
    return 0;
}

void xl_plan_disable(const struct xl_state *state, struct xl_plan *ret)
{
    /* While it is diverted, what packages bring goes to XL_REAL: that is the newer one. */
    bool back = state->is_ours || (state->diversion == XL_DIVERSION_OURS && !state->same);

    *ret = (struct xl_plan){0};
    if (back && state->has_real)
        add(ret, XL_STEP_RESTORE);
    else if (state->is_ours)
        add(ret, XL_STEP_REMOVE);
    if (state->diversion == XL_DIVERSION_OURS)
        add(ret, XL_STEP_UNDIVERT);
    if (state->has_real && (back || state->same || state->diversion == XL_DIVERSION_OURS))
        add(ret, XL_STEP_FORGET);
}

const char *xl_step_text(enum xl_step step)
{
    static const char *const texts[] = {
        [XL_STEP_KEEP] = "keep the real xl as " XL_REAL,
        [XL_STEP_DIVERT] = "have dpkg put the xl of packages there (dpkg-divert)",
        [XL_STEP_TAKE] = "put a link to " XL_OURS " at " XL_NAME,
        [XL_STEP_RESTORE] = "put the real xl back at " XL_NAME,
        [XL_STEP_REMOVE] = "remove the link at " XL_NAME ", since the real xl is gone",
        [XL_STEP_UNDIVERT] = "have dpkg put the xl of packages there again (dpkg-divert)",
        [XL_STEP_FORGET] = "remove " XL_REAL,
    };

    return texts[step];
}

/*
 * A link of another name to the same file, also where that is a symbolic link itself: content,
 * owner and times stay what they were.
 */
static int second_name(const char *old, const char *new, struct xw_error *err)
{
    if (linkat(AT_FDCWD, old, AT_FDCWD, new, 0))
        return xw_error_set_errno(err, "'%s', to be the same file as '%s'", new, old);
    return xw_file_sync_folder_of(AT_FDCWD, new, err);
}

static int keep(const char *root, struct xw_error *err)
{
    struct path name = under(root, XL_NAME), real = under(root, XL_REAL);
    struct path folder = under(root, REAL_FOLDER);
    int rc = xw_file_make_folders(AT_FDCWD, folder.text, 0755, err);

    return rc ? rc : second_name(name.text, real.text, err);
}

/* By rename(2), so that there is an xl at every moment. */
static int put(const char *new, const char *name, struct xw_error *err)
{
    xw_kill_point("xl/made");
    if (rename(new, name))
        return xw_error_set_errno(err, "'%s', to become '%s'", new, name);
    return xw_file_sync_folder_of(AT_FDCWD, name, err);
}

static int take(const char *root, struct xw_error *err)
{
    struct path name = under(root, XL_NAME), new = under(root, NEW_NAME), target = link_target();

    if (symlink(target.text, new.text))
        return xw_error_set_errno(err, "%s", new.text);
    return put(new.text, name.text, err);
}

static int restore(const char *root, struct xw_error *err)
{
    struct path name = under(root, XL_NAME), real = under(root, XL_REAL);
    struct path new = under(root, NEW_NAME);
    int rc = second_name(real.text, new.text, err);

    return rc ? rc : put(new.text, name.text, err);
}

static int remove_name(const char *root, const char *path, struct xw_error *err)
{
    struct path whole = under(root, path);

    if (unlink(whole.text))
        return errno == ENOENT ? 0 : xw_error_set_errno(err, "%s", whole.text);
    return xw_file_sync_folder_of(AT_FDCWD, whole.text, err);
}

static int do_step(const char *root, enum xl_step step, struct xw_error *err)
{
    switch (step) {
    case XL_STEP_KEEP:
        return keep(root, err);
    case XL_STEP_DIVERT:
        return change_diversion("--add", err);
    case XL_STEP_TAKE:
        return take(root, err);
    case XL_STEP_RESTORE:
        return restore(root, err);
    case XL_STEP_REMOVE:
        return remove_name(root, XL_NAME, err);
    case XL_STEP_UNDIVERT:
        return change_diversion("--remove", err);
    case XL_STEP_FORGET:
        return remove_name(root, XL_REAL, err);
    }
    return xw_error_set(err, EINVAL, "xl: no such step: %d", step);
}

/* The folder that xl is in, locked for this process; no file is made for it. */
static int lock_folder(const char *root, int *ret, struct xw_error *err)
{
    struct path folder = under(root, "/usr/sbin");

    *ret = open(folder.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret < 0)
        return xw_error_set_errno(err, "%s", folder.text);
    if (access(folder.text, W_OK))
        return xw_error_set(err, errno, "%s cannot be written to: %s", folder.text,
                            errno == EACCES ? "run this as root" : strerror(errno));
    if (flock(*ret, LOCK_EX | LOCK_NB))
        return xw_error_set(err, EBUSY,
                            "another 'xenwright xl enable' or 'disable' is at work; wait for it");
    return 0;
}

static int change(const char *root, bool enable, struct xl_plan *done, struct xw_error *err)
{
    xw_auto_close int lock = -1;
    struct xl_state state;
    struct xl_plan plan = {0};
    int rc = lock_folder(root, &lock, err);

    /* What one that was cut off has left. */
    if (!rc)
        rc = remove_name(root, NEW_NAME, err);
    if (!rc)
        rc = xl_state_read(root, &state, err);
    if (!rc && enable)
        rc = xl_plan_enable(root, &state, &plan, err);
    else if (!rc)
        xl_plan_disable(&state, &plan);
    for (size_t i = 0; i < plan.count && !rc; i++) {
        rc = do_step(root, plan.steps[i], err);
        xw_kill_point("xl/step");
    }
    if (!rc && done)
        *done = plan;
    return rc;
}

int xl_enable(const char *root, struct xl_plan *done, struct xw_error *err)
{
    return change(root, true, done, err);
}

int xl_disable(const char *root, struct xl_plan *done, struct xw_error *err)
{
    return change(root, false, done, err);
}
