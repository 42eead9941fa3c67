# shellcheck shell=bash disable=SC2154 # log, rounds and the functions are those of bench/run
# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab: cold boot, restore, exec, copies, guests. Part of bench/run.

lab=bench
trap 'xenwright lab down "$lab" >/dev/null 2>&1 || true' EXIT

bench_in() { xenwright lab exec "$lab" -- "$@"; }
bench_down() { xenwright lab down "$lab" || true; }

cold_boot() { xenwright lab up "$lab" --fresh && bench_in true; }
before_cold_boot() { bench_down; }

restore() { xenwright lab up "$lab" && bench_in true; }
before_restore() { bench_down; }

bench_exec() { bench_in true; }
bench_ssh() { ssh -F "$scratch/ssh" "$lab" true; }

copy_in() { xenwright lab cp "$scratch/data" "$lab:/root/data"; }
copy_out() { xenwright lab cp "$lab:/root/data" "$scratch/back"; }

save_lab() { xenwright lab save "$lab" point; }
after_save_lab() { xenwright lab restore "$lab" point && xenwright lab forget "$lab" point; }

guest() { xenwright lab guest "$lab" "g$1" --type "$1"; }
after_guest() { bench_in xl destroy "g$1"; }

# From the moment at which Xen is about to die to the end of the command that waits in the lab.
payload() {
    "$XENWRIGHT_SOURCE/tests/host/livepatch/build" "$XENWRIGHT_SOURCE/tests/host/livepatch/$1.c" \
        "$(bench_in xl info build_id)" "$scratch/$1"
    xenwright lab cp "$scratch/$1" "$lab:/root/"
}
before_crash() {
    bench_down && xenwright lab up "$lab" --bare
    [ "$1" = sysrq ] || payload "$1"
}
crash() {
    local status=0
    if [ "$1" = sysrq ]; then
        bench_in sh -c 'echo c >/proc/sysrq-trigger; sleep 60' || status=$?
    else
        bench_in sh -c "xen-livepatch load /root/$1; sleep 60" || status=$?
    fi
    [ "$status" -eq 125 ]
}

scratch=$(mktemp -d)
head -c $((64 * 1024 * 1024)) /dev/urandom >"$scratch/data"
xenwright lab up "$lab" >>"$log"

measure -n 2 "cold boot to the first exec" cold_boot
measure "restore to the first exec" restore
xenwright lab ssh-config "$lab" >"$scratch/ssh"
versus "exec of 'true'" bench_exec "ssh, a connection for each" bench_ssh
measure "64 MiB into the lab" copy_in
measure "64 MiB out of the lab" copy_out
measure -n 3 "save of the running lab" save_lab
for type in pv pvh hvm; do
    measure -n 3 "guest $type, create to console" guest "$type"
done
for way in crash-bug crash-fault crash-spin sysrq; do
    measure -n 3 "Xen dies ($way): a waiting exec is told" crash "$way"
done
rm -rf "$scratch"
bench_down >>"$log" 2>&1
