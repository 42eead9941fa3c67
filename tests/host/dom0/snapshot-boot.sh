#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A revert that a power cut left between two disks is finished by the boot, before xendomains starts
# any VM. Runs as root in a lab; prints TAP.

count=0
work=$(mktemp -d) || exit 1
unit=xenwright-recover.service

finish() {
    systemctl disable -q "$unit" 2>/dev/null
    rm -rf "$work" /var/lib/xenwright/snapshots
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
        { tail -n 20 "$work/out"; systemctl status --no-pager "$unit"; ls -l "$work"; } 2>&1 | sed 's/^/# /'
    fi
}

fill() {
    for disk in a b; do
        qemu-io -f qcow2 -c "write -q -P $1 0 64k" "$work/$disk" || return 1
    done
}

# full_of DISK BYTE
full_of() {
    qemu-io -f qcow2 -c "read -q -P $2 0 64k" "$work/$1" 2>&1 | grep -q 'verification failed' && return 1
    qemu-img check -q "$work/$1"
}

made() {
    for disk in a b; do
        qemu-img create -q -f qcow2 "$work/$disk" 16M || return 1
    done
    cat >"$work/web.cfg" <<END
name = "web"
memory = 128
disk = [ 'format=qcow2,vdev=xvda,target=$work/a', 'format=qcow2,vdev=xvdb,target=$work/b' ]
END
    fill 1 && xenwright snapshot create "$work/web.cfg" s1 && fill 2
}

# The first disk is reverted, the second is not.
cut_short() {
    XENWRIGHT_KILL_AT=swap/moved xenwright snapshot revert "$work/web.cfg" s1 --discard-current
    [ $? -eq 137 ] && full_of a 1 && full_of b 2
}

boots() {
    systemctl enable -q "$unit" && systemctl is-enabled "$unit" && systemctl start "$unit"
}

before_xendomains() {
    systemctl show -p Before "$unit" | grep -w xendomains.service
}

both_reverted() {
    full_of a 1 && full_of b 1 && xenwright snapshot recover | grep -x 'nothing was interrupted'
}

not_without() {
    xenwright snapshot delete "$work/web.cfg" s1 && systemctl start "$unit" &&
        [ "$(systemctl show -p ConditionResult --value "$unit")" = no ]
}

check "a VM that is off, with a snapshot" made
check "the revert is cut short between its disks" cut_short
check "the boot runs the recovery" boots
check "before VMs are started" before_xendomains
check "both disks are reverted" both_reverted
check "where there are no snapshots, it is not run at all" not_without
echo "1..$count"
