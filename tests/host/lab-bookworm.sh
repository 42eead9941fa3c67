#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Debian 12, the older of the two releases: it comes up and runs a guest. BOOKWORM_TROUBLE, where it
# is set, tells why there is none.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ -n "${BOOKWORM_TROUBLE:-}" ]; then
    skip "bookworm" "$BOOKWORM_TROUBLE"
    finish
fi

up w --release bookworm

host() {
    exits 0 lab exec w -- xl info
    grep -qE '^xen_version +: 4\.17' "$OUT"
    exits 0 lab exec w -- xl list
    says Domain-0
    exits 0 lab exec w -- xenwright vm list
    says Domain-0
    same bookworm "$(member w release)"
}
ok "bookworm: Xen 4.17 and dom0" host

guest() {
    exits 0 lab guest w guest --type "$1"
    exits 0 lab guest-exec w guest -- uname -s
    same Linux "$(cat "$OUT")"
    exits 0 lab exec w -- xl destroy guest
}
for TYPE in pv ${FULL:+pvh hvm}; do
    ok "bookworm: a $TYPE guest" guest "$TYPE"
done

saved() {
    exits 0 lab save w kept
    exits 0 lab restore w kept
    exits 0 lab exec w -- xl list
}
[ -z "$FULL" ] || ok "bookworm: save and restore" saved

finish
