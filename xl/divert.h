/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our xl in place of the real one, by a diversion of dpkg's, and back. docs/design/xl.md has the
 * states; at each of them, whoever runs xl gets the real one or ours, and ours finds the real one.
 */
#ifndef XENWRIGHT_XL_DIVERT_H
#define XENWRIGHT_XL_DIVERT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <xenwright/error.h>

#define XL_PACKAGE "xenwright" /* whose diversion it is */

enum xl_diversion { XL_DIVERSION_NONE, XL_DIVERSION_OURS, XL_DIVERSION_OTHER };

/* What there is. */
struct xl_state {
    enum xl_diversion diversion; /* of XL_NAME */
    char by[256];                /* the package that it is of; "LOCAL" for the administrator's */
    bool is_there;               /* something is at XL_NAME */
    bool is_ours;                /* and it is our link */
    bool has_real;               /* something is at XL_REAL */
    bool same;                   /* XL_NAME and XL_REAL lead to the same program */
};

enum xl_summary {
    XL_SUMMARY_ENABLED,
    XL_SUMMARY_DISABLED,
    XL_SUMMARY_HALF,   /* an enable or disable was cut off, or somebody undid a part of it */
    XL_SUMMARY_NO_REAL /* ours stands there, and the real one is gone */
};

enum xl_step {
    XL_STEP_KEEP,     /* the real one gets XL_REAL as a second name */
    XL_STEP_DIVERT,   /* dpkg puts those of packages there from now on */
    XL_STEP_TAKE,     /* our link takes the place of XL_NAME */
    XL_STEP_RESTORE,  /* the real one takes it back */
    XL_STEP_REMOVE,   /* or, where there is none any more, nothing does */
    XL_STEP_UNDIVERT, /* dpkg puts those of packages at XL_NAME again */
    XL_STEP_FORGET    /* the second name is removed */
};

#define XL_STEPS 3 /* at most, of one plan */

struct xl_plan {
    enum xl_step steps[XL_STEPS];
    size_t count; /* 0: there is nothing to do */
};

/* `root` stands in front of all paths: "", or what dpkg(1) has as DPKG_ROOT. */
int xl_state_read(const char *root, struct xl_state *ret, struct xw_error *err);
enum xl_summary xl_state_summary(const struct xl_state *state);

/*
 * What is to be done from that state. Enabling is refused where there is no xl (-ENOENT), where it
 * would not run from XL_REAL (-ENOTSUP), and where somebody else's diversion or file is in the way
 * (-EEXIST).
 */
int xl_plan_enable(const char *root, const struct xl_state *state, struct xl_plan *ret,
                   struct xw_error *err);
void xl_plan_disable(const struct xl_state *state, struct xl_plan *ret);

/* What a step does: one line, "keep the real xl as …". Static. */
const char *xl_step_text(enum xl_step step);

/*
 * Reads the state, plans and does it, alone: -EBUSY where another one is at it. *done, which may be
 * NULL, becomes what was done.
 */
int xl_enable(const char *root, struct xl_plan *done, struct xw_error *err);
int xl_disable(const char *root, struct xl_plan *done, struct xw_error *err);

#endif
