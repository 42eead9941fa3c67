/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef XENWRIGHT_TEST_FAKE_GROUP_H
#define XENWRIGHT_TEST_FAKE_GROUP_H

#include "cli/command.h"

extern const struct cli_group cli_group_widget;

#endif
