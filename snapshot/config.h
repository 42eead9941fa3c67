/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VM's configuration in a snapshot, in the snapshot's folder: "config", the file that xl was
 * given, and "config.json", what libxl made of it, of a VM that ran.
 */
#ifndef XENWRIGHT_SNAPSHOT_CONFIG_H
#define XENWRIGHT_SNAPSHOT_CONFIG_H

#include "snapshot/session.h"

/* Keep what there is of both; the snapshot's folder is made. */
int xw_config_keep(struct xw_session *session, const char *id, struct xw_error *err);

#endif
