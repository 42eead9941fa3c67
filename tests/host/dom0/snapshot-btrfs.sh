#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# layer: btrfs
#
# Snapshots of raw images in a btrfs subvolume, on a btrfs in a file: while a guest writes to them
# through blkback and a loop device, and while it is off. Runs as root in a lab; prints TAP.

count=0
work=$(mktemp -d) || exit 1
libexec=/usr/libexec/xenwright
guest=btrfs-test
size=8M
rounds=3
[ -z "$FULL" ] || rounds=20
images=$work/mnt/web
export XENWRIGHT_STATE="$work/state"

finish() {
    xl destroy "$guest" >/dev/null 2>&1
    umount "$work/mnt" 2>/dev/null
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
        { tail -n 20 "$work/out" "$work/err"; ls -l "$work/mnt" "$images"; losetup; } 2>&1 | sed 's/^/# /'
    fi
}

snapshot() {
    xenwright snapshot "$@" >"$work/out" 2>"$work/err"
}

says() {
    grep -qF -- "$1" "$work/out" "$work/err"
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

file_has() {
    "$libexec/xw-test" pattern verify "$1" "--seed=$2" "--size=$size" >"$work/out" 2>&1
}

# data_of SNAPSHOT DISK
data_of() {
    xenwright snapshot show "$guest" "$1" --json | sed -n 's/.*"data": "\(.*\)".*/\1/p' | grep "/$2\$"
}

snapshot_has() {
    file_has "$(data_of "$1" a)" "$2"
}

# How many subvolumes there are: the one of the images, and its snapshots; in the first only the images.
subvolumes_are() {
    btrfs subvolume list "$work/mnt" | grep -c . | grep -qx "$1" &&
        find "$images" -type f | grep -c . | grep -qx 2
}

start() {
    "$libexec/xenwright-guest" create "$guest" --type=pv "--disk=$images/a,raw,xvda,w" \
        "--disk=$images/b,raw,xvdb,w" "$@" >"$work/out" 2>"$work/err"
}

stop() {
    xl destroy "$guest"
}

truncate -s 1G "$work/disk" && mkfs.btrfs -q "$work/disk" && mkdir "$work/mnt" &&
    mount -o loop "$work/disk" "$work/mnt" && btrfs -q subvolume create "$images" &&
    truncate -s 64M "$images/a" && truncate -s 16M "$images/b"
report $? "a btrfs with a subvolume of images"
start "--config-only=$work/web.cfg" && start && write_seed 1
report $? "a guest on them"
losetup -n -O BACK-FILE | grep -qF "$images/a"
report $? "it is served by blkback"

snapshot create "$guest" one &&
    says "snapshot 'one' of '$guest' is made: xvda (btrfs-subvolume), xvdb (btrfs-subvolume); the guest stood" &&
    write_seed 2 && snapshot_has one 1 && guest_has 2 && subvolumes_are 2
report $? "a snapshot while the guest runs holds what it has written"

# The last record that the guest says is on its disk; 0: none yet.
told() {
    inside tail -n 1 /tmp/records && grep -x '[0-9]*' "$work/out" || echo 0
}

# Until it has told more than it had.
goes_on() {
    before=$(told) deadline=$(($(date +%s) + 60))
    while [ "$(date +%s)" -lt "$deadline" ]; do
        [ "$(told)" -le "$before" ] || return 0
    done
    return 1
}

# What was told before a snapshot is in it, and all of it in the order in which it was written.
is_of_one_moment() {
    goes_on && least=$(told) && snapshot create "$guest" "$1" &&
        "$libexec/xw-test" records --check "$(data_of "$1" b)" >"$work/out" 2>&1 || return
    echo "# told $least, kept $(sed 's/.* //' "$work/out")"
    [ "$(sed 's/.* //' "$work/out")" -ge "$least" ]
}

inside sh -c 'setsid xw-test records /dev/xvdb >/tmp/records 2>&1 </dev/null &'
round=0 failed=
while [ "$((round += 1))" -le "$rounds" ]; do
    is_of_one_moment "busy-$round" || failed=yes
done
[ -z "$failed" ]
report $? "while it writes: $rounds snapshots are each of one moment"
inside killall xw-test
inside xw-test records --check /dev/xvdb
report $? "and the guest has lost nothing"
round=0
while [ "$((round += 1))" -le "$rounds" ]; do
    snapshot delete "$guest" "busy-$round" || failed=yes
done
[ -z "$failed" ] && subvolumes_are 2 && snapshot_has one 1
report $? "they are deleted while the guest runs"

snapshot revert "$guest" one --restart && guest_has 1 && snapshot_has one 1 && snapshot_has before-revert-1 2 &&
    subvolumes_are 3
report $? "a revert with a restart"
write_seed 3 && stop && file_has "$images/a" 3
report $? "the guest writes to the image at the path"
snapshot revert "$work/web.cfg" before-revert-1 --discard-current && file_has "$images/a" 2 && start && guest_has 2
report $? "a revert while it is off, and xl create after it"
stop
snapshot delete "$guest" one && snapshot delete "$guest" before-revert-1 && subvolumes_are 1 && file_has "$images/a" 2
report $? "nothing is left of deleted ones"

echo "1..$count"
