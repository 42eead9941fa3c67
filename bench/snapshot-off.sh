# shellcheck shell=bash disable=SC2154,SC2016 # log, rounds and the functions are those of bench/run; dom0 expands
# SPDX-License-Identifier: LGPL-2.1-or-later
# Snapshots of a VM that is off: the way back beside what the storage's own tools do for the same end (the snapshot
# stays, what was written since is gone, and the result is on the disk), and the list. Part of bench/run.

# shellcheck source=bench/lib/snapshot.sh
. "$here/lib/snapshot.sh"

# back NAME WRITE…: ours; the disk is written to before, which is not measured.
back() {
    local name=$1
    shift
    bench_in "$@" && dom0 command xenwright snapshot revert "/root/$name.cfg" base --discard-current
}

# native COMMAND WRITE…: the same for what the storage's own tools do.
native() {
    local command=$1
    shift
    bench_in "$@" && dom0 command sh -ec "$command"
}

ours_qcow2() { back off qemu-io -c "write -q -P 2 0 4M" /srv/off; }
native_qcow2() { native "qemu-img snapshot -a base /srv/native" qemu-io -c "write -q -P 2 0 4M" /srv/native; }
ours_lv() { back lv dd status=none if=/dev/zero of=/dev/bench/c bs=1M count=4 oflag=direct; }
native_lv() {
    native "lvrename -qq bench/d bench/old; lvcreate -qq -s -kn -n d bench/d.base; lvremove -qqf bench/old" \
        dd status=none if=/dev/zero of=/dev/bench/d bs=1M count=4 oflag=direct
}
ours_file() { back file dd status=none if=/dev/zero of=/srv/xfs/c bs=1M count=4 conv=notrunc,fsync; }
native_file() {
    native "cp --reflink=always /srv/xfs/d.base /srv/xfs/d.new; sync /srv/xfs/d.new; mv /srv/xfs/d.new /srv/xfs/d" \
        dd status=none if=/dev/zero of=/srv/xfs/d bs=1M count=4 conv=notrunc,fsync
}

reverts() {
    {
        bench_in sh -exc 'lvcreate -qq -V 64M -T bench/pool -n c
            lvcreate -qq -V 64M -T bench/pool -n d
            for image in /srv/xfs/c /srv/xfs/d; do head -c 64M /dev/urandom >$image; done
            for image in /srv/off /srv/native; do
                qemu-img create -q -f qcow2 $image 64M
                qemu-io -c "write -q -P 1 0 32M" $image
            done'
        off_config off format=qcow2,vdev=xvda,target=/srv/off
        off_config lv /dev/bench/c,raw,xvda,w
        off_config file /srv/xfs/c,raw,xvda,w
        bench_in sh -exc 'for name in off lv file; do xenwright snapshot create /root/$name.cfg base; done
            qemu-img snapshot -c base /srv/native
            lvcreate -qq -s -n d.base bench/d
            cp --reflink=always /srv/xfs/d /srv/xfs/d.base'
    } >>"$log" 2>&1
    told "back to a snapshot, qcow2, VM off" ours_qcow2 "qemu-img snapshot -a" native_qcow2 "the command"
    told "back to a snapshot, thin LV, VM off" ours_lv "lvrename, lvcreate -s, lvremove" native_lv "the command"
    told "back to a snapshot, raw on XFS, VM off" ours_file "cp --reflink, sync, mv" native_file "the command"
}

list_thousand() { dom0 command env XENWRIGHT_STATE=/root/thousand xenwright snapshot list many; }
list_none() { dom0 command env XENWRIGHT_STATE=/root/none xenwright snapshot list; }

lists() {
    {
        off_config many format=qcow2,vdev=xvda,target=/srv/many
        bench_in sh -exc 'qemu-img create -q -f qcow2 /srv/many 64M
            XENWRIGHT_STATE=/root/thousand xenwright snapshot create /root/many.cfg first'
        dom0 make-thousand /root/thousand
    } >>"$log" 2>&1
    told "list of 1,000 snapshots" list_thousand "list of none" list_none "the command"
}

prepare
reverts
lists
xenwright lab down "$lab" >>"$log" 2>&1
