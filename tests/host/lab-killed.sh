#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kill -9 of xenwright and of QEMU, at every step: what the next command finds, says and does.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# points_of OPERATION COMMAND…: the points of its journal that the command passes, one a line.
points_of() {
    local operation=$1
    shift
    rm -f "$WORK/points"
    XENWRIGHT_KILL_LIST=$WORK/points "$@" >/dev/null 2>"$ERR" || {
        echo "cannot be listed: $*" >&2
        cat "$ERR" >&2
        return 1
    }
    grep "^$operation/" "$WORK/points" | sort -u
}

dies_at() {
    local point=$1 status=0
    shift
    XENWRIGHT_KILL_AT=$point "$@" >/dev/null 2>&1 || status=$?
    same 137 "$status"
}

# next_says TEXT: the next command warns so, once; TEXT "" for not at all.
next_says() {
    exits 0 lab list
    if [ -n "$1" ]; then
        says "$1"
        same 1 "$(grep -c '' "$ERR")"
        exits 0 lab list
    fi
    quiet
}

works() {
    same running "$(status_of "$1")"
    exits 0 lab exec "$1" -- xl list
    says Domain-0
}

# Each test_… is called with the name of a point, and leaves all as it found it: of lab 'k', nothing
# (up), or a lab that runs (the others), with the saved state 'kept'.

test_up() {
    dies_at "$1" xenwright lab up k --bare
    case $1 in
    up/before-begin)
        next_says ""
        same "" "$(status_of k)"
        ;;
    up/done)
        next_says ""
        works k
        exits 0 lab down k
        ;;
    *)
        next_says "'k' was being brought up when xenwright was killed"
        same "" "$(status_of k)"
        ;;
    esac
    no_processes
    refuse test -e "$LABS/k"
}

test_down() {
    dies_at "$1" xenwright lab down k
    case $1 in
    down/before-begin)
        next_says ""
        works k
        ;;
    down/done) next_says "" ;;
    *) next_says "'k' was being taken down when xenwright was killed" ;;
    esac
    if [ "$1" != down/before-begin ]; then
        same "" "$(status_of k)"
        no_processes
        exits 0 lab up k --bare
    fi
}

tags_of() {
    lab states "$1" --json | python3 -c 'import json, sys
print(*sorted(row["tag"] for row in json.load(sys.stdin)))'
}

test_save() {
    dies_at "$1" xenwright lab save k new
    case $1 in
    save/before-begin)
        next_says ""
        same kept "$(tags_of k)"
        ;;
    save/before-done)
        next_says "'k' was being saved when xenwright was killed: the saved state 'new' is whole"
        same "kept new" "$(tags_of k)"
        ;;
    save/done)
        next_says ""
        same "kept new" "$(tags_of k)"
        ;;
    *)
        next_says "'k' was being saved when xenwright was killed: it goes on, without the saved state"
        same kept "$(tags_of k)"
        ;;
    esac
    works k
    [ "$(tags_of k)" = kept ] || exits 0 lab forget k new
}

test_restore() {
    dies_at "$1" xenwright lab restore k kept
    case $1 in
    restore/before-begin | restore/done)
        next_says ""
        works k
        ;;
    *)
        next_says "'k' was being restored when xenwright was killed: it is down"
        same down "$(status_of k)"
        no_processes
        same kept "$(tags_of k)"
        exits 0 lab restore k kept
        works k
        ;;
    esac
    same marked "$(lab exec k -- cat /root/mark)"
}

test_forget() {
    exits 0 lab save k old
    dies_at "$1" xenwright lab forget k old
    case $1 in
    forget/before-begin)
        next_says ""
        same "kept old" "$(tags_of k)"
        exits 0 lab forget k old
        ;;
    forget/done) next_says "" ;;
    *) next_says "'k': the saved state 'old' was being forgotten when xenwright was killed: it is gone" ;;
    esac
    same kept "$(tags_of k)"
    works k
}

# each OPERATION COMMAND…: a point of the test for each point of the journal.
each() {
    local operation=$1 points point
    shift
    points=$(points_of "$operation" "$@" 2>&1) && [ -n "$points" ] || give_up "$points"
    for point in "$operation"/before-begin "$operation"/done; do
        grep -qx "$point" <<<"$points" || give_up "'$*' does not pass $point, but: $points"
    done
    for point in $points; do
        ok "killed at $point" "test_$operation" "$point"
    done
}

# Each lists its points while it goes round once: what is made by 'up' is ended by 'down', and so on.
cycle_up() {
    lab up k --bare && XENWRIGHT_KILL_LIST='' lab down k
}
cycle_down() {
    lab down k && XENWRIGHT_KILL_LIST='' lab up k --bare
}
cycle_save() {
    lab save k new && XENWRIGHT_KILL_LIST='' lab forget k new
}
cycle_forget() {
    XENWRIGHT_KILL_LIST='' lab save k old && lab forget k old
}

each up cycle_up
up k --bare
each down cycle_down
ok "a state to keep" exits 0 lab exec k -- sh -c 'echo marked >/root/mark; sync'
ok "… is saved" exits 0 lab save k kept
each save cycle_save
each forget cycle_forget
each restore lab restore k kept

# The machine stands still, and its memory is half written.
killed_writing() {
    dies_at transfer/begun xenwright lab save k new
    next_says "'k' was being saved when xenwright was killed: it goes on, without the saved state"
    works k
    same kept "$(tags_of k)"
}
ok "killed while the memory is written: the lab goes on" killed_writing

qemu_killed() {
    local pid
    pid=$(pid_of k)
    kill -KILL "$pid"
    wait_end "$pid"
    same dead "$(status_of k)"
    exits 125 lab exec k -- true
    one_complaint
    says "its QEMU is gone" "xenwright lab up k"
    exits 1 lab save k new
    one_complaint
    says "dead"
    exits 0 lab log k
    same kept "$(tags_of k)"
    exits 0 lab restore k kept
    same marked "$(lab exec k -- cat /root/mark)"
}
ok "QEMU killed: list says dead, restore brings the lab back" qemu_killed

exec_pending() {
    local pid qemu killed status=0
    qemu=$(pid_of k)
    xenwright lab exec k -- sh -c 'echo there; sleep 1000' >"$OUT" 2>"$ERR" &
    pid=$!
    wait_line there "$OUT"
    killed=$(date +%s%N)
    kill -KILL "$qemu"
    wait "$pid" || status=$?
    [ $((($(date +%s%N) - killed) / 1000000)) -lt 2000 ]
    same 125 "$status"
    same 1 "$(grep -c '' "$ERR")"
    says "'k': its QEMU has ended"
}
ok "QEMU killed: an exec in it returns 125 within two seconds" exec_pending

up_of_dead() {
    exits 0 lab up k --bare
    says "its QEMU was killed; starting anew" "lab 'k' is up"
    works k
    same kept "$(tags_of k)"
}
ok "QEMU killed: up says so and starts anew, saved states stay" up_of_dead

# loses_qemu_at POINT COMMAND…: its QEMU is killed while the command stands at that point.
loses_qemu_at() {
    local point=$1 qemu status=0
    shift
    XENWRIGHT_STOP_AT=$point "$@" >"$OUT" 2>"$ERR" &
    pid=$! # not local: the trap comes later
    trap 'kill -CONT "$pid" 2>/dev/null || :' EXIT
    until stopped "$pid"; do
        alive "$pid"
    done
    qemu=$(processes_in "$LABS" | sed -n 's/^\([0-9]*\) .*-name xenwright-lab-k .*/\1/p')
    kill -KILL "$qemu"
    kill -CONT "$pid"
    wait "$pid" || status=$?
    same 1 "$status"
    one_complaint
}

stopped() {
    grep -qs '^State:[[:space:]]*T' "/proc/$1/status"
}

killed_while_saving() {
    loses_qemu_at transfer/begun xenwright lab save k new
    says "lab 'k' cannot be saved"
    same dead "$(status_of k)"
    same kept "$(tags_of k)"
    exits 0 lab restore k kept
    works k
}
ok "QEMU killed while it saves: the save fails, what was saved before stays" killed_while_saving

killed_while_up() {
    exits 0 lab forget k --all
    exits 0 lab down k
    loses_qemu_at up/qemu xenwright lab up k --bare
    says "lab 'k'"
    same "" "$(status_of k)"
    no_processes
    exits 0 lab up k --bare
    works k
}
ok "QEMU killed while it comes up: up fails and leaves nothing" killed_while_up

# While a state is made no record names the QEMU that boots: it has to go with its maker.
killed_booting() {
    local pid status=0
    own_cache boot states
    xenwright lab up kb --bare --xen-args "xenwright-test=$$" >/dev/null 2>&1 &
    pid=$!
    until processes_in "$LABS" | grep -q 'xenwright-lab-.state-'; do
        alive "$pid"
    done
    kill -KILL "$pid"
    wait "$pid" || status=$?
    same 137 "$status"
    for pid in $(processes_in "$LABS" | cut -d' ' -f1); do
        wait_end "$pid"
    done
    no_processes
}
ok "killed while a state is made: its QEMU ends as well" killed_booting

at_once() {
    local one two
    exits 0 lab down k
    xenwright lab up k --bare >"$WORK/one" 2>&1 &
    one=$!
    xenwright lab up k --bare >"$WORK/two" 2>&1 &
    two=$!
    wait "$one"
    wait "$two"
    same 1 "$(cat "$WORK/one" "$WORK/two" | grep -c "lab 'k' is up")"
    same 1 "$(cat "$WORK/one" "$WORK/two" | grep -c "lab 'k' is running already")"
    same 1 "$(processes_in "$LABS" | grep -c .)"
}
ok "two ups at once: one does it, the other says that it runs" at_once

finish
