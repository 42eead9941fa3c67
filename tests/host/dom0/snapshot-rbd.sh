#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# layer: ceph
# file: ceph-cluster
# only in a full run: a Ceph cluster takes minutes in an emulated machine
#
# Snapshots of disks on RBD images, in a Ceph cluster of one node: while a guest writes to them through
# blkback, while it is off, with the command killed at every point, and with a cluster that does not
# answer. Runs as root in a lab; prints TAP.

count=0
work=$(mktemp -d -p /var/tmp) || exit 1
libexec=/usr/libexec/xenwright
guest=rbd-test
image=vm.root
disk=/dev/rbd/rbd/$image
size=8M
export XENWRIGHT_STATE="$work/state"

finish() {
    xl destroy "$guest" >/dev/null 2>&1
    for device in /dev/rbd[0-9]*; do
        [ ! -b "$device" ] || timeout 30 rbd unmap "$device" >/dev/null 2>&1
    done
    sh "$(dirname "$0")/ceph-cluster" stop
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# report STATUS NAME: one line of TAP; after a failure what the last command printed.
report() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        {
            tail -n 20 "$work/out" "$work/err"
            timeout 20 rbd ls -l
            timeout 20 rbd device list
            ls -l /dev/rbd/rbd
        } 2>&1 | sed 's/^/# /'
    fi
}

snapshot() {
    xenwright snapshot "$@" >"$work/out" 2>"$work/err"
}

says() {
    grep -qF -- "$1" "$work/out" "$work/err"
}

# refused ARGUMENT...: with status 1 and one line.
refused() {
    snapshot "$@"
    [ $? -eq 1 ] && [ "$(grep -c ^xenwright: "$work/err")" -eq 1 ]
}

inside() {
    "$libexec/xenwright-guest" exec "$guest" -- "$@" >"$work/out" 2>&1
}

write_seed() {
    inside xw-test pattern write /dev/xvda "--seed=$1" "--size=$size"
}

guest_has() {
    inside xw-test pattern verify /dev/xvda "--seed=$1" "--size=$size"
}

# The same from here, of the VM that is off, and of what a snapshot keeps.
put() {
    "$libexec/xw-test" pattern write "$disk" "--seed=$1" "--size=$size" >"$work/out" 2>&1
}

disk_has() {
    "$libexec/xw-test" pattern verify "$disk" "--seed=$1" "--size=$size" >"$work/out" 2>&1
}

snapshot_has() {
    rm -f "$work/copy"
    snapshot export "$guest" "$1" "$work/copy" --format raw &&
        "$libexec/xw-test" pattern verify "$work/copy" "--seed=$2" "--size=$size" >"$work/out" 2>&1
}

# How many images and snapshots there are, and mappings: no more than there should be.
there_are() {
    [ "$(rbd ls rbd | wc -l)" -eq "$1" ] && [ "$(find /sys/bus/rbd/devices/ -type l | wc -l)" -eq 1 ]
}

start() {
    "$libexec/xenwright-guest" create "$guest" --type=pv "--disk=$1,raw,xvda,w" >"$work/out" 2>"$work/err"
}

stop() {
    xl destroy "$guest"
}

sh "$(dirname "$0")/ceph-cluster" start "$work/ceph" >"$work/out" 2>"$work/err" &&
    rbd create -s 64M "rbd/$image" && rbd map "rbd/$image" >"$work/out" && [ -b "$disk" ]
report $? "a cluster with an image that is mapped"

"$libexec/xenwright-guest" create "$guest" --type=pv "--disk=$disk,raw,xvda,w" \
    "--config-only=$work/vm.cfg" >"$work/out" 2>"$work/err" && put 1 && start "$disk" && guest_has 1
report $? "a guest on $disk"
snapshot create "$guest" one &&
    says "snapshot 'one' of '$guest' is made: xvda (rbd); the guest stood still for" && write_seed 2 &&
    snapshot_has one 1 && guest_has 2 && there_are 1
report $? "a snapshot while the guest runs"
snapshot create "$guest" two && write_seed 3 && snapshot_has one 1 && snapshot_has two 2 && guest_has 3
report $? "another one"
refused revert "$guest" two --restart && says "shut the VM down first" && guest_has 3 && there_are 1
report $? "a revert is refused while the guest runs"
stop

"$libexec/xw-test" pattern verify "$disk" --seed=3 "--size=$size" >"$work/out" &&
    snapshot revert "$work/vm.cfg" two && disk_has 2 && start "$disk" && guest_has 2 &&
    snapshot_has two 2 && snapshot_has one 1 && snapshot_has before-revert-1 3 && there_are 2
report $? "a revert while the VM is off, and xl create after it"
[ "$(readlink -f "$disk")" = /dev/rbd0 ]
report $? "the device has the number that it had"
write_seed 4 && snapshot create "$guest" branch && write_seed 5 && snapshot_has branch 4 && guest_has 5
report $? "a branch"
snapshot delete "$guest" two && guest_has 5 && snapshot_has one 1 && snapshot_has branch 4 &&
    snapshot_has before-revert-1 3 && there_are 2
report $? "the snapshot that the disk came from is deleted while the guest runs"
stop
start /dev/rbd0 && guest_has 5 && snapshot create "$guest" number && stop
report $? "a guest whose configuration has the number is the same VM"
exec 9<"$disk"
refused revert "$work/vm.cfg" one && says "in use" && exec 9<&- && disk_has 5 && there_are 2
report $? "a revert is refused while something has the device open"
exec 9<&-
snapshot revert "$work/vm.cfg" one --discard-current && disk_has 1 && start "$disk" && guest_has 1 &&
    snapshot_has one 1 && snapshot_has branch 4 && snapshot_has before-revert-1 3
report $? "back to the first one"
stop
snapshot revert "$work/vm.cfg" branch --discard-current && disk_has 4 && snapshot_has one 1
report $? "and to the branch"

rbd snap rm --no-progress "$(rbd ls -l rbd | sed -n 's/^\([^ ]*@xw-[0-9a-f]*\) .*/rbd\/\1/p' | head -n 1)"
snapshot show "$guest" one && says " yes " && refused revert "$work/vm.cfg" one && says "is gone" &&
    snapshot delete "$guest" one
report $? "one that was removed by hand is missing, and can be deleted"
for name in branch before-revert-1 number; do
    snapshot delete "$guest" "$name" || break
done
disk_has 4
report $? "all others are deleted"
put 6 && snapshot create "$work/vm.cfg" last && snapshot revert "$work/vm.cfg" last --discard-current &&
    disk_has 6 && snapshot delete "$guest" last && disk_has 6
report $? "what is left of reverts goes with what needed it"

# Killed at every point of an operation: what is recovered is the state before or the one after.
# killed NAME WANTED COMMAND...: WANTED is a function that says whether it is either.
killed() {
    what=$1 wanted=$2
    shift 2
    fresh
    rm -f "$work/points"
    XENWRIGHT_KILL_LIST=$work/points xenwright snapshot "$@" >"$work/out" 2>"$work/err"
    report $? "$what, to list its points"
    # Where Ceph is only asked, nothing has changed since the point before.
    grep -vE 'rbd/(ls|info|status|df|snap-ls)' "$work/points" | sort | uniq -c |
        while read -r times point; do
            i=0
            while [ $((i += 1)) -le "$times" ] && [ "$i" -le 12 ]; do
                echo "$point:$i"
            done
        done >"$work/list"
    failed=
    while read -r point; do
        fresh
        XENWRIGHT_KILL_AT=$point xenwright snapshot "$@" >"$work/out" 2>"$work/err"
        snapshot recover && $wanted && continue
        failed="$failed $point"
        report 1 "$what killed at $point"
    done <"$work/list"
    [ -z "$failed" ]
    report $? "$what killed at $(wc -l <"$work/list") points"
}

has_snapshot() {
    xenwright snapshot list "$guest" --json 2>/dev/null | grep -qF "\"name\": \"$1\""
}

# One snapshot 'base' with 1 in it, and the disk with 2.
fresh() {
    if has_snapshot new; then
        xenwright snapshot delete "$guest" new >/dev/null 2>&1
    fi
    has_snapshot base || { put 1 && snapshot create "$work/vm.cfg" base; }
    put 2
}

snapshots_are() {
    xenwright snapshot list "$guest" --json | grep -c '"id"' | grep -qx "$1"
}

created_or_not() {
    disk_has 2 && snapshot_has base 1 && { snapshots_are 1 || { snapshots_are 2 && snapshot_has new 2; }; }
}

reverted_or_not() {
    snapshot_has base 1 && snapshots_are 1 && { disk_has 1 || disk_has 2; }
}

deleted_or_not() {
    disk_has 2 && { snapshots_are 0 || { snapshots_are 1 && snapshot_has base 1; }; }
}

if [ -n "$FULL" ]; then
    killed create created_or_not create "$work/vm.cfg" new
    killed revert reverted_or_not revert "$work/vm.cfg" base --discard-current
    killed delete deleted_or_not delete "$work/vm.cfg" base
    fresh && snapshot delete "$guest" base && ! rbd ls rbd | grep -q revert
    report $? "nothing is left of what was cut off"
fi

# What no store keeps, and a cluster that is not there.
rbd snap create --no-progress "rbd/$image@hand" && rbd map "rbd/$image@hand" >"$work/out" &&
    sed "s,$disk,$disk@hand," "$work/vm.cfg" >"$work/snap.cfg" && refused create "$work/snap.cfg" &&
    says "is a snapshot itself"
report $? "a snapshot as a disk is refused"
rbd unmap "$disk@hand" && rbd snap rm --no-progress "rbd/$image@hand"
rbd rename "rbd/$image" rbd/other && refused create "$work/vm.cfg" && rbd rename rbd/other "rbd/$image" &&
    rbd rename "rbd/$image" rbd/other && rbd create -s 64M "rbd/$image" && refused create "$work/vm.cfg" &&
    says "another image of that name"
report $? "a mapping whose image has another name by now is refused"
rbd rm --no-progress "rbd/$image" && rbd rename rbd/other "rbd/$image"
put 7 && start "$disk" && pid=$(pidof ceph-mon) && kill -STOP "$pid"
before=$(date +%s)
refused create "$guest" dead && [ $(($(date +%s) - before)) -le 60 ]
report $? "a cluster that does not answer is told within a minute"
kill -CONT "$pid"
snapshot create "$guest" alive && guest_has 7
report $? "when it answers again a snapshot is made"

echo "1..$count"
