# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A PV and a PVH guest on real Xen: disks, a network, and the end. Part of demo/run.

guests_host() {
    in_dom0 xl info | grep -E '^(xen_version|xen_caps|release|total_memory)'
}

guests_disks() {
    in_dom0 truncate -s 64M /root/alpha.img /root/beta.img
}

guests_create() {
    local name=$1 type=$2 address=$3
    xenwright lab guest "$LAB" "$name" --type "$type" --disk "format=raw,vdev=xvda,target=/root/$name.img" \
        --vif bridge=xenbr0 --ip "$address/24"
    in_dom0 xl list "$name"
}

# Written from inside, and read back with every block's number and checksum.
guests_write() {
    local name
    for name in alpha beta; do
        in_guest "$name" xw-test pattern write /dev/xvda --size 8M --seed 7
        in_guest "$name" xw-test pattern verify /dev/xvda --size 8M --seed 7
    done
}

# beta says when it listens; then alpha sends; both look at every block.
guests_network() {
    local line out pid
    # Not a coproc: its descriptors go with it, whether all was read or not.
    exec {out}< <(in_guest beta xw-test receive 7000 --size 1M 2>&1 </dev/null)
    pid=$!
    read -r line <&"$out"
    echo "$line"
    in_guest alpha xw-test send 10.88.0.12 7000 --size 1M
    cat <&"$out"
    exec {out}<&-
    wait "$pid"
}

guests_shutdown() {
    in_dom0 xl shutdown -a -w
    in_dom0 xl list
}

step "Xen and dom0 are real" guests_host
step "two disks are made" guests_disks
step "a PV guest is created" guests_create alpha pv 10.88.0.11
step "a PVH guest is created" guests_create beta pvh 10.88.0.12
step "both write 8 MiB to their disks and read them back" guests_write
step "a megabyte goes from one to the other" guests_network
step "both go down" guests_shutdown
