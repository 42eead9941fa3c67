#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The QEMU of the other Debian release (7.2 or 10), unpacked and not installed: everything that stands
# on QEMU is done with it once. Its states are its own.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

other=trixie
[[ $(qemu-system-x86_64 --version) != *" 10."* ]] || other=bookworm
if ! "$SOURCE/scripts/other-qemu" --release "$other" --output "$XENWRIGHT_CACHE/roots/qemu-$other" \
    >"$OUT" 2>&1; then
    skip "the QEMU of $other" "$(tail -n 1 "$OUT")"
    finish
fi
export XENWRIGHT_QEMU=$XENWRIGHT_CACHE/roots/qemu-$other/qemu-system-x86_64
VERSION=$("$XENWRIGHT_QEMU" --version | sed -nE 's/.*version ([0-9]+\.[0-9]+)\..*/\1/p')

up q

is_other() {
    grep -q "/roots/qemu-$other/" <(tr '\0' '\n' <"/proc/$(pid_of q)/cmdline")
}

runs() {
    is_other
    refuse grep -qF "version $VERSION." <(qemu-system-x86_64 --version)
    exits 0 lab exec q -- xl list
    says Domain-0
}
ok "QEMU $VERSION: it runs the lab, and is not the one that is installed" runs

guest() {
    exits 0 lab guest q "$TYPE-guest" --type "$TYPE"
    exits 0 lab guest-exec q "$TYPE-guest" -- uname -s
    same Linux "$(cat "$OUT")"
}
for TYPE in pv pvh ${FULL:+hvm}; do
    ok "QEMU $VERSION: a $TYPE guest" guest
done

saved() {
    exits 0 lab save q kept
    same "$VERSION" "$(lab states q --json | sed -nE 's/.*"qemu": "([0-9]+\.[0-9]+)\..*/\1/p')"
    exits 0 lab exec q -- xl destroy pv-guest
    exits 0 lab restore q kept
    exits 0 lab guest-exec q pv-guest -- uname -s
}
ok "QEMU $VERSION: save and restore, with guests" saved

# The saved state knows its QEMU: nobody has to name it again.
remembered() {
    exits 0 lab down q
    XENWRIGHT_QEMU='' exits 0 lab restore q kept
    is_other
    exits 0 lab guest-exec q pv-guest -- uname -s
}
ok "QEMU $VERSION: restored by it, also where another one is the usual" remembered

crashed() {
    local status=0
    lab exec q -- sh -c 'sleep 60' 2>"$ERR" &
    exits 0 lab exec q -- sh -c 'echo c >/proc/sysrq-trigger &'
    wait $! || status=$?
    same 125 "$status"
    same crashed "$(status_of q)"
}
ok "QEMU $VERSION: a crash is known as one" crashed

finish
