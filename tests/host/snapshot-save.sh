#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# 'vm save' and 'vm restore': memory and disks of one instant, and no memory over other disks.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/host/records.sh
. "$(dirname "${BASH_SOURCE[0]}")/records.sh"

# With one processor a lab does not wait for its own locks when others want the machine.
up s --cpus 1
FILE=/root/web.save

vm() {
    in_dom0 xenwright vm "$@"
}

# The guest's memory is what it is to be, with its disks: the writer goes on from where it was.
goes_on_from() {
    exits 0 in_guest cat /tmp/mark
    same "$1" "$(cat "$OUT")"
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=1 --size=4M
    goes_on
}

no_parts() {
    exits 0 in_dom0 find /root -name '*.part'
    same '' "$(cat "$OUT")"
}

started() {
    started_guest --type "$TYPE" --memory 96
    exits 0 in_guest sh -c 'echo start >/tmp/mark'
}

saved() {
    exits 0 vm save "$GUEST" "$FILE"
    says "'$GUEST' is saved to '$FILE'" "its disks are kept as snapshot 'saved-1'; it runs no more"
    exits 1 in_dom0 xl list "$GUEST"
    exits 0 in_dom0 stat -c %a "$FILE"
    same 600 "$(cat "$OUT")"
    no_parts
}

# It is a file of xl's; paused, the guest writes nothing, so the disks stay as they are.
by_xl() {
    exits 0 in_dom0 xl restore -p "$FILE"
    exits 1 vm restore "$FILE"
    says "'$GUEST' runs (domain"
    one_complaint
    exits 0 in_dom0 xl destroy "$GUEST"
}

restored() {
    exits 0 vm restore "$FILE"
    says "'$GUEST' is restored as domain"
    goes_on_from start
}

# What was begun is undone, and nobody has to do anything for the guest.
killed() {
    local point=$1
    exits 0 in_guest sh -c 'echo later >/tmp/mark'
    exits 137 in_dom0 env XENWRIGHT_KILL_AT="$point" xenwright vm save "$GUEST" /root/killed.save
    goes_on
    exits 0 in_dom0 xenwright snapshot recover
    refuse in_dom0 test -e /root/killed.save
    no_parts
}

# Somebody else is faster with the file: the guest, which stands still by then, goes on.
resumed_after_failure() {
    exits 0 in_dom0 sh -c 'XENWRIGHT_STOP_AT=save/sealed xenwright vm save web /root/taken.save >/tmp/said 2>&1 &
        pid=$!
        until grep -q "^State:.T" /proc/$pid/status; do sleep 0.1; done
        echo mine >/root/taken.save
        kill -CONT $pid
        ! wait $pid && cat /tmp/said'
    says "cannot get the name '/root/taken.save': File exists"
    goes_on
    exits 0 in_dom0 cat /root/taken.save
    same mine "$(cat "$OUT")"
    no_parts
    exits 0 in_dom0 rm /root/taken.save
}

checkpoint() {
    exits 1 vm save --checkpoint "$GUEST" "$FILE"
    says "'$FILE' is there already: --force replaces it"
    one_complaint
    exits 0 in_guest sh -c 'echo checkpoint >/tmp/mark'
    # shellcheck disable=SC2086 # none or one
    exits 0 vm save --checkpoint --force $LIVE "$GUEST" "$FILE"
    says "it runs on, and stood still for"
    goes_on
}

moved_on() {
    exits 0 in_guest sh -c 'echo later >/tmp/mark'
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=2 --size=4M
    exits 0 in_dom0 xl destroy "$GUEST"
    exits 1 vm restore "$FILE"
    says "disk xvda: '/srv/a' has been written to since the memory was saved" "--revert-disks"
    one_complaint
    exits 1 in_dom0 xl list "$GUEST"
}

# Killed when the disks have been put back in part: the next one finishes that.
put_back() {
    exits 137 in_dom0 env XENWRIGHT_KILL_AT=revert/swapping xenwright vm restore --revert-disks "$FILE"
    exits 0 vm restore --revert-disks "$FILE"
    says "'$GUEST' is restored as domain"
    goes_on_from "$MARK"
    records_are_right
    exits 0 in_dom0 sh -c "xenwright snapshot list $GUEST --json"
    says '"before-revert-1"'
}

ended() {
    local name names
    in_dom0 xl destroy "$GUEST" || true
    names=$(in_dom0 xenwright snapshot list "$GUEST" --json |
        python3 -c 'import json, sys; print(*[row["name"] for row in json.load(sys.stdin)])')
    for name in $names; do
        exits 0 in_dom0 xenwright snapshot delete "$GUEST" "$name"
    done
    exits 0 in_dom0 sh -c 'rm -f /root/*.save; ls /srv'
    same "$(printf 'a\nb')" "$(cat "$OUT")"
}

for TYPE in pvh ${FULL:+pv hvm}; do
    LIVE=
    [ "$TYPE" != pv ] || LIVE=--no-live
    ok "$TYPE: a guest that writes numbered records" started
    ok "$TYPE: saved, and gone from the host" saved
    ok "$TYPE: 'xl restore' takes the file" by_xl
    ok "$TYPE: restored, it goes on from there" restored
    ok "$TYPE: a save that is killed: the guest goes on" killed save/sealed
    MARK=start
    if [ -n "$FULL" ]; then
        ok "$TYPE: a save that fails: the guest goes on" resumed_after_failure
        ok "$TYPE: a checkpoint, and it runs on" checkpoint
        MARK=checkpoint
    fi
    ok "$TYPE: no memory over disks that have moved on" moved_on
    ok "$TYPE: with its disks put back it goes on from there" put_back
    ok "$TYPE: nothing is left once the snapshots are deleted" ended
done
finish
