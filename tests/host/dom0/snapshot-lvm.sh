#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# layer: lvm
#
# Snapshots of disks on LVs, thin and thick, on a volume group in a file: while a guest writes to them
# through blkback, while it is off, with the command killed at every point, and with a pool that is
# full. Runs as root in a lab; prints TAP.

count=0
work=$(mktemp -d) || exit 1
libexec=/usr/libexec/xenwright
guest=lvm-test
vg=xw-t
size=8M
loop=
export XENWRIGHT_STATE="$work/state"

finish() {
    xl destroy "$guest" >/dev/null 2>&1
    if [ -n "$loop" ]; then
        vgremove -qqff "$vg" >/dev/null 2>&1 || vgremove -ffy "$vg" >/dev/null 2>&1
        losetup -d "$loop"
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# report STATUS NAME: one line of TAP; after a failure what the last command printed.
report() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $kind$2"
    else
        echo "not ok $count - $kind$2"
        { tail -n 20 "$work/out" "$work/err"; lvs -a -o +lv_role,lv_tags "$vg"; } 2>&1 | sed 's/^/# /'
    fi
}

skip() {
    count=$((count + 1))
    echo "ok $count - $kind$1 # SKIP $2"
}

snapshot() {
    xenwright snapshot "$@" >"$work/out" 2>"$work/err"
}

vm() {
    xenwright vm "$@" >"$work/out" 2>"$work/err"
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
    "$libexec/xw-test" pattern write "/dev/$vg/$lv" "--seed=$1" "--size=$size" >"$work/out" 2>&1
}

lv_has() {
    "$libexec/xw-test" pattern verify "/dev/$vg/$lv" "--seed=$1" "--size=$size" >"$work/out" 2>&1
}

data_of() {
    xenwright snapshot show "$guest" "$1" --json | sed -n 's/.*"data": "\(.*\)".*/\1/p'
}

snapshot_has() {
    data=$(data_of "$1")
    [ "$kind" = "thick: " ] || lvchange -qq -ay -K "$data"
    "$libexec/xw-test" pattern verify "$data" "--seed=$2" "--size=$size" >"$work/out" 2>&1
    has=$?
    [ "$kind" = "thick: " ] || lvchange -qq -an "$data"
    return $has
}

# How many LVs there are of the disk's name: the LV, its snapshots, and what should not be there.
lvs_are() {
    lvs --noheadings -o lv_name "$vg" | grep -cE "^ *$lv(\\.| |\$)" | grep -qx "$1"
}

start() {
    "$libexec/xenwright-guest" create "$guest" --type=pv "--disk=/dev/$vg/$lv,raw,xvda,w" \
        >"$work/out" 2>"$work/err"
}

stop() {
    xl destroy "$guest"
}

truncate -s 3G "$work/pv" && loop=$(losetup -f --show "$work/pv") &&
    vgcreate -qq "$vg" "$loop" && lvcreate -qq -L 512M -T "$vg/pool" &&
    lvcreate -qq -V 64M -T "$vg/pool" -n thin-a && lvcreate -qq -y -Wn -L 64M -n thick-a "$vg"
kind='' lv=
report $? "a volume group with a thin and a thick LV"

for kind in "thin: " "thick: "; do
    lv=${kind%: }-a
    "$libexec/xenwright-guest" create "$guest" --type=pv "--disk=/dev/mapper/xw--t-${kind%: }--a,raw,xvda,w" \
        "--config-only=$work/$lv.cfg" >"$work/out" 2>"$work/err" && put 1 && start && guest_has 1
    report $? "a guest on /dev/$vg/$lv"

    snapshot create "$guest" one &&
        says "snapshot 'one' of '$guest' is made: xvda (lvm-${kind%: }); the guest stood still for" &&
        write_seed 2 && snapshot_has one 1 && guest_has 2 && lvs_are 2
    report $? "a snapshot while the guest runs"
    [ "$(lvs --noheadings -o lv_permissions "$(data_of one)" | tr -d ' ')" = read-only ]
    report $? "it cannot be written to"
    snapshot create "$guest" two && write_seed 3 && snapshot_has one 1 && snapshot_has two 2 &&
        guest_has 3
    report $? "another one"
    refused revert "$guest" two && says "'$guest' runs: shut it down" && guest_has 3
    report $? "a revert is refused while the guest runs"

    if [ "$kind" = "thin: " ]; then
        snapshot revert "$guest" two --restart && guest_has 2 && snapshot_has two 2 &&
            snapshot_has before-revert-1 3 && lvs_are 4
        report $? "a revert with a restart"
    else
        refused revert "$guest" two --restart && says "shut the VM down first" && guest_has 3 && lvs_are 3
        report $? "a revert with a restart is refused before anything is done"
        stop && snapshot revert "$work/$lv.cfg" two && start && guest_has 2 && snapshot_has two 2 &&
            snapshot_has before-revert-1 3 && lvs_are 4
        report $? "a revert while the VM is off"
    fi
    write_seed 4 && snapshot create "$guest" branch && write_seed 5 && snapshot_has branch 4
    report $? "a branch"
    snapshot delete "$guest" two && guest_has 5 && snapshot_has one 1 && snapshot_has branch 4 &&
        snapshot_has before-revert-1 3 && lvs_are 4
    report $? "the snapshot that both came from is deleted while the guest runs"
    stop && snapshot revert "$work/$lv.cfg" one --discard-current && lv_has 1 && start && guest_has 1 &&
        snapshot_has one 1 && snapshot_has before-revert-1 3
    report $? "back to the first one while the VM is off, and xl create after it"
    if [ -n "$FULL" ]; then
        vm save "$guest" "$work/saved" && vm restore "$work/saved" && guest_has 1
        report $? "saved, and restored once its disk is found to be as it was"
        write_seed 6 && stop && ! vm restore "$work/saved" && says "has been written to since" &&
            vm restore --revert-disks --discard-current "$work/saved" && guest_has 1
        report $? "not over a disk that was written to; with that put back it is"
        snapshot delete "$guest" saved-1
    fi
    stop

    lvremove -qqf "$(data_of branch)" && snapshot show "$guest" branch && says " yes " &&
        refused revert "$work/$lv.cfg" branch && says "is gone" && snapshot delete "$guest" branch
    report $? "one that was removed by hand is missing, and can be deleted"
    snapshot delete "$guest" one && snapshot delete "$guest" before-revert-1 && lvs_are 1
    report $? "nothing is left of deleted ones"
done

# Killed at every point of an operation: what is recovered is the state before or the one after.
# killed NAME WANTED COMMAND...: WANTED is a function that says whether it is either.
killed() {
    what=$1 wanted=$2
    shift 2
    fresh
    rm -f "$work/points"
    XENWRIGHT_KILL_LIST=$work/points xenwright snapshot "$@" >"$work/out" 2>"$work/err"
    report $? "$what, to list its points"
    # Where LVM is only asked, nothing has changed since the point before.
    grep -vE 'lvm/(lvs|lvmconfig)' "$work/points" | sort | uniq -c | while read -r times point; do
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
    has_snapshot base || { put 1 && snapshot create "$work/$lv.cfg" base; }
    put 2
}

snapshots_are() {
    xenwright snapshot list "$guest" --json | grep -c '"id"' | grep -qx "$1" && lvs_are $(($1 + 1))
}

created_or_not() {
    lv_has 2 && snapshot_has base 1 && { snapshots_are 1 || { snapshots_are 2 && snapshot_has new 2; }; }
}

reverted_or_not() {
    snapshot_has base 1 && snapshots_are 1 && { lv_has 1 || lv_has 2; }
}

deleted_or_not() {
    lv_has 2 && { snapshots_are 0 || { snapshots_are 1 && snapshot_has base 1; }; }
}

for kind in "thin: " "thick: "; do
    if [ -z "$FULL" ]; then
        skip "killed at each point" "only in a full run: it takes minutes"
        continue
    fi
    lv=${kind%: }-a
    killed create created_or_not create "$work/$lv.cfg" new
    killed revert reverted_or_not revert "$work/$lv.cfg" base --discard-current
    killed delete deleted_or_not delete "$work/$lv.cfg" base
    fresh && snapshot delete "$guest" base
done
kind=''

# What no store keeps.
lv=none
printf 'name = "%s"\nmemory = 64\nkernel = "/x"\ndisk = [ "%s,raw,xvda,w" ]\n' other "$loop" >"$work/other.cfg"
refused create "$work/other.cfg" && says "$loop"
report $? "a block device that is no LV is refused"
lvcreate -qq -s -L 8M -n cow "$vg/thick-a" &&
    sed "s,$loop,/dev/$vg/cow," "$work/other.cfg" >"$work/cow.cfg" &&
    refused create "$work/cow.cfg" && says "is a snapshot itself"
report $? "a thick snapshot as a disk is refused"
lvremove -qqf "$vg/cow"
lvcreate -qq -y -l 100%FREE -n filler -Wn "$vg" && refused create "$work/thick-a.cfg" &&
    says "MiB free"
report $? "a thick snapshot without space for it is refused, with figures"
lvremove -qqf "$vg/filler"
name=$(printf '%090d' 0)
lvcreate -qq -y -Wn -L 4M -n "$name" "$vg" &&
    sed "s,$loop,/dev/$vg/$name," "$work/other.cfg" >"$work/long.cfg" &&
    refused create "$work/long.cfg" && says "too long"
report $? "an LV whose name leaves no room is refused"
lvremove -qqf "$vg/$name"

# A pool that is full.
lv=thin-a
put 1 && start && lvcreate -qq -V 600M -T "$vg/pool" -n filler
dd if=/dev/zero "of=/dev/$vg/filler" bs=1M count=430 oflag=direct conv=fsync >"$work/out" 2>&1
snapshot create "$guest" before
report $? "a pool that is nearly full"
dd if=/dev/zero "of=/dev/$vg/filler" bs=1M count=495 oflag=direct conv=fsync >"$work/out" 2>&1
refused create "$guest" full && says "too full for another snapshot" && lvs_are 2
report $? "a snapshot is refused, with figures"
write_seed 1 && guest_has 1
report $? "and the guest goes on"
lvremove -qqf "$vg/filler"
snapshot create "$guest" after
report $? "with space again it is made"
stop

echo "1..$count"
