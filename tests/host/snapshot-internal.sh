#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots inside of the qcow2 images of a guest that runs, made and deleted by its QEMU; what is in
# them, and in the image at its path, before and after a revert.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

GUEST=web
ROUNDS=3
[ -z "$FULL" ] || ROUNDS=15

in_guest() {
    lab guest-exec s "$GUEST" -- "$@"
}

in_dom0() {
    lab exec s -- "$@"
}

snapshot() {
    in_dom0 xenwright snapshot "$@"
}

# The first QEMU after a restore is read from the disk, for longer than libxl waits for it at times.
started() {
    exits 0 in_dom0 find /usr/libexec /usr/lib -name '*qemu-system-i386' -exec '{}' --version ';'
    exits 0 in_dom0 sh -c 'mkdir -p /srv && cd /srv && rm -f * && qemu-img create -q -f qcow2 a 64M &&
        qemu-img create -q -f qcow2 b 32M && qemu-img snapshot -c mine a'
    exits 0 lab guest s "$GUEST" --type pv --disk format=qcow2,vdev=xvda,target=/srv/a \
        --disk format=qcow2,vdev=xvdb,target=/srv/b
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=1 --size=4M
}

writes() {
    exits 0 in_guest xw-test pattern write /dev/xvda "--seed=$1" --size=4M
}

guest_has() {
    exits 0 in_guest xw-test pattern verify /dev/xvda "--seed=$1" --size=4M
}

inner_name() {
    snapshot show "$GUEST" "$1" --json | sed -n 's/.*"data": ".*[.]\(xw-.*\)".*/\1/p' | head -n 1
}

# snapshot_has NAME SEED: from outside, of a VM that is off.
snapshot_has() {
    exits 0 in_dom0 qemu-img convert -f qcow2 -O raw -l "$(inner_name "$1")" /srv/a /tmp/copy.raw
    exits 0 in_dom0 /usr/libexec/xenwright/xw-test pattern verify /tmp/copy.raw "--seed=$2" --size=4M
    exits 0 in_dom0 rm /tmp/copy.raw
}

files_are() {
    exits 0 in_dom0 sh -c 'ls /srv | grep -c .'
    same "$1" "$(cat "$OUT")"
}

created() {
    exits 0 snapshot create "$GUEST" one --internal
    says "snapshot 'one' of '$GUEST' is made: xvda (qcow2-internal), xvdb (qcow2-internal); the guest stood still for"
    quiet
    guest_has 1
    writes 2
    exits 0 snapshot create "$GUEST" two
    says 'xvda (qcow2-internal)'
    writes 3
    files_are 2
}

last_record() {
    in_guest tail -n 1 /tmp/records
}

# goes_on: the writer has written since.
goes_on() {
    local before now=0 deadline=$((SECONDS + 60))
    before=$(last_record)
    while [ "$SECONDS" -lt "$deadline" ]; do
        now=$(last_record)
        [ "${now:-0}" -le "${before:-0}" ] || return 0
    done
    echo "still at record '$now'"
    return 1
}

# While records are written to the other disk, in their order.
busy() {
    local round
    exits 0 in_guest sh -c 'setsid xw-test records /dev/xvdb >/tmp/records 2>&1 </dev/null &'
    for round in $(seq "$ROUNDS"); do
        goes_on
        exits 0 snapshot create "$GUEST" "busy-$round"
        exits 0 snapshot delete "$GUEST" "busy-$round"
    done
    last_record >"$WORK/told"
    exits 0 snapshot create "$GUEST" busy
    goes_on
    exits 0 in_guest killall xw-test
    exits 0 in_guest xw-test records --check /dev/xvdb
    guest_has 3
}

refused_while_it_runs() {
    exits 1 snapshot revert "$GUEST" one --restart
    says "which QEMU has open: shut the VM down first"
    one_complaint
    exits 1 snapshot export "$GUEST" one /tmp/x --disk xvda
    says "which QEMU has open"
    guest_has 3
}

off() {
    exits 0 in_dom0 xl destroy "$GUEST"
    exits 0 in_dom0 qemu-img check -q /srv/a
    exits 0 in_dom0 qemu-img check -q /srv/b
    snapshot_has one 1
    snapshot_has two 2
    exits 0 in_dom0 sh -c "qemu-img convert -f qcow2 -O raw -l $(inner_name busy) /srv/b /tmp/b.raw &&
        /usr/libexec/xenwright/xw-test records --check /tmp/b.raw"
    echo "told $(cat "$WORK/told"), kept: $(cat "$OUT")"
    [ "$(sed 's/.* //' "$OUT")" -ge "$(cat "$WORK/told")" ]
}

reverted() {
    exits 0 snapshot revert "$GUEST" one --discard-current
    files_are 2
    exits 0 in_dom0 qemu-img convert -f qcow2 -O raw /srv/a /tmp/copy.raw
    exits 0 in_dom0 /usr/libexec/xenwright/xw-test pattern verify /tmp/copy.raw --seed=1 --size=4M
}

runs_again() {
    exits 0 lab guest s "$GUEST" --type pv --disk format=qcow2,vdev=xvda,target=/srv/a \
        --disk format=qcow2,vdev=xvdb,target=/srv/b
    guest_has 1
    for name in busy one two; do
        exits 0 snapshot delete "$GUEST" "$name"
    done
    guest_has 1
    exits 0 in_dom0 xl destroy "$GUEST"
    exits 0 in_dom0 qemu-img check -q /srv/a
    exits 0 in_dom0 qemu-img snapshot -l /srv/a
    says mine
    same 0 "$(grep -c 'xw-' "$OUT")"
}

up s
ok "a guest with qcow2 disks" started
ok "snapshots inside of them while it runs" created
ok "made and deleted $ROUNDS times while it writes" busy
ok "a revert and an export are refused while it runs" refused_while_it_runs
ok "the VM is off: each snapshot holds what it should" off
ok "reverted" reverted
ok "it runs from there, and they are deleted under it" runs_again
finish
