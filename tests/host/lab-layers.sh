#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The layers: all of them in one image, of which something that needs the running host is used; and
# what Xen does when it dies with a crash kernel at hand.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

if [ -z "$FULL" ]; then
    skip "an image with all layers" "only in a full run: it takes minutes"
    finish
fi

# in_lab COMMAND TEXT: a command for dom0's shell, and what it says.
in_lab() {
    exits 0 lab exec l -- sh -c "$1"
    says "$2"
}

crash_kernel() {
    local status=0
    exits 0 lab exec l -- sh -c 'kexec -p /boot/vmlinuz-$(uname -r) \
        --initrd=/boot/initrd.img-$(uname -r) --append="console=ttyS0 maxcpus=1 panic=1"'
    exits 125 lab exec l -- sh -c 'xl debug-keys C; sleep 60'
    same crashed "$(status_of l)"
    exits 0 lab log l --crash
    says "triggering crashdump"
}

layers=()
for layer in "$SOURCE"/lab/layers/*; do
    [[ $layer == */base ]] || layers+=(--with "$(basename "$layer")")
done
for RELEASE in trixie bookworm; do
    up l --bare --fresh --release "$RELEASE" "${layers[@]}" --xen-args crashkernel=128M
    ok "$RELEASE btrfs: file systems with reflinks" in_lab 'cd /root && truncate -s 512M b x &&
        mkfs.btrfs -q b && mkfs.xfs -q x && mkdir m && mount -o loop b m && echo reflink >m/a &&
        cp --reflink=always m/a m/c && cat m/c && umount m && mount -o loop x m && umount m' reflink
    ok "$RELEASE ceph: its programs" in_lab 'ceph --version; rbd --version; modprobe rbd' 'ceph version'
    ok "$RELEASE dkms: what the running kernel's modules need" in_lab \
        'dkms --version >/dev/null && cat /lib/modules/$(uname -r)/build/Makefile' include
    ok "$RELEASE gluster: a server that answers" in_lab \
        'systemctl start glusterd && gluster --mode=script peer status' 'Number of Peers: 0'
    ok "$RELEASE iscsi: a target and who logs in to it" in_lab 'modprobe iscsi_tcp &&
        systemctl start tgt iscsid && truncate -s 16M /root/lun &&
        tgtadm --op new --mode target --tid 1 -T iqn.2026-01.test:a &&
        tgtadm --op new --mode logicalunit --tid 1 --lun 1 -b /root/lun &&
        tgtadm --op bind --mode target --tid 1 -I ALL &&
        iscsiadm -m discovery -t sendtargets -p 127.0.0.1 && iscsiadm -m node -l &&
        iscsiadm -m node -u' 'successful'
    ok "$RELEASE libvirt: its Xen driver sees the host" in_lab \
        'timeout 300 virsh -c xen:///system list --all' 'Domain-0'
    ok "$RELEASE lvm: a thin volume" in_lab 'truncate -s 256M /root/pv && d=$(losetup -f --show /root/pv) &&
        pvcreate -q $d && vgcreate -q v $d && lvcreate -q -L 64M -T v/pool -V 1G -n thin &&
        lvs --noheadings -o lv_name v && vgremove -qf v && losetup -d $d' thin
    ok "$RELEASE ovs: a bridge" in_lab 'systemctl start openvswitch-switch &&
        ovs-vsctl add-br o && ovs-vsctl show && ovs-vsctl del-br o' 'Bridge o'
    ok "$RELEASE thermald: it is there" in_lab 'thermald --version' .
    ok "$RELEASE kexec: key C, with a crash kernel" crash_kernel
    lab down l >/dev/null 2>&1
done

finish
