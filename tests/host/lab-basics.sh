#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What everybody does with a lab: programs in it, files, consoles, lists; and two labs side by side.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

up a --bare
up b --bare

up_again() {
    exits 0 lab up a --bare
    says "lab 'a' is running already"
    quiet
}
ok "up of a lab that runs does nothing" up_again

statuses() {
    exits 0 lab exec a -- true
    exits 7 lab exec a -- sh -c 'exit 7'
    exits 137 lab exec a -- sh -c 'kill -KILL $$'
    exits 127 lab exec a -- no-such-program
    one_complaint_or_none
    exits 126 lab exec a -- /etc/passwd
    exits 125 lab exec no-such-lab -- true
    one_complaint
    says "no-such-lab" "xenwright lab list"
}
one_complaint_or_none() {
    [ ! -s "$OUT" ] && [ "$(grep -c '' "$ERR")" -le 1 ]
}
ok "exec: the exit status is the program's; 125, 126, 127 are ours" statuses

apart() {
    exits 3 lab exec a -- sh -c 'echo one; echo two >&2; exit 3'
    same one "$(cat "$OUT")"
    same two "$(cat "$ERR")"
}
ok "exec: standard output and errors are apart" apart

arguments() {
    local given=('a b' "it's" '$HOME' '' $'two\nlines' '*' '--help')
    exits 0 lab exec a -- printf '<%s>' "${given[@]}"
    same "$(printf '<%s>' "${given[@]}")" "$(cat "$OUT")"
}
ok "exec: arguments arrive as they are" arguments

input() {
    same "abc" "$(printf abc | lab exec a -- cat)"
    same 0 "$(lab exec a -- wc -c </dev/null)"
    same 0 "$(lab exec a -- wc -c <&-)"
}
ok "exec: standard input, with its end" input

# It is done with its input before the input ends.
leaves_input() {
    mkfifo "$WORK/open"
    exec 4<>"$WORK/open"
    exits 4 timeout 20 xenwright lab exec a -- sh -c 'exit 4' <&4
    exec 4>&-
}
ok "exec: does not wait for an end of input that the program does not want" leaves_input

signals() {
    local pid status=0
    xenwright lab exec a -- sh -c 'trap "echo got it; exit 5" TERM; echo there
        while :; do sleep 0.1; done' >"$OUT" &
    pid=$!
    wait_line there "$OUT"
    kill -TERM "$pid"
    wait "$pid" || status=$?
    same 5 "$status"
    wait_line "got it" "$OUT"
    xenwright lab exec a -- sh -c 'echo there; exec sleep 60' >"$OUT" &
    pid=$!
    wait_line there "$OUT"
    kill -HUP "$pid"
    status=0
    wait "$pid" || status=$?
    same 129 "$status"
}
ok "exec: signals go to the program, and back comes 128+n" signals

# Nothing runs in the lab yet that a signal could be passed on to.
signal_before_start() {
    local pid status=0
    qemu=$(pid_of b) # not local: the trap comes later
    kill -STOP "$qemu"
    trap 'kill -CONT "$qemu"' EXIT
    xenwright lab exec b -- true &
    pid=$!
    until find "/proc/$pid/fd" -lname '*/agent.*.lock' | grep -q .; do
        alive "$pid"
    done
    kill -TERM "$pid"
    wait_end "$pid"
    wait "$pid" || status=$?
    same 143 "$status"
}
ok "exec: until its program runs, a signal ends it" signal_before_start
ok "… and the lab does not mind" exits 0 lab exec b -- true

# Killed itself, exec takes its program along: nothing runs on that nobody can end.
killed_exec() {
    local pid left
    xenwright lab exec a -- sh -c 'echo $$; exec sleep 4242' >"$OUT" &
    pid=$!
    wait_line "" "$OUT"
    left=$(cat "$OUT")
    kill -KILL "$pid"
    lab exec a -- timeout 20 tail --pid="$left" -s 0.1 -f /dev/null
}
ok "exec: killed itself, it leaves no program behind" killed_exec

terminal() {
    exits 0 lab exec -t a -- sh -c 'tty; stty size; echo $TERM'
    says /dev/pts/ "24 80"
    exits 1 lab exec a -- tty
    says "not a tty"
}
ok "exec -t: a terminal of its own, also where there is none here" terminal

window() {
    exits 0 script -qec 'stty rows 33 cols 99; xenwright lab exec -t a -- stty size' /dev/null
    says "33 99"
}
if command -v script >/dev/null; then
    ok "exec -t: of the size of the terminal here" window
else
    skip "exec -t: of the size of the terminal here" "there is no program 'script'"
fi

# More at once than there are channels: the rest waits its turn.
many() {
    local pids=() number
    for number in {1..20}; do
        xenwright lab exec a -- sh -c "sleep 0.2; echo number $number" >"$WORK/many.$number" &
        pids+=($!)
    done
    for number in {1..20}; do
        wait "${pids[number - 1]}"
        same "number $number" "$(cat "$WORK/many.$number")"
    done
}
ok "exec: twenty at once" many

much() {
    local wanted got
    head -c "${1}000000" /dev/urandom >"$WORK/much"
    wanted=$(sha256sum <"$WORK/much")
    got=$(lab exec a -- cat <"$WORK/much" | sha256sum)
    rm "$WORK/much"
    same "$wanted" "$got"
}
MEGABYTES=${FULL:+100}
MEGABYTES=${MEGABYTES:-20}
ok "exec: $MEGABYTES MB in and out again, intact" much "$MEGABYTES"

copies() {
    mkdir -p "$WORK/cp/folder/deep"
    echo content >"$WORK/cp/folder/deep/file"
    ln -s deep/file "$WORK/cp/folder/link"
    chmod 751 "$WORK/cp/folder/deep/file"
    exits 0 lab cp "$WORK/cp/folder/deep/file" a:/root/
    exits 0 lab cp "$WORK/cp/folder/deep/file" a:/root/renamed
    exits 0 lab cp "$WORK/cp/folder" a:/root/
    exits 0 lab exec a -- sh -c 'cat /root/file /root/renamed /root/folder/link && stat -c %a /root/file'
    same "content content content 751" "$(paste -sd " " "$OUT")"
    exits 0 lab cp a:/root/folder "$WORK/cp/back"
    diff -r --no-dereference "$WORK/cp/folder" "$WORK/cp/back"
    exits 0 lab cp a:/root/renamed "$WORK/cp/"
    cmp "$WORK/cp/folder/deep/file" "$WORK/cp/renamed"
}
ok "cp: files and folders, both ways, with new names" copies

failed_copies() {
    exits 1 lab cp "$WORK/nothing" a:/root/
    one_complaint
    says "$WORK/nothing"
    exits 1 lab cp a:/root/nothing "$WORK/"
    says "'/root/nothing' cannot be read"
    exits 1 lab cp "$ERR" a:/no-such-folder/file
    says "'/no-such-folder/file' cannot be written"
    exits 1 lab cp a:/etc/hostname "$WORK/no-such-folder/file"
    says "$WORK/no-such-folder"
    refuse test -e "$WORK/no-such-folder"
    exits 2 lab cp "$ERR" "$WORK/elsewhere"
}
ok "cp: what is not there is named" failed_copies

logs() {
    local pid xen
    xenwright lab log a --follow >"$WORK/followed" 2>&1 &
    pid=$!
    xenwright lab log a --xen --follow >"$WORK/followed-xen" 2>&1 &
    xen=$!
    lab exec a -- xl debug-keys h
    wait_line "'h' pressed" "$WORK/followed"
    kill "$pid"
    lab exec a -- sh -c 'echo said by dom0 >/dev/hvc0'
    wait_line "said by dom0" "$LABS/a/console.log"
    exits 0 lab log a --xen
    says "'h' pressed"
    refuse grep -q "said by dom0" "$OUT"
    wait_line "$(tail -n 1 "$OUT")" "$WORK/followed-xen"
    kill "$xen"
    cmp "$OUT" "$WORK/followed-xen"
    exits 0 lab log a --dom0
    says "said by dom0"
    refuse grep -q "'h' pressed" "$OUT"
}
ok "log: Xen and dom0, together and apart, and following" logs

no_crash() {
    exits 1 lab log a --crash
    one_complaint
    says "no crash"
}
ok "log --crash: there is none" no_crash

typed() {
    local pid
    mkfifo "$WORK/keys"
    xenwright lab console a <"$WORK/keys" >"$WORK/screen" 2>"$ERR" &
    pid=$!
    exec 3>"$WORK/keys"
    printf '\n\necho six times seven is $((6 * 7)), and this line is longer than the buffer of 128 bytes\
 that Xen has for what is typed, so that it would lose something, but does not: end\n' >&3
    wait_line "six times seven is 42, and" "$WORK/screen"
    wait_line "does not: end" "$WORK/screen"
    exits 1 timeout 20 xenwright lab console a
    one_complaint
    says "one terminal at a time" "process $pid"
    printf 'echo last words >/root/typed\n\035' >&3
    wait "$pid"
    exec 3>&-
    lab exec a -- timeout 20 sh -c 'until [ -s /root/typed ]; do sleep 0.1; done'
}
ok "console: dom0's shell answers, Ctrl-] leaves, and nothing typed is lost" typed

packages() {
    echo nonsense >"$WORK/bad.deb"
    exits 1 lab up c --bare --package "$WORK/bad.deb"
    one_complaint
    says "cannot unpack $WORK/bad.deb" "not a Debian format archive"
    mkdir -p "$WORK/package/DEBIAN" "$WORK/package/proc"
    touch "$WORK/package/proc/cannot-be-there"
    printf '%s\n' 'Package: odd' 'Version: 1' 'Architecture: all' 'Maintainer: A <a@b.c>' \
        'Description: odd' >"$WORK/package/DEBIAN/control"
    dpkg-deb --build "$WORK/package" "$WORK/odd.deb" >/dev/null
    exits 1 lab up c --bare --package "$WORK/odd.deb"
    one_complaint
    says "cannot unpack $WORK/odd.deb" "lab 'c'" "proc/cannot-be-there: Cannot open"
    same "" "$(status_of c)"
}
ok "up --package: why one cannot be unpacked" packages

no_guests() {
    exits 125 lab guest-exec a nobody -- true
    says "the package xenwright-guest is not in it" "--package"
}
ok "guest-exec: in a lab without the package for it, 125" no_guests

dry_runs() {
    exits 0 lab up c --bare --dry-run
    says "would"
    exits 0 lab down a --dry-run
    says "would take down lab 'a'"
    exits 0 lab down --all --dry-run
    says "would take down lab 'a'" "would take down lab 'b'"
    exits 0 lab save a --dry-run
    says "would save"
    refuse test -e "$LABS/c"
    same running "$(status_of a)"
    exits 0 lab states a --json
    same "[]" "$(tr -d ' \n' <"$OUT")"
}
ok "--dry-run: says what, and does nothing" dry_runs

listed() {
    exits 0 lab list --json
    python3 - "$OUT" <<'END'
import json, sys
rows = {row['name']: row for row in json.load(open(sys.argv[1]))}
assert sorted(rows) == ['a', 'b'], rows
for row in rows.values():
    wanted = {'status': 'running', 'release': 'trixie', 'cpus': 2, 'memory': 4 << 30, 'networks': [],
              'restored_from': None}
    assert {key: row[key] for key in wanted} == wanted, row
    assert set(row) == set(wanted) | {'name', 'pid', 'uptime'}, row
    assert 0 <= row['uptime'] < 3600 and row['pid'] > 1, row
END
    exits 0 lab list
    says NAME STATUS
    grep -qE '^a +running +trixie +2 +4G ' "$OUT"
}
ok "list: what there is, for people and for programs" listed

# Two labs have woken from one state: nothing of it may be the same in both that tells hosts apart.
differ() {
    local script='hostname; cat /sys/class/net/eth0/address /etc/machine-id /proc/sys/kernel/random/uuid
        ip -o -4 addr show | grep -o "10\.0\.2\.[0-9]*/"; ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
        head -c 16 /dev/urandom | od -An -tx1'
    lab exec a -- sh -c "$script" >"$WORK/a"
    lab exec b -- sh -c "$script" >"$WORK/b"
    same 7 "$(grep -c . "$WORK/a")"
    same "" "$(grep -xFf "$WORK/a" "$WORK/b")"
    same a "$(head -n 1 "$WORK/a")"
    same b "$(head -n 1 "$WORK/b")"
}
ok "two labs: MAC, address, name, machine-id, host key and random numbers of their own" differ

right_time() {
    local name before there after
    for name in a b; do
        before=$(date +%s)
        there=$(lab exec "$name" -- date +%s)
        after=$(date +%s)
        [ "$there" -ge $((before - 2)) ] && [ "$there" -le $((after + 2)) ] || {
            echo "lab $name: $there, and here $before to $after"
            return 1
        }
    done
}
ok "two labs: the right time, two seconds at most apart" right_time

by_ssh() {
    lab ssh-config a >"$WORK/ssh"
    lab ssh-config b >>"$WORK/ssh"
    exits 0 ssh -F "$WORK/ssh" -o BatchMode=yes b hostname
    same b "$(cat "$OUT")"
    echo by scp >"$WORK/file"
    exits 0 scp -q -F "$WORK/ssh" -o BatchMode=yes "$WORK/file" a:/root/by-scp
    same "by scp" "$(lab exec a -- cat /root/by-scp)"
    exits 0 lab ssh-config a
    same "$(sed -n '/^Host a$/,/^Host b$/p' "$WORK/ssh" | grep -v '^Host b')" "$(cat "$OUT")"
}
if command -v ssh >/dev/null; then
    ok "ssh-config: ssh and scp know each lab by its key" by_ssh
else
    skip "ssh-config: ssh and scp know each lab by its key" "ssh is not installed here"
fi

# Each overlay stands on the one before it. What dom0 has in memory of its disk is dropped.
in_a_row() {
    local tag wanted
    for tag in one two three; do
        lab exec a -- sh -c "head -c 300000 /dev/urandom >/root/of-$tag; sync"
        exits 0 lab save a "$tag"
    done
    wanted=$(lab exec a -- sh -c 'cat /root/of-* | md5sum')
    exits 0 lab exec a -- rm /root/of-one /root/of-two /root/of-three
    exits 0 lab restore a three --dry-run
    says "would restore lab 'a' from 'three'"
    exits 0 lab restore a three
    exits 0 lab exec a -- sh -c 'echo 3 >/proc/sys/vm/drop_caches'
    same "$wanted" "$(lab exec a -- sh -c 'cat /root/of-* | md5sum')"
    exits 0 lab forget a --all
}
ok "saves in a row: the last one has the disk of all" in_a_row

# The overlays stay below the one that is written to, however many saved states are forgotten.
many_saves() {
    local number
    for number in {1..70}; do
        exits 0 lab save a "of-$number"
        exits 0 lab forget a "of-$number"
    done
    exits 0 lab save a last
    exits 0 lab restore a last
    exits 0 lab exec a -- true
    exits 0 lab forget a --all
}
[ -z "$FULL" ] || ok "more saves than JSON is nested deep" many_saves

gone() {
    local pid
    pid=$(pid_of a)
    exits 0 lab down a
    says "lab 'a' is down"
    wait_end "$pid"
    refuse test -e "$LABS/a"
    exits 1 lab down a
    one_complaint
    says "no such lab"
    exits 2 lab down
    exits 0 lab down --all
    says "lab 'b' is down"
    same "[]" "$(lab list --json | tr -d ' \n')"
    no_processes
}
ok "down: QEMU and files are gone" gone

finish
