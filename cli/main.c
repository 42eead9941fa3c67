/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/dispatch.h"

int main(int argc, char **argv)
{
    return cli_main(cli_groups, argc, argv);
}
