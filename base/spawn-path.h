/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What spawn.c and spawn-run.c share. */
#ifndef XW_BASE_SPAWN_PATH_H
#define XW_BASE_SPAWN_PATH_H

#include <limits.h>

#include "base/spawn.h"

/* The file of a program: PATH is searched where the name has no slash. -ENOENT: not installed. */
int xw_spawn_find(const char *program, char ret[PATH_MAX], struct xw_error *err);

/*
 * Our environment with `changes` ("NAME=value" sets, "NAME" unsets; may be NULL). One block that
 * the caller frees; the strings in it belong to others. NULL: out of memory.
 */
char **xw_spawn_environment(const char *const *changes);

/* Whether the child leads a process group of its own. */
bool xw_spawn_own_group(const struct xw_spawn *spawn);

#endif
