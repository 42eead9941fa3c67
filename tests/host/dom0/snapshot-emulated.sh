#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# cpus: 1
#
# An HVM guest that has not loaded PV drivers: its QEMU has each image open twice, and a snapshot or
# a deletion through the wrong one of the two would lose data. So it is refused, and leaves nothing.
# Runs as root in a lab; prints TAP.

count=0
work=$(mktemp -d) || exit 1
guest=emulated
export XENWRIGHT_STATE="$work/state"
twice="QEMU has its image open twice"

finish() {
    xl destroy "$guest" >/dev/null 2>&1
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# check NAME COMMAND...: one line of TAP.
check() {
    name=$1
    shift
    count=$((count + 1))
    if "$@" >"$work/out" 2>&1; then
        echo "ok $count - $name"
    else
        echo "not ok $count - $name"
        { tail -n 20 "$work/out"; ls -l "$work" "$work/images"; } 2>&1 | sed 's/^/# /'
    fi
}

write_byte() {
    qemu-io -f qcow2 -c "write -q -P $1 0 1M" "$work/images/a"
}

# It boots from its empty disk, and stays in its firmware. QEMU is read before libxl waits for it.
started() {
    find /usr/libexec /usr/lib -name '*qemu-system-i386' -exec '{}' --version ';' &&
        xl create "$work/$guest.cfg"
}

with_a_snapshot() {
    mkdir "$work/images" && qemu-img create -q -f qcow2 "$work/images/a" 64M || return 1
    cat >"$work/$guest.cfg" <<END
name = "$guest"
type = "hvm"
memory = 128
vnc = 0
disk = [ 'format=qcow2,vdev=xvda,target=$work/images/a' ]
END
    write_byte 1 && xenwright snapshot create "$work/$guest.cfg" s1 && write_byte 2
}

# refused SAID WORD...: with status 1 and one line; the files are the same, and nothing is to be recovered.
refused() {
    said=$1
    shift
    before=$(ls "$work/images")
    xenwright snapshot "$@" 2>"$work/err" && return 1
    cat "$work/err"
    [ "$(grep -c . "$work/err")" -eq 1 ] && grep -qF "$said" "$work/err" &&
        [ "$(ls "$work/images")" = "$before" ] && xenwright snapshot recover | grep -qx 'nothing was interrupted'
}

content_is() {
    ! qemu-io -f qcow2 -c "read -q -P $1 0 1M" "$work/images/a" 2>&1 | grep . &&
        qemu-img check -q "$work/images/a"
}

reverts_when_off() {
    xl destroy "$guest" && content_is 2 &&
        xenwright snapshot revert "$work/$guest.cfg" s1 --discard-current && content_is 1 &&
        xenwright snapshot delete "$work/$guest.cfg" s1 && content_is 1 && [ "$(ls "$work/images")" = a ]
}

check "a snapshot of the VM while it is off" with_a_snapshot
check "it starts, without PV drivers" started
check "create is refused" refused "$twice" create "$guest" s2
check "create with its memory too" refused "$twice" create "$guest" s2 --memory
check "delete too: what the guest has needs the snapshot" refused "$twice" delete "$guest" s1
check "all is there once it is off" reverts_when_off
echo "1..$count"
