# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A guest in the lab s that writes numbered records to its second disk, and tells each once it is
# there: with it one sees that a guest goes on, and whether its disks are those of its memory.
# Sourced after lib.sh. GUEST: its name.

GUEST=web

in_guest() {
    lab guest-exec s "$GUEST" -- "$@"
}

in_dom0() {
    lab exec s -- "$@"
}

# started_guest OPTION…: of 'lab guest'. Its disks are made anew. The first QEMU after a restore is
# read from the disk, for longer than libxl waits for it at times.
started_guest() {
    exits 0 in_dom0 find /usr/libexec -name xen-qemu-system-i386 -exec '{}' --version ';'
    says 'QEMU emulator'
    exits 0 in_dom0 sh -c 'mkdir -p /srv && cd /srv && rm -f * && qemu-img create -q -f qcow2 a 64M &&
        qemu-img create -q -f qcow2 b 32M'
    exits 0 lab guest s "$GUEST" "$@" --disk format=qcow2,vdev=xvda,target=/srv/a \
        --disk format=qcow2,vdev=xvdb,target=/srv/b
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=1 --size=4M
    exits 0 in_guest sh -c 'setsid xw-test records /dev/xvdb >/tmp/records 2>&1 </dev/null &'
    goes_on
}

last_record() {
    in_guest tail -n 1 /tmp/records
}

# goes_on: the writer has written since.
goes_on() {
    local before now=0 deadline=$((SECONDS + 60))
    before=$(last_record)
    while [ "$SECONDS" -lt "$deadline" ]; do
        now=$(last_record)
        [ "${now:-0}" -le "${before:-0}" ] || return 0
    done
    echo "still at record '$now'"
    return 1
}

# The numbers that the writer knows of are on the disk, or it would not have told them.
records_are_right() {
    exits 0 in_guest killall xw-test
    exits 0 in_guest xw-test records --check /dev/xvdb
}
