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

# For mmdebstrap: everything belongs to root at the end, so that a user who made the directory in a
# namespace can remove it like any other files. What is mounted there belongs to the machine.
# shellcheck disable=SC2016,SC2034 # the hook's own $1; used by the scripts that read this file
HOOK_ALL_ROOTS='find "$1" -xdev "(" -path "$1/dev" -o -path "$1/proc" -o -path "$1/sys" ")" -prune \
    -o ! -user 0 -exec chown -h 0:0 {} +'
