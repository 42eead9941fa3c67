# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Root's rights over files of one's own: a mount namespace, and for others than root a user
# namespace in which the caller is root. Everything inside ends with its first process.

in_namespace() {
    local flags=(--mount --pid --fork --kill-child)
    if [ "$(id -u)" -ne 0 ]; then
        flags+=(--map-root-user --map-auto)
    fi
    unshare "${flags[@]}" -- "$@"
}

need_namespace() {
    local why
    if ! why=$(in_namespace true 2>&1); then
        die "user namespaces do not work for $(id -un): $why; it takes the package uidmap and a" \
            "range in /etc/subuid and /etc/subgid (usermod --add-subuids), or be root"
    fi
}
