#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots with the guest's memory: what is in the memory and what is on the disks of one instant, and
# that the guest goes on from there.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/host/records.sh
. "$(dirname "${BASH_SOURCE[0]}")/records.sh"

# With one processor a lab does not wait for its own locks when others want the machine.
up s --cpus 1
snapshot() {
    in_dom0 xenwright snapshot "$@"
}

started() {
    started_guest --type "$TYPE"
}

created() {
    exits 0 in_guest sh -c 'echo start >/tmp/mark'
    # shellcheck disable=SC2086 # none or one
    exits 0 snapshot create "$GUEST" start --memory $LIVE
    says "the guest stood still for"
    exits 0 snapshot show "$GUEST" start --config --json
    says '"xvdb"'
    goes_on
    exits 0 in_guest sh -c 'echo later >/tmp/mark'
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=2 --size=4M
}

resumed() {
    exits 0 snapshot revert "$GUEST" start
    says "'$GUEST' is reverted to 'start'; the state before is kept as 'before-revert-1'; it goes on from there"
    exits 0 in_guest cat /tmp/mark
    same start "$(cat "$OUT")"
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=1 --size=4M
    goes_on
    records_are_right
}

# What was resumed can be kept and resumed again, and what was kept of before is there.
again() {
    exits 0 snapshot revert "$GUEST" start --discard-current
    exits 0 in_guest cat /tmp/mark
    same start "$(cat "$OUT")"
    exits 0 snapshot revert "$GUEST" before-revert-1 --restart
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=2 --size=4M
    exits 0 in_dom0 xl destroy "$GUEST"
}

disks_only() {
    exits 0 snapshot revert "$GUEST" start --no-memory --discard-current
    exits 1 in_dom0 xl list "$GUEST"
    exits 0 in_dom0 qemu-img check -q /srv/a
    exits 0 in_dom0 qemu-img convert -U -O raw /srv/a /srv/raw
    exits 0 in_dom0 /usr/libexec/xenwright/xw-test pattern verify /srv/raw --seed=1 --size=4M
    exits 0 snapshot delete "$GUEST" start --children
    exits 0 in_dom0 sh -c 'rm /srv/raw; ls /srv'
    same "$(printf 'a\nb')" "$(cat "$OUT")"
}

no_live() {
    exits 1 snapshot create "$GUEST" start --memory
    says "this Xen has no shadow paging"
    goes_on
}

for TYPE in pvh ${FULL:+pv hvm}; do
    LIVE=
    [ "$TYPE" != pv ] || LIVE=--no-live
    ok "$TYPE: a guest that writes numbered records" started
    [ "$TYPE" != pv ] || ok "$TYPE: cannot be saved while it runs, and goes on" no_live
    ok "$TYPE: a snapshot with its memory" created
    ok "$TYPE: it goes on from there" resumed
    ok "$TYPE: and once more; the state before is there as well" again
    ok "$TYPE: the disks only" disks_only
done
finish
