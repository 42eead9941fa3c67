#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Crashes a real Xen in every way there is while a command is waiting in the lab: that command returns
# long before its own end, with status 125, and the report names what was done to Xen. How soon,
# './run bench lab' measures.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/host/lib.sh
. "$here/lib.sh"

BOUND_MS=20000 # the commands take 60 s, and a machine may be busy

now_ms() {
    date +%s%3N
}

fresh() {
    lab down c >/dev/null 2>&1
    lab up c --bare
}

# crash SCRIPT: runs it in the lab, where it prints a line each time it is about to crash Xen. Leaves
# the status of the command in $WORK/status, and how long it took from the last line on in
# $WORK/took.
crash() {
    {
        local status=0
        xenwright lab exec c -- sh -c "$1
            sleep 60" 2>"$ERR" || status=$?
        echo "$status" >"$WORK/status"
        now_ms >"$WORK/end"
    } | while read -r _; do
        now_ms >"$WORK/last"
    done
    echo $(($(cat "$WORK/end") - $(cat "$WORK/last"))) >"$WORK/took"
}

# The command that waited heard of the crash, and in time.
told() {
    cat "$ERR"
    same 125 "$(cat "$WORK/status")"
    [ "$(cat "$WORK/took")" -le "$BOUND_MS" ] || {
        echo "it took $(cat "$WORK/took") ms"
        return 1
    }
}

# reported KIND SYMBOL TEXT…: of the last crash. SYMBOL is in the backtrace ('' for none).
reported() {
    local kind=$1 symbol=$2
    shift 2
    exits 0 lab log c --crash
    says "$@"
    python3 - "$LABS/c/crash.json" "$kind" "$symbol" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
assert report['kind'] == sys.argv[2], report['kind']
frames = [frame['symbol'] or '' for frame in report['backtrace']]
assert not sys.argv[3] or any(frame.startswith(sys.argv[3] + '+') for frame in frames), frames
END
}

# apply NAME: a payload of livepatch/, loaded into the running Xen. Xen gives its processors 30 ms
# to come together for that; with little time from the host it takes some attempts.
apply() {
    local build_id
    build_id=$(lab exec c -- xl info build_id)
    "$here/livepatch/build" "$here/livepatch/$1.c" "$build_id" "$WORK/$1.livepatch"
    lab cp "$WORK/$1.livepatch" c:/root/
    crash "for attempt in \$(seq 100); do
               echo; xen-livepatch load /root/$1.livepatch >&2 && break
           done"
    told
}

# Debian's Xen has the key only where memory was set aside for a crash kernel (crashkernel=).
key_without_kernel() {
    exits 0 lab exec c -- xl debug-keys C
    exits 0 lab exec c -- xl info
    same running "$(status_of c)"
}

bug() {
    apply crash-bug
    reported bug xenwright_crash_bug "Xen BUG at crash-bug.c:77" "Panic on CPU"
}

known_as_crashed() {
    local start
    same crashed "$(status_of c)"
    start=$(now_ms)
    exits 125 lab exec c -- true
    one_complaint
    says "lab 'c'" "lab log c --crash" "lab down c"
    [ $(($(now_ms) - start)) -le "$BOUND_MS" ]
}

fault() {
    fresh
    apply crash-fault
    reported page-fault xenwright_crash_fault "FATAL PAGE FAULT" \
        "Faulting linear address: 0000000000000010"
}

# An old report that dom0 shows is not a new one, on the terminal that Xen's console is.
old_report() {
    lab log c --crash >"$WORK/old"
    fresh
    lab cp "$WORK/old" c:/root/
    exits 0 lab exec c -- sh -c 'cat /root/old >/dev/hvc0; sleep 1; echo alive'
    same alive "$(cat "$OUT")"
    wait_line "Panic on CPU" "$LABS/c/console.log"
    same running "$(status_of c)"
}

spin() {
    fresh
    apply crash-spin
    reported "$1" xenwright_crash_spin "Panic on CPU 0"
}

# Processor 0 alone takes NMIs of unknown origin as fatal, so it is the one that must send it.
nmi() {
    fresh
    crash "xl vcpu-pin 0 all 0; echo; xl debug-keys N"
    told
    reported nmi '' "FATAL TRAP: vec 2, NMI" "Xen call trace"
}

dom0() {
    fresh
    crash "echo; echo c >/proc/sysrq-trigger"
    told
    reported dom0 '' "Kernel panic - not syncing: sysrq triggered crash" "Hardware Dom0 crashed"
}

# Of a lab that has crashed, what it said is forgotten with it.
again() {
    exits 0 lab down c
    same down "$(status_of c)"
    exits 0 lab "$@"
    same running "$(status_of c)"
    exits 0 lab exec c -- true
    exits 1 lab log c --crash
    says "no crash of Xen is known"
    exits 0 lab log c
    refuse grep -q "Kernel panic" "$OUT"
}

after_crash() {
    fresh
    exits 0 lab save c kept
    crash "echo; echo c >/proc/sysrq-trigger"
    same crashed "$(status_of c)"
    again up c --bare
    crash "echo; echo c >/proc/sysrq-trigger"
    same crashed "$(status_of c)"
    again restore c kept
}

# comes_up_not [OPTION…]: Xen finds no kernel for dom0 and panics; the lab is gone, its console is not.
comes_up_not() {
    local kept=$LABS/.failed-k
    exits 1 lab up k --bare --kernel "$WORK/nonsense" "$@"
    one_complaint
    says "lab 'k': Xen crashed while it came up: Could not construct domain 0" "kept in $kept"
    grep -q "Panic on CPU 0" "$kept/console.log"
    grep -q '"reason": "Could not construct domain 0"' "$kept/crash.json"
    same "" "$(status_of k)"
    same "" "$(find "$XENWRIGHT_CACHE/states/" "$LABS" -name '.new-*' -o -name '.state-*')"
}

no_boot() {
    own_cache boot images states
    yes "no kernel" | head -c 100000 >"$WORK/nonsense" # the same each time, since Xen reads on
    comes_up_not
    exits 0 lab prune
    says "labs/.failed-k"
    refuse test -e "$LABS/.failed-k"
    comes_up_not --fresh
}

# QEMU gets a kernel that is none, once.
second_try() {
    own_cache again images states
    rm -r "$XENWRIGHT_CACHE"/states/*
    cat >"$WORK/qemu" <<END
#!/bin/bash
arguments=("\$@")
for i in "\${!arguments[@]}"; do
    [ "\${arguments[i]}" != -initrd ] || ! mkdir "$WORK/first" 2>/dev/null ||
        arguments[i+1]=$WORK/nonsense,$WORK/nonsense
done
exec qemu-system-x86_64 "\${arguments[@]}"
END
    chmod +x "$WORK/qemu"
    exits 0 lab up k --bare --qemu "$WORK/qemu"
    says "Xen crashed while it came up: Could not construct domain 0" "it is booted once more" "booted in"
    exits 0 lab exec k -- true
    exits 0 lab down k
}

ok "a Xen that crashes while it boots: the report is kept" no_boot
[ -z "$FULL" ] || ok "Debian's own Xen is booted a second time" second_try
up c --bare
ok "debug key C without a crash kernel harms nothing" key_without_kernel
ok "BUG() in Xen" bug
ok "a crashed lab is known as such, and the next command is told at once" known_as_crashed
ok "a page fault in Xen" fault
ok "an old report that dom0 shows on its terminal is no crash" old_report
ok "Xen spins with interrupts off" spin nmi
ok "an NMI, by debug key N" nmi
ok "dom0's kernel panics" dom0
ok "up and restore of a lab that has crashed and was taken down, with a saved state" after_crash

finish
