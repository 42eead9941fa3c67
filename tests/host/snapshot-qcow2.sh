#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots of a running guest with qcow2 disks: what is in them, seen from inside the guest and from
# outside, and that whoever opens the disk's path, xl above all, finds the right data.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

GUEST=web

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
    says 'QEMU emulator'
    exits 0 in_dom0 sh -c 'mkdir -p /srv && cd /srv && rm -f * && qemu-img create -q -f qcow2 a 64M &&
        qemu-img create -q -f qcow2 b 32M'
    exits 0 lab guest s "$GUEST" --type "$TYPE" --disk format=qcow2,vdev=xvda,target=/srv/a \
        --disk format=qcow2,vdev=xvdb,target=/srv/b
    write_seed 1
}

write_seed() {
    exits 0 in_guest xw-test pattern write /dev/xvda "--seed=$1" --size=4M
    exits 0 in_guest xw-test pattern write /dev/xvdb "--seed=$1" --size=4M
}

guest_has() {
    exits 0 in_guest xw-test pattern verify /dev/xvda "--seed=$1" --size=4M
    exits 0 in_guest xw-test pattern verify /dev/xvdb "--seed=$1" --size=4M
}

# snapshot_has NAME SEED: both disks, from outside: through copies, since a guest may have the chain open.
snapshot_has() {
    local data
    snapshot show "$GUEST" "$1" --json >"$WORK/shown"
    for data in $(sed -n 's/.*"data": "\(.*\)".*/\1/p' "$WORK/shown"); do
        exits 0 in_dom0 qemu-img convert -U -O raw "$data" /srv/copy.raw
        exits 0 in_dom0 /usr/libexec/xenwright/xw-test pattern verify /srv/copy.raw "--seed=$2" --size=4M
        exits 0 in_dom0 rm /srv/copy.raw
    done
}

# What no snapshot needs is not there, nor names by which a QEMU of before 9.0 has its images open.
files_are() {
    exits 0 in_dom0 sh -c 'ls /srv | grep -vc "[.]live$"'
    same "$1" "$(cat "$OUT")"
}

created() {
    exits 0 snapshot create "$GUEST" one
    says "snapshot 'one' of '$GUEST' is made: xvda (qcow2), xvdb (qcow2); the guest stood still for"
    quiet
    guest_has 1
    write_seed 2
    snapshot_has one 1
    files_are 4
}

created_again() {
    exits 0 snapshot create "$GUEST" two
    write_seed 3
    snapshot_has one 1
    snapshot_has two 2
    guest_has 3
}

appears() {
    local deadline=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$deadline" ]; do
        ! in_guest test -b "$1" || return 0
    done
    echo "the guest has no $1"
    return 1
}

# What was added to QEMU for a snapshot does not keep it from giving the image up.
attached_again() {
    exits 0 in_dom0 xl block-detach "$GUEST" xvdb
    exits 0 in_dom0 xl block-attach "$GUEST" format=qcow2,vdev=xvdb,target=/srv/b
    appears /dev/xvdb
    guest_has 3
    [ "$RELEASE" != bookworm ] || return 0
    exits 0 snapshot create "$GUEST" attached
    snapshot_has attached 3
    exits 0 snapshot delete "$GUEST" attached
    guest_has 3
}

# The guest of another domid than before answers.
came_back() {
    local deadline=$((SECONDS + 180))
    while [ "$SECONDS" -lt "$deadline" ]; do
        [ "$(in_dom0 xl domid "$GUEST" 2>/dev/null)" = "$1" ] || ! in_guest true 2>/dev/null || return 0
    done
    echo "'$GUEST' has not come back"
    return 1
}

# The guest is another one after each of these, with the disks' own paths.
rebooted() {
    local before
    before=$(in_dom0 xl domid "$GUEST")
    exits 0 in_dom0 sh -c "$1"
    came_back "$before"
    guest_has 3
    snapshot_has two 2
}

# A QEMU of before 9.0 would not survive it.
too_old() {
    exits 1 snapshot delete "$GUEST" "$1"
    says "too old (it takes 9.0)" "delete the snapshot while the guest is off"
}

deleted_live() {
    if [ "$RELEASE" = bookworm ]; then
        too_old one
        guest_has 3
        snapshot_has one 1
        return
    fi
    exits 137 in_dom0 env XENWRIGHT_KILL_AT=qcow2/stopped xenwright snapshot delete "$GUEST" one
    exits 0 snapshot recover
    says "1 interrupted operations were finished or undone"
    guest_has 3
    snapshot_has two 2
    files_are 4
}

refused_while_it_runs() {
    exits 1 snapshot revert "$GUEST" two
    says "'$GUEST' runs: shut it down, or have it restarted from the snapshot by --restart"
    guest_has 3
}

reverted() {
    exits 0 snapshot revert "$GUEST" two --restart
    says "'$GUEST' is reverted to 'two'; the state before is kept as 'before-revert-1'; it runs again"
    exits 0 in_guest uname -s
    guest_has 2
    snapshot_has two 2
    snapshot_has before-revert-1 3
    write_seed 4
}

branched() {
    exits 0 snapshot create "$GUEST" branch
    write_seed 5
    exits 0 snapshot list "$GUEST" --tree
    says '─ two' '   ├─ before-revert-1' '   └─ branch  ← present state'
    if [ "$RELEASE" = bookworm ]; then
        too_old two
    else
        exits 0 snapshot delete "$GUEST" two
    fi
    guest_has 5
    snapshot_has branch 4
    snapshot_has before-revert-1 3
}

shut_down() {
    exits 0 in_dom0 xl destroy "$GUEST"
    exits 0 snapshot revert "$GUEST" before-revert-1 --discard-current
    exits 0 lab guest s "$GUEST" --type "$TYPE" --disk format=qcow2,vdev=xvda,target=/srv/a \
        --disk format=qcow2,vdev=xvdb,target=/srv/b
    guest_has 3
    exits 0 in_dom0 xl destroy "$GUEST"
    exits 0 in_dom0 qemu-img check -q /srv/a
    exits 0 in_dom0 qemu-img check -q /srv/b
}

nothing_left() {
    if [ "$RELEASE" = bookworm ]; then
        exits 0 snapshot delete "$GUEST" one
        exits 0 snapshot delete "$GUEST" two
        snapshot_has branch 4
    fi
    exits 0 snapshot delete "$GUEST" branch
    exits 0 snapshot delete "$GUEST" before-revert-1
    exits 0 in_dom0 ls /srv
    same "$(printf 'a\nb')" "$(cat "$OUT")"
    exits 0 snapshot recover
    says "nothing was interrupted"
}

life() {
    ok "$1: a guest with two qcow2 disks" started
    ok "$1: a snapshot of it while it runs" created
    ok "$1: and another one" created_again
    ok "$1: a disk is detached and attached again" attached_again
    ok "$1: xl reboot opens the right data" rebooted "xl reboot -w $GUEST"
    ok "$1: xl save and restore open the right data" \
        rebooted "xl save $GUEST /root/saved && xl restore /root/saved && rm /root/saved"
    [ "$TYPE" = pv ] || ok "$1: xl migrate opens the right data" \
        rebooted "xl migrate -s '' $GUEST 'xl migrate-receive'"
    ok "$1: a snapshot is deleted while it runs" deleted_live
    ok "$1: a revert is refused while it runs" refused_while_it_runs
    ok "$1: a revert with a restart" reverted
    ok "$1: a branch, and the loss of what both came from" branched
    ok "$1: a revert while it is off, and xl create after it" shut_down
    ok "$1: nothing is left of deleted snapshots" nothing_left
}

# With one processor a lab does not wait for its own locks when others want the machine.
for RELEASE in trixie ${FULL:+bookworm}; do
    up s --cpus 1 --release "$RELEASE"
    for TYPE in pv ${FULL:+pvh}; do
        life "$RELEASE $TYPE"
    done
    lab down s
done
finish
