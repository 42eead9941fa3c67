# shellcheck shell=bash disable=SC2154,SC2016 # log, rounds and the functions are those of bench/run; dom0 expands
# SPDX-License-Identifier: LGPL-2.1-or-later
# Snapshots with memory beside 'xl save -c': for how long a PVH guest stands still that dirties 1 MiB of its memory
# a second. Part of bench/run.

# shellcheck source=bench/lib/snapshot.sh
. "$here/lib/snapshot.sh"

# busy_guest NAME MIB
busy_guest() {
    bench_in sh -exc 'qemu-img create -q -f qcow2 "/srv/$1" 64M
        /usr/libexec/xenwright/xenwright-guest create "$1" --type=pvh "--memory=$2" \
            "--disk=format=qcow2,vdev=xvda,target=/srv/$1"
        /usr/libexec/xenwright/xenwright-guest exec "$1" -- sh -c "
            while :; do dd if=/dev/zero of=/tmp/dirt bs=64k count=16 conv=notrunc 2>/dev/null; sleep 1; done \
                >/dev/null 2>&1 </dev/null &"' sh "$@"
}

prepare
for size in 512 1024; do
    for name in ours xl; do busy_guest $name $size >>"$log" 2>&1; done
    told "memory of $size MiB" "dom0 ours ours xvda --memory" "xl save -c" "dom0 xl-save xl xvda /srv/saved" \
        "held, as it tells" "longest gap of a writer in the guest"
    { end ours xl && bench_in rm -f /srv/ours /srv/xl; } >>"$log"
done
xenwright lab down "$lab" >>"$log" 2>&1
