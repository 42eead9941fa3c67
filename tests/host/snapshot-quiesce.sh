#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots for which the guest is not only held: suspended by its own kernel, or with its file systems
# frozen by the agent in it. What that is good for, and that the guest goes on, also where the command is
# killed meanwhile.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/host/records.sh
. "$(dirname "${BASH_SOURCE[0]}")/records.sh"

snapshot() {
    in_dom0 xenwright snapshot "$@"
}

# With one processor a lab does not wait for its own locks when others want the machine.
up s --cpus 1

# The first QEMU after a restore is read from the disk, for longer than libxl waits for it at times.
started() {
    exits 0 in_dom0 find /usr/libexec -name xen-qemu-system-i386 -exec '{}' --version ';'
    says 'QEMU emulator'
    exits 0 in_dom0 sh -c 'mkdir -p /srv && cd /srv && rm -f * && truncate -s 48M raw &&
        mkfs.ext4 -q raw && qemu-img convert -f raw -O qcow2 raw a && rm raw'
    exits 0 lab guest s "$GUEST" --type "$TYPE" --qga --disk format=qcow2,vdev=xvda,target=/srv/a
    exits 0 in_guest sh -c 'mount -t ext4 /dev/xvda /mnt && dd if=/dev/zero of=/mnt/records bs=1M count=2 &&
        { setsid xw-test records /mnt/records >/tmp/records 2>&1 </dev/null & }'
    goes_on
}

# By how many seconds the guest's clock is behind that of dom0.
clock_lag() {
    in_guest cat /proc/uptime >"$WORK/inside"
    in_dom0 cat /proc/uptime >"$WORK/outside"
    awk '{ at = $1; getline <"'"$WORK/inside"'"; printf "%d\n", at - $1 }' "$WORK/outside"
}

suspended() {
    local lag
    lag=$(clock_lag)
    exits 0 snapshot create "$GUEST" one --quiesce suspend
    says "snapshot 'one' of '$GUEST' is made: xvda (qcow2); the guest stood still for"
    quiet
    goes_on
    exits 0 snapshot show "$GUEST" one
    says "Kind         suspended"
    lag=$(($(clock_lag) - lag))
    [ "${lag#-}" -le 2 ] || {
        echo "the guest's clock has lost $lag s"
        return 1
    }
}

# At a point in the middle of the taking; the guard resumes the guest.
killed_while_suspended() {
    exits 137 in_dom0 env XENWRIGHT_KILL_AT=create/pivoted xenwright snapshot create "$GUEST" two --quiesce suspend
    goes_on
    exits 0 snapshot recover
    exits 0 snapshot delete "$GUEST" two
    exits 0 snapshot delete "$GUEST" one
    goes_on
}

refused_while_paused() {
    exits 0 in_dom0 xl pause "$GUEST"
    exits 1 snapshot create "$GUEST" --quiesce suspend
    one_complaint
    says "cannot be suspended" "the guest is paused"
    exits 1 snapshot create "$GUEST" --quiesce agent
    says "cannot be frozen" "the guest is paused"
    exits 0 in_dom0 xl unpause "$GUEST"
    goes_on
}

# An HVM guest whose kernel has no PV drivers would be stopped from outside.
refused_without_drivers() {
    exits 0 in_dom0 sh -c "cd /srv && qemu-img create -q -f raw plain 16M &&
        /usr/libexec/xenwright/xenwright-guest create plain --type=hvm --no-agent --extra=xen_nopv \
            --disk=format=raw,vdev=xvda,target=/srv/plain"
    exits 1 snapshot create plain --quiesce suspend
    exits 0 in_dom0 xl destroy plain
    says "has no PV driver that suspends it"
}

# features SNAPSHOT: those of the ext4 in it. With needs_recovery its journal is to be replayed.
features() {
    exits 0 snapshot export "$GUEST" "$1" /srv/copy --format raw
    exits 0 in_dom0 sh -c 'dumpe2fs -h /srv/copy && rm /srv/copy'
    grep 'Filesystem features:' "$OUT"
}

frozen() {
    exits 0 snapshot create "$GUEST" paused
    [[ $(features paused) == *needs_recovery* ]]
    exits 0 snapshot create "$GUEST" whole --quiesce agent
    says "snapshot 'whole' of '$GUEST' is made: xvda (qcow2); the guest stood still for"
    quiet
    goes_on
    exits 0 snapshot show "$GUEST" whole
    says "Kind         filesystem"
    [[ $(features whole) != *needs_recovery* ]]
}

# The agent's word for it, behind what it still has to say to others.
thawed() {
    exits 0 in_dom0 python3 -c '
import json, socket
agent = socket.socket(socket.AF_UNIX)
agent.settimeout(20)
agent.connect("/run/xenwright/guests/web.qga")
agent.sendall(b"\xff" + json.dumps({"execute": "guest-sync-delimited", "arguments": {"id": 42}}).encode() + b"\n")
agent.sendall(json.dumps({"execute": "guest-fsfreeze-status"}).encode() + b"\n")
answers = agent.makefile("rb")
while not answers.readline().endswith(b"\xff{\"return\": 42}\n"):
    pass
print(json.loads(answers.readline())["return"])'
    says thawed
}

killed_while_frozen() {
    local point
    for point in create/frozen create/pivoted; do
        exits 137 in_dom0 env XENWRIGHT_KILL_AT=$point xenwright snapshot create "$GUEST" cut --quiesce agent
        goes_on
        thawed
        exits 0 snapshot recover
        says "1 interrupted operations were finished or undone"
    done
    exits 0 snapshot show "$GUEST" cut
    says "Kind         crash"
    goes_on
}

# For longer than they may be: the guard thaws them, and no snapshot comes of it.
stopped_while_frozen() {
    exits 0 in_dom0 sh -c "XENWRIGHT_STOP_AT=create/frozen setsid xenwright snapshot create $GUEST late \
        --quiesce agent >/tmp/late 2>&1 </dev/null &
        echo \$! >/tmp/late.pid; until grep -qs '^State:.T' /proc/\$!/status; do sleep 0.1; done"
    same "$(last_record)" "$(last_record)"
    goes_on
    thawed
    exits 0 in_dom0 sh -c 'kill -CONT "$(cat /tmp/late.pid)"; tail -f /tmp/late --pid="$(cat /tmp/late.pid)"'
    says "was frozen for too long, and was thawed before all was done"
    exits 1 snapshot show "$GUEST" late
}

in_use() {
    exits 0 in_dom0 sh -c "setsid python3 -c '
import socket, time
agent = socket.socket(socket.AF_UNIX)
agent.connect(\"/run/xenwright/guests/web.qga\")
print(1, flush=True)
time.sleep(600)' >/tmp/user 2>&1 </dev/null &
        until [ -s /tmp/user ]; do sleep 0.1; done"
    exits 1 snapshot create "$GUEST" none --quiesce agent
    one_complaint
    says "python3 (process" "talks to the agent"
    exits 0 in_dom0 pkill -x python3
    goes_on
}

# One that was stopped, as by a debugger, stands for one that hangs.
no_answer() {
    exits 0 in_guest killall -STOP qemu-ga
    exits 1 snapshot create "$GUEST" none --quiesce agent
    one_complaint
    says "qemu-guest-agent does not answer"
    exits 0 in_guest killall -CONT qemu-ga
    goes_on
    thawed
    exits 0 snapshot recover
    says "nothing was interrupted"
}

for TYPE in pvh ${FULL:+pv hvm}; do
    ok "$TYPE: a guest that writes to a file system" started
    ok "$TYPE: a snapshot while it is suspended" suspended
    ok "$TYPE: and one that is killed meanwhile" killed_while_suspended
    ok "$TYPE: one that is paused is not asked for anything" refused_while_paused
    ok "$TYPE: a snapshot while its file systems are frozen has nothing in its journal" frozen
    ok "$TYPE: one that is killed meanwhile: it is thawed" killed_while_frozen
    ok "$TYPE: one that takes too long: it is thawed" stopped_while_frozen
    ok "$TYPE: one whose agent somebody else talks to fails" in_use
    ok "$TYPE: one whose agent does not answer fails" no_answer
    ok "$TYPE: it can be destroyed" exits 0 in_dom0 xl destroy "$GUEST"
done
[ -z "$FULL" ] || ok "an HVM guest without PV drivers is not suspended" refused_without_drivers
finish
