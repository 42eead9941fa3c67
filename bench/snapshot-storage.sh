# shellcheck shell=bash disable=SC2154 # log, rounds and the functions are those of bench/run
# SPDX-License-Identifier: LGPL-2.1-or-later
# Snapshots of disks without QEMU (blkback) beside the bare operation of the storage: for how long a guest stands
# still. Part of bench/run.

# shellcheck source=bench/lib/snapshot.sh
. "$here/lib/snapshot.sh"

prepare
for lv in a b; do guest "lv-$lv" "/dev/bench/$lv,raw,xvda,w" >>"$log" 2>&1; done
told "a thin LV" "dom0 ours lv-a xvda" "lvcreate -s" "dom0 bare-lvm lv-b xvda bench/b" "$held" "$gap"
told "a thin LV, --quiesce=none" "dom0 ours lv-a xvda --quiesce=none" "lvcreate -s" "dom0 bare-lvm lv-b xvda bench/b" \
    "$held" "$gap"
end lv-a lv-b >>"$log"
for file in a b; do guest "xfs-$file" "/srv/xfs/$file,raw,xvda,w" >>"$log" 2>&1; done
told "a raw file on XFS" "dom0 ours xfs-a xvda" "FICLONE" "dom0 bare-clone xfs-b xvda /srv/xfs/b" "$held" "$gap"
end xfs-a xfs-b >>"$log"
xenwright lab down "$lab" >>"$log" 2>&1
