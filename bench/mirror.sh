# shellcheck shell=bash disable=SC2154,SC2016 # log, rounds and the functions are those of bench/run
# SPDX-License-Identifier: LGPL-2.1-or-later
# A mirror of a guest's disk of 256 MiB, full of data, to a file of the same host: the time until it is in step,
# beside a bare blockdev-mirror. Part of bench/run.

# shellcheck source=bench/lib/snapshot.sh
. "$here/lib/snapshot.sh"

full_guest() {
    bench_in sh -exc 'qemu-img create -q -f qcow2 "/srv/$1" 256M
        qemu-io -f qcow2 -c "write -q -P 7 0 256M" "/srv/$1"' sh "$1"
    guest "$1" "format=qcow2,vdev=xvda,target=/srv/$1"
}

prepare
for name in ours bare; do full_guest $name >>"$log" 2>&1; done
told "mirror of 256 MiB, until it is in step" "dom0 ours-mirror ours xvda /srv/ours.copy" "blockdev-mirror" \
    "dom0 bare-mirror bare xvda /srv/bare.copy" "the whole"
xenwright lab down "$lab" >>"$log" 2>&1
