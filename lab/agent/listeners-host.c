/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent of a lab's dom0. */
#include "agent.h"

const struct agent_listener *const agent_listeners[] = {
    &agent_listener_virtio,
    &agent_listener_fd,
    NULL,
};
