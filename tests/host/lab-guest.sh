#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Guests in a lab, and what becomes of them when the lab is saved, restored or killed.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

up g

in_guest() {
    lab guest-exec g "$GUEST" -- "$@"
}

started() {
    exits 0 lab exec g -- truncate -s 16M "/root/$GUEST.1" "/root/$GUEST.2"
    exits 0 lab guest g "$GUEST" --type "$TYPE" --disk "format=raw,vdev=xvda,target=/root/$GUEST.1" \
        --disk "format=raw,vdev=xvdb,target=/root/$GUEST.2" --vif bridge=xenbr0 --ip "10.88.0.$IP/24" --qga
    says "guest '$GUEST' runs in lab 'g'"
    exits 0 lab exec g -- xl list "$GUEST"
    exits 0 in_guest uname -s
    same Linux "$(cat "$OUT")"
    exits 0 lab log g --guest "$GUEST"
    says "xenwright-guest: ready"
}

streams() {
    exits 5 in_guest sh -c 'echo out; echo err >&2; exit 5'
    same out "$(cat "$OUT")"
    same err "$(cat "$ERR")"
    same 12345 "$(printf 12345 | in_guest cat)"
    exits 125 lab guest-exec g no-such-guest -- true
    says "no-such-guest"
}

disk_pattern() {
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=7 --size=4M
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=7 --size=4M
    exits 1 in_guest xw-test pattern verify /dev/xvda --seed=8 --size=4M
}

# qemu-guest-agent's own protocol, spoken from dom0 through the socket of the channel.
qemu_agent() {
    # shellcheck disable=SC2016 # Perl's own
    exits 0 lab exec g -- perl -MSocket -e '
        alarm 60;
        socket(my $agent, PF_UNIX, SOCK_STREAM, 0) or die $!;
        connect($agent, sockaddr_un($ARGV[0])) or die $!;
        syswrite($agent, qq({"execute": "guest-get-host-name"}\n));
        print scalar <$agent>;' "/run/xenwright/guests/$GUEST.qga"
    says "\"host-name\": \"$GUEST\""
}

# From the guest to dom0, by the lab's bridge; both sides look at every block.
megabyte() {
    local pid
    xenwright lab exec g -- /usr/libexec/xenwright/xw-test receive 7000 --size=1M >"$WORK/receiver" 2>&1 &
    pid=$!
    wait_line "listening" "$WORK/receiver"
    exits 0 in_guest xw-test send 10.88.0.1 7000 --size=1M
    wait "$pid"
}

# The domain is another one then, and the guest's agent announces itself anew.
moved() {
    exits 0 lab exec g -- sh -c "$1"
    exits 0 in_guest uname -s
    same Linux "$(cat "$OUT")"
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=7 --size=4M
}

last_record() {
    in_guest cat /tmp/records | tail -n 1
}

# Writes records to a disk and tells their numbers, until the guest ends.
ticking() {
    exits 0 in_guest sh -c 'setsid xw-test records /dev/xvdb >/tmp/records 2>&1 </dev/null &'
    goes_on
}

# goes_on: the writer has written since.
goes_on() {
    local before now=0 deadline=$((SECONDS + 30))
    before=$(last_record)
    while [ "$SECONDS" -lt "$deadline" ]; do
        now=$(last_record)
        [ "${now:-0}" -le "${before:-0}" ] || return 0
    done
    echo "still at record '$now'"
    return 1
}

saved() {
    exits 0 lab save g "at-$TYPE"
    says "lab 'g' is saved as 'at-$TYPE'"
    last_record >"$WORK/at-$TYPE"
    goes_on
}

restored() {
    local at now
    exits 0 lab restore g "at-$TYPE"
    at=$(cat "$WORK/at-$TYPE")
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=7 --size=4M
    goes_on
    exits 0 in_guest killall xw-test
    exits 0 in_guest xw-test records --check /dev/xvdb
    echo "saved about record $at"
}

for TYPE in pv ${FULL:+pvh hvm}; do
    GUEST=$TYPE-guest
    case $TYPE in
    pv) IP=11 ;;
    pvh) IP=12 ;;
    hvm) IP=13 ;;
    esac
    ok "$TYPE: a guest with two disks and a network card" started
    ok "$TYPE: streams and status of a command in it" streams
    ok "$TYPE: what is written to its disk is there" disk_pattern
    ok "$TYPE: a megabyte goes from it to dom0" megabyte
    ok "$TYPE: its qemu-guest-agent answers" qemu_agent
    ok "$TYPE: xl save and xl restore: commands in it work as before" \
        moved "xl save $GUEST /root/moved && xl restore /root/moved && rm /root/moved"
    # Live migration of PV takes shadow paging, which the Xen of Debian 13 is built without.
    [ -z "$FULL" ] || [ "$TYPE" = pv ] || ok "$TYPE: xl migrate: commands in it work as before" \
        moved "xl migrate -s '' $GUEST 'xl migrate-receive'"
    ok "$TYPE: a writer of numbered records" ticking
    ok "$TYPE: goes on across a save" saved
    ok "$TYPE: goes on from where it was after a restore" restored
    if [ "$TYPE" = pv ]; then
        KEPT=at-$TYPE
    fi
done
TYPE=pv
GUEST=pv-guest

after_down() {
    exits 0 lab down g
    same down "$(status_of g)"
    exits 125 lab exec g -- true
    says "'g' is down" "lab restore g"
    exits 0 lab restore g "$KEPT"
    goes_on
}
ok "restored after down: the guest goes on" after_down

after_kill() {
    local pid
    pid=$(pid_of g)
    kill -KILL "$pid"
    wait_end "$pid"
    exits 0 lab restore g "$KEPT"
    goes_on
}
ok "restored after QEMU was killed: the guest goes on" after_kill

states() {
    exits 0 lab states g --json
    python3 - "$OUT" "$KEPT" <<'END'
import json, sys
rows = json.load(open(sys.argv[1]))
row = [row for row in rows if row['tag'] == sys.argv[2]][0]
assert set(row) == {'tag', 'status', 'created', 'age', 'bytes', 'release', 'qemu'}, row
assert row['bytes'] > 50 << 20 and 0 <= row['age'] < 3600 and row['release'] == 'trixie', row
END
    exits 1 lab save g "$KEPT"
    one_complaint
    says "has a saved state '$KEPT' already"
    exits 1 lab restore g nothing
    one_complaint
    says "no saved state 'nothing'"
    exits 1 lab forget g nothing
    one_complaint
    same running "$(status_of g)"
}
ok "states: listed; a name twice and a name unknown are refused" states

forgotten() {
    local before
    before=$(find "$LABS/g" -name 'disk-*' | grep -c .)
    exits 0 lab forget g --all
    same "[]" "$(lab states g --json | tr -d ' \n')"
    [ "$(find "$LABS/g" -name 'disk-*' | grep -c .)" -le "$before" ]
    goes_on
    exits 0 lab down g
    same "" "$(status_of g)"
    refuse test -e "$LABS/g"
}
ok "forget: the states are gone, the lab goes on, and down leaves nothing" forgotten

# As whoever has xenwright from a package does it, and not from a source tree.
from_package() {
    local package
    package=$(find -L "$XENWRIGHT_CACHE/packages" -path '*/trixie-*/xenwright-guest_*.deb' | head -n 1)
    exits 0 lab up g --bare
    exits 1 lab guest g early --type pv
    says "--package FILE.deb"
    exits 0 lab down g
    exits 0 lab up g --bare --package "$package"
    exits 0 lab guest g late --type pv
    exits 0 lab guest-exec g late -- uname -s
    exits 0 lab down g
}
ok "up --package: guests work in a lab that got a package by hand" from_package

finish
