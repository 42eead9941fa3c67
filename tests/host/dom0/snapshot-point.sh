#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# layer: lvm
# layer: btrfs
# layer: ceph
# file: ceph-cluster
# limit: 14400
# only in a full run: a hundred snapshots under load, and a Ceph cluster, take hours in an emulated machine
#
# One point in time: a guest writes numbered records to its four disks in turn, each safely on its disk
# before the next is begun, without a pause. The disks are on different storage: qcow2 (through QEMU), a
# thin LV, a file with reflinks, and an RBD image (all through blkback). In each of many snapshots that are
# made meanwhile all disks have the same last record, but for those after the one that was being written
# to. Runs as root in a lab; prints TAP. $TIMES: how many snapshots.

count=0
work=$(mktemp -d -p /var/tmp) || exit 1
libexec=/usr/libexec/xenwright
guest=point
vg=xw-p
loop=
writer=
# A guest's file on btrfs, whose loop device xl makes. Not below /tmp, which is no disk.
files=/srv/point
export XENWRIGHT_STATE="$work/state"

finish() {
    [ -z "$writer" ] || kill "$writer" 2>/dev/null
    xl destroy "$guest" >/dev/null 2>&1
    umount "$files/btrfs" 2>/dev/null
    timeout 30 rbd unmap rbd/disk >/dev/null 2>&1
    sh "$(dirname "$0")/ceph-cluster" stop
    if [ -n "$loop" ]; then
        vgremove -qqff "$vg" >/dev/null 2>&1
        losetup -d "$loop"
    fi
    rm -rf "$work" "$files"
}
trap finish EXIT
trap 'exit 1' INT TERM

report() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        tail -n 20 "$work/out" "$work/err" 2>&1 | sed 's/^/# /'
    fi
}

snapshot() {
    xenwright snapshot "$@" >"$work/out" 2>"$work/err"
}

inside() {
    "$libexec/xenwright-guest" exec "$guest" -- "$@" >"$work/out" 2>&1
}

make_disks() {
    mkdir -p "$files" && truncate -s 512M "$work/pv" && loop=$(losetup -f --show "$work/pv") &&
        vgcreate -qq "$vg" "$loop" && lvcreate -qq -L 256M -T "$vg/pool" &&
        lvcreate -qq -V 4M -T "$vg/pool" -n disk && qemu-img create -q -f qcow2 "$files/disk.qcow2" 4M
}

make_more_disks() {
    truncate -s 512M "$work/btrfs" && mkfs.btrfs -q "$work/btrfs" && mkdir "$files/btrfs" &&
        mount -o loop "$work/btrfs" "$files/btrfs" && truncate -s 4M "$files/btrfs/disk" &&
        sh "$(dirname "$0")/ceph-cluster" start "$work/ceph" && rbd create -s 4M rbd/disk &&
        rbd map rbd/disk
}

# start DISK...: one after another, since libxl gives the block script of each ten seconds, and together they
# may not have them where processors are emulated.
start() {
    "$libexec/xenwright-guest" create "$guest" --type=pv "--disk=$files/disk.qcow2,qcow2,xvda,w" \
        >"$work/out" 2>"$work/err" || return
    for disk; do
        xl block-attach "$guest" "$disk" >"$work/out" 2>"$work/err" || return
    done
    inside sh -c "until [ -b /dev/${vdevs##* } ]; do sleep 0.1; done"
}

# same_moment NAME: of a snapshot: all its disks are copied out of it, and compared.
same_moment() {
    rm -f "$work"/copy-*
    for vdev in $vdevs; do
        snapshot export "$guest" "$1" "$work/copy-$vdev" --disk "$vdev" --format raw || return 1
    done
    # shellcheck disable=SC2046,SC2086
    "$libexec/xw-test" records --check $(printf "$work/copy-%s " $vdevs) >"$work/out" 2>&1
}

times=${TIMES:-100}
vdevs='xvda xvdb xvdc xvdd'
{ make_disks && make_more_disks; } >"$work/out" 2>"$work/err"
report $? "disks on qcow2, a thin LV, reflinks and RBD"
start "/dev/$vg/disk,raw,xvdb,w" "$files/btrfs/disk,raw,xvdc,w" "/dev/rbd/rbd/disk,raw,xvdd,w"
started=$?
report "$started" "a guest with them"
if [ "$started" -ne 0 ]; then
    echo "1..$count"
    exit 1
fi
# shellcheck disable=SC2086
devices=$(printf '/dev/%s ' $vdevs)
# shellcheck disable=SC2086
"$libexec/xenwright-guest" exec "$guest" -- xw-test records $devices >"$work/records" 2>&1 &
writer=$!
timeout 60 sh -c "tail -s 0.1 -n +1 -f '$work/records' | grep -q -m 1 '^3\$'"
grep -q '^3$' "$work/records"
report $? "it writes records"

number=0 wrong=''
: >"$work/moments"
while [ $((number += 1)) -le "$times" ]; do
    before=$(tail -n 1 "$work/records")
    if ! snapshot create "$guest" "s$number" || ! same_moment "s$number"; then
        report 1 "snapshot $number"
        wrong="$wrong $number"
    fi
    sed 's/.*copy-//' "$work/out" | tr '\n' ' ' >>"$work/moments"
    echo "after $before" >>"$work/moments"
    # The first has nothing below it: its content goes to the next ones.
    [ $((number % 10)) -ne 0 ] || for old in $(seq $((number - 9)) "$number"); do
        snapshot delete "$guest" "s$old" || report 1 "snapshot $old is deleted"
    done
done
[ -z "$wrong" ]
report $? "$times snapshots, each of one moment"
sed 's/^/# /' "$work/moments" | tail -n 5

kill -0 "$writer" && last=$(tail -n 1 "$work/records") && [ "$last" -gt "$times" ]
report $? "the guest has written all the while"
inside pkill xw-test
wait "$writer"
writer=
# shellcheck disable=SC2086
inside xw-test records --check $devices
report $? "what it has on its disks now is whole"
for old in $(xenwright snapshot list "$guest" --json | sed -n 's/.*"name": "\(s[0-9]*\)".*/\1/p'); do
    snapshot delete "$guest" "$old" || report 1 "snapshot $old is deleted"
done
# shellcheck disable=SC2086
inside xw-test records --check $devices
report $? "and without the snapshots"
# shellcheck disable=SC2086
inside xw-test records --quiet --count=$((last + 300)) $devices &&
    inside xw-test records --check $devices && grep -q " $((last + 300))\$" "$work/out"
report $? "it writes on"

echo "1..$count"
