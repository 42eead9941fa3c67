/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent of a test guest. */
#include "agent.h"

const struct agent_listener *const agent_listeners[] = {
    &agent_listener_vchan,
    &agent_listener_fd,
    NULL,
};
