#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Mirrors of a running guest's disk, to a file and to another host, whose link is cut; and the migration
# of a guest with its disk.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

GUEST=web

in_a() {
    lab exec a -- "$@"
}

in_guest() {
    lab guest-exec a "$GUEST" -- "$@"
}

mirror() {
    in_a xenwright disk mirror "$@"
}

# With one processor a lab does not wait for its own locks when others want the machine.
up a --cpus 1 --link mirror
up b --cpus 1 --link mirror
B=$(lab exec b -- ip -o -4 addr show br-mirror | sed -n 's|.* inet \([0-9.]*\)/.*|\1|p')

# The two know each other, as hosts between which guests migrate do.
acquainted() {
    # Most of a small guest's memory is zeroes, and ciphers are slow where QEMU translates.
    in_a sh -c 'mkdir -p /root/.ssh && printf "Host *\n  Compression yes\n" >/root/.ssh/config'
    in_a ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
    in_a cat /root/.ssh/id_ed25519.pub |
        lab exec b -- sh -c 'mkdir -p /root/.ssh /srv && cat >>/root/.ssh/authorized_keys'
    exits 0 in_a ssh -o StrictHostKeyChecking=accept-new -o BatchMode=yes "$B" true
}
ok "the two hosts know each other" acquainted

# The first QEMU after a restore is read from the disk, for longer than libxl waits for it at times.
started() {
    exits 0 in_a find /usr/libexec /usr/lib -name '*qemu-system-i386' -exec '{}' --version ';'
    says 'QEMU emulator'
    exits 0 in_a sh -c 'mkdir -p /srv && qemu-img create -q -f qcow2 /srv/a 64M'
    exits 0 lab guest a "$GUEST" --type pvh --memory 80 --disk format=qcow2,vdev=xvda,target=/srv/a
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=1 --size=4M
}
ok "a guest with a qcow2 disk" started

# What the guest sees at present, from outside; it does not write meanwhile.
content_here() {
    in_a sh -c 'qemu-img convert -U -O raw /srv/a /srv/raw && sha256sum </srv/raw && rm /srv/raw'
}

content_there() {
    lab exec b -- sh -c "qemu-img check -q $1 && qemu-img convert -O raw $1 /srv/raw &&
        sha256sum </srv/raw && rm /srv/raw"
}

to_a_file() {
    exits 0 mirror start "$GUEST" xvda /srv/copy --wait
    says "disk xvda of 'web' is mirrored, in step, to '/srv/copy'"
    quiet
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=2 --size=2M
    exits 0 mirror status
    says 'in step' /srv/copy
    exits 1 in_a xenwright snapshot create "$GUEST" meanwhile
    one_complaint
    says "disk xvda is being mirrored to '/srv/copy'" "xenwright disk mirror stop web xvda"
    exits 0 mirror stop "$GUEST" xvda
    says "the target is a whole copy"
    exits 0 in_a qemu-img compare -q -U /srv/a /srv/copy
    exits 0 in_a qemu-img check -q /srv/copy
    exits 0 mirror status --json
    same '[]' "$(tr -d '[:space:]' <"$OUT")"
}
ok "a mirror to a file: in step, in the way of a snapshot, and whole at its end" to_a_file

refused() {
    exits 1 mirror start "$GUEST" xvda /srv/copy
    one_complaint
    says "'/srv/copy' is there already"
    exits 1 mirror start "$GUEST" xvdz /srv/other
    one_complaint
    exits 1 mirror start "$GUEST" xvda nowhere.invalid:/srv/other
    says "no link to 'nowhere.invalid'"
    exits 1 mirror stop "$GUEST" xvda
    says "is not being mirrored"
}
ok "what cannot be is refused" refused

# state_becomes STATE SECONDS
state_becomes() {
    local deadline=$((SECONDS + $2))
    while ! mirror status | grep -qF "$1"; do
        [ "$SECONDS" -lt "$deadline" ] || {
            echo "not '$1' within $2 s:"
            mirror status --json
            return 1
        }
    done
}

cut_link() {
    exits 0 mirror start "$GUEST" xvda "$B:/srv/copy" --wait
    says "is mirrored, in step"
    exits 0 in_a ip link set br-mirror down
    # The guest writes all the same, and does not wait.
    exits 0 in_guest timeout 20 xw-test pattern write /dev/xvda --seed=3 --size=2M
    state_becomes interrupted 60
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=4 --size=1M
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=4 --size=1M
    exits 1 mirror stop "$GUEST" xvda
    says "is not in step: interrupted"
    [ -z "$FULL" ] || sleep 60
    exits 0 in_a ip link set br-mirror up
    state_becomes 'in step' 120
    exits 0 mirror stop "$GUEST" xvda
    says "the target is a whole copy"
    same "$(content_here)" "$(content_there /srv/copy)"
    exits 0 in_guest dmesg
    refuse grep -qi 'I/O error' "$OUT"
}
ok "a link that is cut: the guest sees nothing of it, and the copy is whole" cut_link

nothing_left() {
    exits 0 in_a find /var/lib/xenwright/snapshots/mirrors -name '*.json'
    same '' "$(cat "$OUT")"
    exits 1 lab exec b -- pidof qemu-storage-daemon
}
ok "nothing is left of mirrors that have ended" nothing_left

# Writes a number after the other, for ever, and says so on the console.
writes_on() {
    exits 0 in_guest sh -c 'i=0; while i=$((i + 1)); do
        echo $i | dd of=/dev/xvda bs=4k seek=$((4096 + i % 1024)) count=1 conv=fsync,sync 2>/dev/null ||
            echo lost $i; echo wrote $i; sleep 1; done >/dev/hvc0 2>&1 </dev/null &'
}

migrated() {
    writes_on
    exits 0 in_a xenwright vm migrate --storage "$GUEST" "$B"
    says "'web' runs on '$B', with 1 disks"
    exits 1 in_a xl domid "$GUEST"
    exits 0 lab exec b -- xl domid "$GUEST"
    wait_writes
}

# It goes on writing there, without an error.
wait_writes() {
    exits 0 lab exec b -- timeout 60 sh -c 'tail -n +1 -F /var/log/xen/console/guest-web--incoming.log 2>/dev/null |
        grep -m 3 "^wrote"'
    exits 1 lab exec b -- grep -r lost /var/log/xen/console
}

whole_there() {
    exits 0 lab exec b -- xl destroy "$GUEST"
    exits 0 lab exec b -- qemu-img check /srv/a
    exits 0 lab exec b -- sh -c 'qemu-img convert -O raw /srv/a /srv/raw &&
        /usr/libexec/xenwright/xw-test pattern verify /srv/raw --seed=4 --size=1M'
}
ok "a guest is migrated with its disk, and writes on there" migrated
ok "… and its image there is whole" whole_there

if [ -n "$FULL" ]; then
    # The receiver fails after it has got all of the guest.
    failed() {
        exits 0 in_a sh -c 'rm -f /srv/a && qemu-img create -q -f qcow2 /srv/a 64M'
        exits 0 lab exec b -- sh -c 'rm -f /srv/* && mv /usr/libexec/xen-qemu-system-i386 /root/'
        exits 0 lab guest a "$GUEST" --type pvh --memory 80 \
            --disk format=qcow2,vdev=xvda,target=/srv/a
        exits 1 in_a xenwright vm migrate --storage "$GUEST" "$B"
        exits 0 in_guest xw-test pattern write /dev/xvda --seed=1 --size=1M
        exits 0 in_guest xw-test pattern verify /dev/xvda --seed=1 --size=1M
        nothing_left
    }
    ok "a migration that fails there: the guest runs on here" failed
fi
finish
