#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A lab for those who work on Xen: arguments for it, processors, a debugger. Each way of booting is a
# boot of a minute or two, so this is for a full run.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ -z "$FULL" ]; then
    skip "Xen booted with arguments, processors and a debugger" "only in a full run: it boots"
    finish
fi

own_cache xen states
rm "$XENWRIGHT_CACHE/states"/* -rf

up x --bare --fresh --cpus 1 --xen-args 'sched=credit loglvl=all' --dom0-args 'quiet xenwright=1' --gdb

arguments() {
    exits 0 lab exec x -- xl info
    grep -qE '^xen_scheduler +: credit$' "$OUT"
    grep -qE '^nr_cpus +: 1$' "$OUT"
    exits 0 lab exec x -- cat /proc/cmdline
    says "quiet xenwright=1"
}
ok "--xen-args, --dom0-args and --cpus arrive" arguments

# What gdb says first (GDB manual, "General Query Packets").
debugger() {
    python3 - "$LABS/x/gdb" <<'END'
import os, socket, sys
os.chdir(os.path.dirname(sys.argv[1]))
gdb = socket.socket(socket.AF_UNIX)
gdb.settimeout(20)
gdb.connect('gdb')
packet = b'qSupported'
gdb.sendall(b'$%s#%02x' % (packet, sum(packet) % 256))
answer = b''
while b'#' not in answer:
    answer += gdb.recv(4096)
assert b'PacketSize=' in answer, answer
gdb.sendall(b'+$D#44')
END
    exits 0 lab exec x -- true
}
ok "--gdb: a debugger is answered, and the lab goes on" debugger

no_state() {
    same "" "$(ls "$XENWRIGHT_CACHE/states")"
    exits 0 lab down x
}
ok "--fresh: boots, and keeps no state" no_state

# Booted once with these arguments, restored from then on.
kept() {
    exits 0 lab up x --bare --xen-args sched=credit
    says "booted in"
    exits 0 lab down x
    exits 0 lab up x --bare --xen-args sched=credit
    says "restored in"
    exits 0 lab exec x -- xl info
    grep -qE '^xen_scheduler +: credit$' "$OUT"
    exits 0 lab down x
}
ok "other arguments: a state of their own, kept" kept

# A Xen of one's own is known by its content, not by its name.
own_xen() {
    local image
    image=$(find -L "$XENWRIGHT_CACHE/images" -path '*/trixie-*/xen' | head -n 1)
    cp "$image" "$WORK/my-xen"
    exits 0 lab up x --bare --xen "$WORK/my-xen" --dry-run
    cp "$OUT" "$WORK/first"
    mkdir "$WORK/elsewhere"
    cp "$image" "$WORK/elsewhere/xen"
    exits 0 lab up x --bare --xen "$WORK/elsewhere/xen" --dry-run
    diff "$WORK/first" "$OUT"
    echo >>"$WORK/elsewhere/xen"
    exits 0 lab up x --bare --xen "$WORK/elsewhere/xen" --dry-run
    refuse cmp -s "$WORK/first" "$OUT"
}
ok "--xen: another file is another state, the same file elsewhere is not" own_xen

# Virtual time follows the instructions: dom0's clock advances as they do, and all else works.
icount() {
    exits 0 lab up x --bare --icount
    says "booted in"
    exits 0 lab exec x -- xl list
    says Domain-0
    grep -q -- '-icount' <(tr '\0' '\n' <"/proc/$(pid_of x)/cmdline")
    exits 0 lab down x
    exits 0 lab up x --bare --icount
    says "restored in"
    exits 0 lab exec x -- true
    exits 0 lab down x
}
ok "--icount: boots, and has a state of its own" icount

finish
