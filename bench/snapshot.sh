# shellcheck shell=bash disable=SC2154 # log, rounds and the functions are those of bench/run
# SPDX-License-Identifier: LGPL-2.1-or-later
# Snapshots: how long a guest stands still, beside the bare operation on a guest of the same kind. Part of
# bench/run. Each round is one snapshot of ours and one of the peer, in turn.

lab=bench
trap 'xenwright lab down "$lab" >/dev/null 2>&1 || true' EXIT

bench_in() { xenwright lab exec "$lab" -- "$@"; }

# guest NAME DISKS: a PVH guest with so many qcow2 disks of 64 MiB.
guest() {
    local name=$1 disks=() i letters=abcdefgh
    for ((i = 0; i < $2; i++)); do
        bench_in qemu-img create -q -f qcow2 "/srv/$name.$i" 64M
        disks+=(--disk "format=qcow2,vdev=xvd${letters:i:1},target=/srv/$name.$i")
    done
    xenwright lab guest "$lab" "$name" --type pvh "${disks[@]}"
}

# What the program itself tells, in milliseconds.
ours() {
    local said
    said=$(bench_in xenwright snapshot create "$1") || return
    [[ $said =~ stood\ still\ for\ ([0-9.]+)\ ms ]] && echo "${BASH_REMATCH[1]}"
}

# The transaction alone, between pause and unpause, by a QMP client that does nothing else.
bare() {
    bench_in perl /root/qmp-snapshot.pl "$1"
}

# series NAME OURS PEER-NAME PEER: numbers that the commands print, in turn; the medians and their ratio.
series() {
    local a=() b=() value
    for ((i = 0; i < rounds; i++)); do
        value=$($2 2>>"$log") || die "'$1' failed; what it said is in $log"
        a+=("$value")
        value=$($4 2>>"$log") || die "'$3' failed; what it said is in $log"
        b+=("$value")
    done
    row "$1" ms "${a[@]}"
    row "  beside it: $3" ms "${b[@]}"
    awk -v a="$(printf '%s\n' "${a[@]}" | median)" -v b="$(printf '%s\n' "${b[@]}" | median)" \
        'BEGIN { printf "  ratio %.2f\n", b ? a / b : 0 }'
}

xenwright lab up "$lab" >>"$log"
bench_in mkdir -p /srv
bench_in find /usr/libexec -name xen-qemu-system-i386 -exec '{}' --version ';' >>"$log"
xenwright lab cp "$here/qmp-snapshot.pl" "$lab:/root/" >>"$log"
for name in one two; do guest "$name" 1 >>"$log" 2>&1; done
series "standstill, one qcow2 disk" "ours one" "the bare QMP transaction" "bare two"
for name in one two; do bench_in xl destroy "$name" >>"$log"; done
{ guest eight 8 && guest single 1; } >>"$log" 2>&1
series "standstill, eight qcow2 disks" "ours eight" "one qcow2 disk" "ours single"
xenwright lab down "$lab" >>"$log" 2>&1
