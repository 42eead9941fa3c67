#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# layer: lvm
# cpus: 1
# limit: 14400
# only in a full run: each case takes a guest of its own, a minute or more in an emulated machine
#
# What may happen to a running guest and its storage while a snapshot is made, deleted, or gone back to: at each
# record of the journal the command is stopped, something is done to the guest or to a file system, and it goes
# on. Then there is space again, and what was interrupted is recovered. Nothing may be lost of what the guest
# had been told was safe, or of a snapshot; nothing may be left that no snapshot owns; and `xl create` with the
# configuration of the user has to find the right data. Runs as root in a lab; prints TAP.
#
# The guest has a qcow2 image (served by QEMU) and a thin LV (served by blkback). Both hold 1 in the snapshot
# `base`, and 2 now.

count=0
work=$(mktemp -d) || exit 1
libexec=/usr/libexec/xenwright
guest=faulty
vg=xw-f
size=4M
loops=
export XENWRIGHT_STATE="$work/state"
images=$work/images

finish() {
    xl destroy "$guest" >/dev/null 2>&1
    umount "$images" "$XENWRIGHT_STATE" 2>/dev/null
    vgremove -qqff "$vg" >/dev/null 2>&1 || vgremove -ffy "$vg" >/dev/null 2>&1
    for loop in $loops; do losetup -d "$loop"; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# report STATUS NAME: one line of TAP; after a failure what there is to know.
report() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
        return
    fi
    echo "not ok $count - $2"
    {
        for file in command recover out wrong; do
            [ ! -s "$work/$file" ] || { echo "$file:" && tail -n 12 "$work/$file"; }
        done
        xl list
        ls -la "$images"
        lvs -a "$vg"
        xenwright snapshot list "$guest" --json | grep -E '"(name|id|current)"'
        cat "$XENWRIGHT_STATE"/*/journal
    } 2>&1 | sed 's/^/# /'
}

snapshot() {
    xenwright snapshot "$@" >"$work/out" 2>&1
}

inside() {
    "$libexec/xenwright-guest" exec --timeout=60 "$guest" -- "$@" >"$work/out" 2>&1
}

# Where this ends well, the guest was told that both disks have it.
write_seed() {
    inside xw-test pattern write /dev/xvda "--seed=$1" "--size=$size" &&
        inside xw-test pattern write /dev/xvdb "--seed=$1" "--size=$size"
}

guest_has() {
    inside xw-test pattern verify /dev/xvda "--seed=$1" "--size=$size" &&
        inside xw-test pattern verify /dev/xvdb "--seed=$1" "--size=$size"
}

runs() {
    xl domid "$guest" >/dev/null 2>&1
}

start() {
    xl create -q "$work/$guest.cfg" >"$work/out" 2>&1 &&
        "$libexec/xenwright-guest" wait --timeout=120 "$guest" >>"$work/out" 2>&1
}

stop() {
    runs || return 0
    xl destroy "$guest" >"$work/out" 2>&1
    ! runs
}

# has_content IMAGE LV SEED: both, from here, while nobody has them open.
has_content() {
    qemu-img convert -O raw "$1" "$work/raw" >"$work/out" 2>&1 &&
        "$libexec/xw-test" pattern verify "$work/raw" "--seed=$3" "--size=$size" >"$work/out" 2>&1 &&
        "$libexec/xw-test" pattern verify "$2" "--seed=$3" "--size=$size" >"$work/out" 2>&1
}

names() {
    xenwright snapshot list "$guest" --json 2>/dev/null | sed -n 's/^ *"name": "\(.*\)",*$/\1/p'
}

data_of() {
    xenwright snapshot show "$guest" "$1" --json | sed -n 's/.*"data": "\(.*\)".*/\1/p'
}

snapshot_has() {
    image=$(data_of "$1" | grep "^$images")
    volume=$(data_of "$1" | grep -v "^$images")
    lvchange -qq -ay -K "$volume"
    has_content "$image" "$volume" "$2"
    has=$?
    lvchange -qq -an "$volume"
    return $has
}

# Are the images and LVs just those of the disks and of the snapshots that are listed?
nothing_left() {
    {
        echo "$images/a"
        echo "/dev/$vg/b"
        names | while read -r name; do data_of "$name"; done
    } | sort >"$work/wanted"
    {
        ls -d "$images"/*
        lvs --noheadings -o lv_path "$vg" | tr -d ' ' | grep .
    } | grep -v lost+found | sort >"$work/there"
    diff "$work/wanted" "$work/there" >"$work/wrong" && rm "$work/wrong"
}

# The guest runs, with 'base' (1) and nothing else, and has written 2 since.
fresh() {
    { runs && inside true; } || { stop && start; } || return 1
    for name in $(names | grep -vx base); do snapshot delete "$guest" "$name" || return 1; done
    names | grep -qx base || { write_seed 1 && snapshot create "$guest" base; } || return 1
    write_seed 2
}

# ---- what is done to it ----

qemu_dies() {
    qemu=$(xenstore-read "/local/domain/$(xl domid "$guest")/image/device-model-pid")
    kill -KILL "$qemu"
    while kill -0 "$qemu" 2>/dev/null; do sleep 0.1; done
}

is_destroyed() {
    timeout 60 xl destroy "$guest"
}

# Where it is held, it can do so only later.
reboots() {
    before=$(xl domid "$guest")
    xl reboot "$guest"
    xl list "$guest" | grep -q ' ..p... ' || is_another
}

# The guest is another domain than before.
is_another() {
    end=$(($(date +%s) + 60))
    while [ "$(xl domid "$guest" 2>/dev/null || echo "$before")" = "$before" ]; do
        [ "$(date +%s)" -lt "$end" ] || return 1
        sleep 0.2
    done
}

fill() {
    dd if=/dev/zero of="$1/filler" bs=1M >/dev/null 2>&1
    dd if=/dev/zero of="$1/filler" bs=1k oflag=append conv=notrunc >/dev/null 2>&1
    sync -f "$1"
}

images_are_full() {
    fill "$images"
}

records_are_full() {
    fill "$XENWRIGHT_STATE"
}

# ---- one of these at one point of one operation ----

# state_of PID: T: it has stopped; nothing: it has ended.
state_of() {
    sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null | tr -d Z
}

# It stops at the point; FAULT; it goes on to its end.
interrupt() {
    fault=$1 point=$2
    shift 2
    XENWRIGHT_STOP_AT=$point xenwright snapshot "$@" >"$work/command" 2>&1 &
    pid=$!
    while state=$(state_of $pid) && [ -n "$state" ] && [ "$state" != T ]; do sleep 0.05; done
    if [ "$state" != T ]; then
        echo "it did not pass $point" >"$work/wrong"
        return 1
    fi
    $fault >>"$work/command" 2>&1
    kill -CONT $pid
    timeout 200 tail --pid=$pid -s 0.1 -f /dev/null || { kill -KILL $pid; echo "it hangs" >"$work/wrong"; }
    wait $pid
    status=$?
    [ ! -s "$work/wrong" ] && [ $status -le 1 ] || return 1
    [ $status -eq 0 ] || [ "$(grep -c '^xenwright: ' "$work/command")" -eq 1 ]
}

# While a domain is being made nothing can be recovered that it is to have.
settle() {
    rm -f "$images/filler" "$XENWRIGHT_STATE/filler"
    if [ "$1" = reboots ]; then
        is_another && "$libexec/xenwright-guest" wait --timeout=120 "$guest" >"$work/out" 2>&1 || return 1
    fi
    xenwright snapshot recover >"$work/recover" 2>&1
}

created() {
    names >"$work/names"
    guest_is 2 && snapshot_has base 1 && { ! grep -qx new "$work/names" || snapshot_has new 2; } &&
        [ "$(grep -cvxE 'base|new' "$work/names")" -eq 0 ]
}

# Whatever it goes on from: what was written is kept.
reverted() {
    names >"$work/names"
    snapshot_has base 1 || return 1
    if grep -q before-revert "$work/names"; then
        snapshot_has "$(grep before-revert "$work/names")" 2 && { guest_is 1 || guest_is 2; }
    else
        guest_is 2
    fi
}

deleted() {
    names >"$work/names"
    guest_is 2 && { [ ! -s "$work/names" ] || snapshot_has base 1; }
}

guest_is() {
    has_content "$images/a" "/dev/$vg/b" "$1" && seed=$1
}

# is_right OUTCOME: everything, from outside, and then from inside of the guest that xl creates.
is_right() {
    stop && qemu-img check -q "$images/a" >"$work/out" 2>&1 && $1 && nothing_left &&
        snapshot recover && grep -qx "nothing was interrupted" "$work/out" && start && guest_has "$seed"
}

# Each takes a quarter of a minute on a machine that is quiet: all of them in a full run.
chosen='create create/prepared:1 qemu_dies
revert revert/swapping:1 is_destroyed'

is_chosen() {
    [ -n "$FULL" ] || echo "$chosen" | grep -q "^$1"
}

# walk OUTCOME OPERATION...
walk() {
    outcome=$1
    shift
    is_chosen "$1 " || return 0
    fresh
    report $? "$1: a guest to try it on"
    rm -f "$work/points"
    XENWRIGHT_KILL_LIST=$work/points xenwright snapshot "$@" >"$work/command" 2>&1 &&
        grep -q "^$1/begin" "$work/points" && grep -q "^$1/done" "$work/points"
    report $? "$1: it has points"
    grep -E '^(create|revert|delete)/' "$work/points" | sort | uniq -c | while read -r times point; do
        seq -f "$point:%.0f" "$times"
    done >"$work/list"
    while read -r point <&3; do
        for fault in qemu_dies is_destroyed reboots images_are_full records_are_full; do
            is_chosen "$1 $point $fault\$" || continue
            rm -f "$work/wrong" "$work/command" "$work/recover"
            { fresh && interrupt "$fault" "$point" "$@" && settle "$fault" && is_right "$outcome"; } 3<&-
            right=$?
            report $right "$1, at $point: $fault" 3<&-
            [ $right -eq 0 ] || stop # the next one starts from a guest that is alive
        done
    done 3<"$work/list"
}

mkdir "$images" "$XENWRIGHT_STATE" &&
    truncate -s 64M "$work/fs" && mkfs.ext4 -q "$work/fs" && mount -o loop "$work/fs" "$images" &&
    truncate -s 4M "$work/records" && mkfs.ext4 -q -b 1024 "$work/records" &&
    mount -o loop "$work/records" "$XENWRIGHT_STATE" &&
    truncate -s 1G "$work/pv" && loops=$(losetup -f --show "$work/pv") && vgcreate -qq "$vg" "$loops" &&
    lvcreate -qq -L 256M -T "$vg/pool" && lvcreate -qq -V 16M -T "$vg/pool" -n b &&
    qemu-img create -q -f qcow2 "$images/a" 16M &&
    "$libexec/xenwright-guest" create "$guest" --type=pvh "--disk=format=qcow2,vdev=xvda,target=$images/a" \
        "--disk=/dev/$vg/b,raw,xvdb,w" "--config-only=$work/$guest.cfg" >"$work/out" 2>&1
report $? "a file system for images, one for records, and a thin LV"
find /usr/libexec -name xen-qemu-system-i386 -exec '{}' --version ';' >/dev/null

walk created create "$guest" new
walk reverted revert "$guest" base --restart
walk deleted delete "$guest" base

echo "1..$count"
