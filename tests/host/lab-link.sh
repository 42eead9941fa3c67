#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Networks between labs: who sees whom, and what happens when a switch is killed.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

up a --bare --link blue
up b --bare --link blue
up c --bare --link green

# address_of LAB NETWORK
address_of() {
    lab exec "$1" -- ip -o -4 addr show "br-$2" | sed -n 's|.* inet \([0-9.]*\)/.*|\1|p'
}
A=$(address_of a blue)
B=$(address_of b blue)
C=$(address_of c green)

addresses() {
    echo "a $A, b $B, c $C"
    [ -n "$A" ] && [ -n "$B" ] && [ -n "$C" ] && [ "$A" != "$B" ]
    same "${A%.*}" "${B%.*}"
    refuse test "${A%.*}" = "${C%.*}"
    same blue "$(member a networks | tr -d "[]'")"
}
ok "addresses: in one network their own, in two networks apart" addresses

# sees LAB ADDRESS: sshd there is the first to speak.
sees() {
    exits 0 lab exec "$1" -- timeout 30 bash -c "exec 3<>/dev/tcp/$2/22 && head -c 4 <&3"
    same SSH- "$(cat "$OUT")"
}

linked() {
    sees a "$B"
    sees b "$A"
}
ok "two labs of one network see each other" linked

much() {
    lab exec b -- timeout 60 bash -c 'head -c 2000000 </usr/bin/perl | sha256sum' >"$WORK/wanted"
    lab exec a -- ssh-keygen -q -t ed25519 -N '' -f /root/key
    lab exec a -- cat /root/key.pub | lab exec b -- sh -c 'cat >>/root/.ssh/authorized_keys'
    lab exec a -- timeout 120 ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes "$B" \
        head -c 2000000 /usr/bin/perl 2>"$ERR" | sha256sum >"$WORK/got"
    same "$(cat "$WORK/wanted")" "$(cat "$WORK/got")"
}
ok "… and two megabytes arrive intact" much

# With an address that would reach them, if there was a wire.
apart() {
    local status=0
    exits 0 lab exec c -- ip addr add "${A%.*}.250/24" dev br-green
    lab exec c -- timeout 4 bash -c "exec 3<>/dev/tcp/$A/22" || status=$?
    # no route, or no answer; that the lab has failed would be 125
    [ "$status" -eq 1 ] || same 124 "$status"
    exits 0 lab exec a -- ip addr add "${A%.*}.249/24" dev br-blue
    sees b "${A%.*}.249"
}
ok "a lab of another network does not" apart

switch_of() {
    processes_in "$LABS" | sed -n "s/^\([0-9]*\) .*__hub $1 *$/\1/p"
}

switch_killed() {
    local before after
    before=$(switch_of blue)
    [ -n "$before" ]
    kill -KILL "$before"
    wait_end "$before"
    # the next command of any lab in the network brings it back
    exits 0 lab exec b -- true
    after=$(switch_of blue)
    [ -n "$after" ] && [ "$after" != "$before" ]
    sees a "$B"
    sees b "$A"
}
ok "a switch that was killed comes back with the next command" switch_killed

switch_killed_up() {
    kill -KILL "$(switch_of blue)"
    exits 0 lab up a --bare --link blue
    says "running already"
    sees a "$B"
}
ok "… also when that is an up of a lab that runs" switch_killed_up

new_member() {
    exits 0 lab down a
    exits 0 lab up a --bare --link blue
    sees b "$(address_of a blue)"
}
ok "a lab that is made anew joins again" new_member

bad_names() {
    exits 1 lab up d --bare --link 'no/slash'
    one_complaint
    says "no/slash" "network"
    exits 1 lab up d --bare --link "$(printf '%300s' '' | tr ' ' x)"
    one_complaint
    same "" "$(status_of d)"
}
ok "a name that a network cannot have is refused" bad_names

finish
