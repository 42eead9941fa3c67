# shellcheck shell=bash disable=SC2154 # log, rounds and the functions are those of bench/run
# SPDX-License-Identifier: LGPL-2.1-or-later
# Snapshots of qcow2 disks beside the bare operation of QEMU and beside libvirt: for how long a guest stands still.
# Each pair has guests, images and LVs of the same kind, one for each of the two. Part of bench/run.

# shellcheck source=bench/lib/snapshot.sh
. "$here/lib/snapshot.sh"

standstill_of_qcow2() {
    for name in one two; do qcow2_guest $name 1 >>"$log" 2>&1; done
    told "one qcow2 disk" "dom0 ours one xvda --keep" "the bare QMP transaction" "dom0 bare-qcow2 two xvda" \
        "$held" "$gap"
    told "one qcow2 disk, --quiesce=none" "dom0 ours one xvda --keep --quiesce=none" "the bare QMP transaction" \
        "dom0 bare-qcow2 two xvda" "$held" "$gap"
    told "nothing going on for a second" "dom0 idle one xvda 1" "the same" "dom0 idle two xvda 1" "$held" "$gap"
    end one two >>"$log"
    { qcow2_guest eight 8 && qcow2_guest single 1; } >>"$log" 2>&1
    told "eight qcow2 disks" "dom0 ours eight xvda --keep" "one qcow2 disk" "dom0 ours single xvda --keep" \
        "$held" "$gap"
    end single >>"$log"
    qcow2_guest bare8 8 >>"$log" 2>&1
    told "eight qcow2 disks" "dom0 ours eight xvda --keep" "the bare QMP transaction of eight" \
        "dom0 bare-qcow2 bare8 xvda" "$held" "$gap"
    end eight bare8 >>"$log"
}

# libvirt has no snapshots for Xen: beside a guest of QEMU alone, of the same version, with the same kind of image.
virsh_guest() {
    bench_in sh -exc 'qemu-img create -q -f qcow2 /srv/virsh 64M
        printf "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\n" >/etc/libvirt/qemu.conf
        systemctl restart libvirtd
        cat >/root/virsh.xml <<END
<domain type="qemu">
  <name>virsh</name>
  <memory unit="MiB">64</memory>
  <os><type arch="x86_64" machine="pc">hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2"/><source file="/srv/virsh"/><target dev="vda" bus="virtio"/>
    </disk>
  </devices>
</domain>
END
        virsh -c qemu:///system create /root/virsh.xml'
}
virsh_snapshot() {
    dom0 command virsh -q -c qemu:///system snapshot-create-as virsh "s$(date +%s%N)" --disk-only
}
ours_as_command() { dom0 command xenwright snapshot create ours "s$(date +%s%N)"; }

beside_libvirt() {
    { virsh_guest && qcow2_guest ours 1; } >>"$log" 2>&1
    told "snapshot of one qcow2 disk" ours_as_command "virsh snapshot-create-as --disk-only" virsh_snapshot \
        "the command"
    bench_in virsh -q -c qemu:///system destroy virsh >>"$log"
    end ours >>"$log"
}

prepare
standstill_of_qcow2
beside_libvirt
xenwright lab down "$lab" >>"$log" 2>&1
