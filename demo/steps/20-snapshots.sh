# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A snapshot of a running guest, a mishap, and the way back. Part of demo/run.

# QEMU, which will serve the disk, is read once before libxl waits for it with a time limit.
snapshots_guest() {
    in_dom0 qemu-img create -q -f qcow2 /root/gamma.qcow2 64M
    in_dom0 find /usr/libexec -name xen-qemu-system-i386 -exec '{}' --version ';' | sed -n 1p
    xenwright lab guest "$LAB" gamma --type pvh --disk format=qcow2,vdev=xvda,target=/root/gamma.qcow2
    in_guest gamma xw-test pattern write /dev/xvda --size 8M --seed 1
}

snapshots_create() {
    in_dom0 xenwright snapshot create gamma good
}

snapshots_mishap() {
    in_guest gamma xw-test pattern write /dev/xvda --size 8M --seed 666
}

snapshots_revert() {
    in_dom0 xenwright snapshot revert gamma good --restart
    in_guest gamma xw-test pattern verify /dev/xvda --size 8M --seed 1
    in_dom0 xenwright snapshot list gamma --tree
}

step "a guest with a qcow2 disk writes 8 MiB to it" snapshots_guest
step "a snapshot is made while it runs" snapshots_create
step "the disk is overwritten" snapshots_mishap
step "it is put back, and the guest reads what it wrote" snapshots_revert
