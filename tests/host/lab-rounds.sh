#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Rounds of up, guest, down, without a failure; and many labs at once, of which nothing stays.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ROUNDS=${FULL:+20}
ROUNDS=${ROUNDS:-3}

round() {
    exits 0 lab up r
    exits 0 lab guest r guest --type pv
    exits 0 lab guest-exec r guest -- uname -s
    same Linux "$(cat "$OUT")"
    exits 0 lab down r
    refuse test -e "$LABS/r"
    # A switch of an earlier script may still wait for others to come.
    no_processes qemu
}
for number in $(seq "$ROUNDS"); do
    ok "round $number of $ROUNDS: up, a pv guest, down" round
    lab down r >/dev/null 2>&1 # of a round that failed
done

# All there is in this test's own cache; images and states are links to those that all share. The
# folder of the networks comes with the first of them.
everything() {
    find "$XENWRIGHT_CACHE" -not -path "$LABS/.nets" | sort
}

five() {
    local name
    everything >"$WORK/before"
    grep -qx "$LABS" "$WORK/before"
    for name in one two three four five; do
        exits 0 lab up "$name" --bare --link five
    done
    same 5 "$(lab list --json | grep -c '"status": "running"')"
    same 5 "$(processes_in "$LABS" | grep -c qemu)"
    exits 0 lab down --all
    same 5 "$(grep -c 'is down' "$OUT")"
    same "[]" "$(lab list --json | tr -d ' \n')"
    # The switch waits half a minute for others to come.
    for name in $(processes_in "$LABS" | cut -d' ' -f1); do
        wait_end "$name" 60
    done
    no_processes
    everything >"$WORK/after"
    diff "$WORK/before" "$WORK/after"
}
ok "five labs up, and after down --all no process and no file of them" five

finish
