# shellcheck shell=bash disable=SC2154,SC2016,SC2034 # log and rounds are those of bench/run; dom0 expands
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the areas of snapshots share: a lab with all kinds of storage, guests, and the program that measures in dom0.

lab=bench
trap 'xenwright lab down "$lab" >/dev/null 2>&1 || true' EXIT

bench_in() { xenwright lab exec "$lab" -- "$@"; }

# What measures in dom0 runs all the time.
start_measuring() {
    xenwright lab cp "$here/lib/snapshot-dom0.py" "$lab:/root/"
    coproc MEASURE { bench_in python3 -u /root/snapshot-dom0.py; }
    exec {to}>&"${MEASURE[1]}" {from}<&"${MEASURE[0]}"
}

# dom0 MEASURE ARGUMENT…: one round; its numbers.
dom0() {
    local answer
    printf '%q ' "$@" >&"$to"
    echo >&"$to"
    read -r answer <&"$from" || return
    case $answer in
    'ok '*) echo "${answer#ok }" ;;
    *) echo "$answer" >&2 && return 1 ;;
    esac
}

# guest NAME DISK…: a PVH guest, its disks as xl takes them.
guest() {
    local name=$1 disks=() disk
    shift
    for disk; do disks+=("--disk=$disk"); done
    bench_in /usr/libexec/xenwright/xenwright-guest create "$name" --type=pvh "${disks[@]}"
}

# qcow2_guest NAME COUNT: so many qcow2 disks of 64 MiB.
qcow2_guest() {
    local disks=() i letters=abcdefgh
    for ((i = 0; i < $2; i++)); do
        bench_in qemu-img create -q -f qcow2 "/srv/$1.$i" 64M
        disks+=("format=qcow2,vdev=xvd${letters:i:1},target=/srv/$1.$i")
    done
    guest "$1" "${disks[@]}"
}

# end NAME…: of guests.
end() {
    local name
    for name; do bench_in xl destroy "$name"; done
}

# off_config NAME DISK: the configuration of a VM that stays off, in /root/NAME.cfg.
off_config() {
    bench_in /usr/libexec/xenwright/xenwright-guest create "$1" --type=pvh "--disk=$2" "--config-only=/root/$1.cfg"
}


held="held, as it tells"
gap="longest gap of a writer in the guest"

storage() {
    bench_in sh -exc '
        mkdir -p /srv/xfs
        truncate -s 2G /root/pv /root/xfs
        mkfs.xfs -q /root/xfs
        mount -o loop /root/xfs /srv/xfs
        vgcreate -qq bench "$(losetup -f --show /root/pv)"
        lvcreate -qq -L 1G -T bench/pool
        for lv in a b; do lvcreate -qq -V 64M -T bench/pool -n $lv; done
        truncate -s 64M /srv/xfs/a /srv/xfs/b
        find /usr/libexec /usr/bin -name "*qemu-system-[ix]*" -exec {} --version ";"'
}

prepare() {
    {
        xenwright lab up "$lab" --with btrfs --with libvirt --with lvm
        storage
        start_measuring
    } >>"$log" 2>&1
}
