#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of raw images on file systems with reflinks: made, reverted to, branched, deleted, killed at each point.

usage: test-snapshot-reflink.py XENWRIGHT

btrfs and XFS are made in a file and mounted, which takes root and their mkfs.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import killing
import saves
import tap
from vms import NEEDED, Vm, write

program = sys.argv[1]


def mounted(kind, scratch):
    """(where, why not)"""
    if os.geteuid() != 0:
        return None, "mounting takes root"
    if not shutil.which(f"mkfs.{kind}"):
        return None, f"mkfs.{kind} is not installed"
    image, where = pathlib.Path(scratch, f"{kind}.img"), pathlib.Path(scratch, kind)
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    where.mkdir()
    for argv in ([f"mkfs.{kind}", "-q", image], ["mount", "-o", "loop", image, where]):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            return None, f"{argv[0]}: {done.stderr.strip()}"
    return where, ""


def life(kind, where, scratch):
    vm = Vm(program, scratch, form="raw", folder=where / "vm")
    vm.write()
    said = vm.does("create", vm.config, "s1")
    vm.keep("s1")
    tap.result("xvda (reflink), xvdb (reflink)" in said, f"{kind}: the store is reflink", said)
    vm.write()
    vm.create("s2")
    vm.write()
    vm.sound(f"{kind}: two snapshots")
    shown = vm.shown("s1")["disks"][0]
    tap.result(shown["store"] == "reflink" and shown["bytes"] is not None and shown["bytes"] < 16 * 32768
               and not shown["missing"], f"{kind}: show tells the space that it takes by itself", shown)
    vm.revert("s1", kept="before-revert-1")
    vm.sound(f"{kind}: reverted")
    vm.write()
    vm.create("b1")
    vm.revert("s2")
    vm.sound(f"{kind}: reverted to a branch")
    for name in ("s1", "b1"):
        vm.delete(name)
        vm.sound(f"{kind}: deleted {name}")
    pathlib.Path(vm.shown("s2")["disks"][1]["data"]).unlink()
    vm.refuses("what the snapshot kept of it is gone", "revert", vm.config, "s2")
    vm.delete("s2")
    vm.delete("before-revert-1")
    vm.sound(f"{kind}: all deleted")


def sizes(kind, where, scratch):
    """Images that are not whole blocks, empty ones, and one that has grown since."""
    for size in (0, 100, 4096, 5000, (1 << 20) + 512):
        vm = Vm(program, scratch, form="raw", disks=("xvda",), folder=where / f"size-{size}")
        path = vm.disks["xvda"]
        data = os.urandom(size)
        path.write_bytes(data)
        vm.does("create", vm.config, "s1")
        path.write_bytes(data + b"more")
        vm.does("revert", vm.config, "s1")
        tap.equal(path.read_bytes() == data, True, f"{kind}: an image of {size} bytes is what it was")
        vm.does("delete", vm.config, "before-revert-1")
        vm.does("delete", vm.config, "s1")
        tap.equal(os.listdir(vm.images), [path.name], f"{kind}: an image of {size} bytes: nothing is left")


def both_kinds(kind, where, scratch):
    """A VM with a qcow2 and a raw image."""
    vm = Vm(program, scratch, folder=where / "both")
    raw = vm.images / "web-xvdr.raw"
    raw.write_bytes(b"\1" * (1 << 20))
    entries = [f"'format=qcow2, vdev={vdev}, access=rw, target={path}'" for vdev, path in vm.disks.items()]
    vm.config.write_text(f'name = "web"\ndisk = [ {", ".join(entries)}, \'format=raw, vdev=xvdr, target={raw}\' ]\n')
    done = vm.run("create", vm.config, "s1", XENWRIGHT_KILL_AT="qcow2/renamed:2")
    tap.equal(done.returncode, -9, f"{kind}: killed when the qcow2 images are taken, and the raw one is not")
    write(vm.disks["xvda"], {3: 9})
    vm.present["xvda"][3] = 9
    raw.write_bytes(b"\2" * (1 << 20))
    tap.equal(vm.does("recover"), "1 interrupted operations were finished or undone\n", f"{kind}: recovered")
    tap.equal(vm.listed(), [], f"{kind}: there is no half snapshot")
    wrong = vm.problems_of_present()
    tap.result(not wrong and raw.read_bytes() == b"\2" * (1 << 20), f"{kind}: what was written stays", "\n".join(wrong))
    tap.equal(sorted(os.listdir(vm.images)), ["web-xvda.qcow2", "web-xvdb.qcow2", "web-xvdr.raw"],
              f"{kind}: nothing is left")


def restores(kind, where, scratch):
    """Whether 'vm restore' finds the disks as they were: from their blocks alone where those are shared."""
    vm = Vm(program, scratch, form="raw", disks=("xvda",), folder=where / "restores")
    vm.write()
    vm.create("saved-1")
    file = saves.make(vm, "saved-1", vm.folder / "web.save")
    done = saves.restore(vm, "--dry-run", file, PATH="/nowhere")
    tap.equal((done.stdout, done.stderr), ("would restore 'web'\n", ""), f"{kind}: nothing was written: no comparison")
    write(vm.disks["xvda"], {5: vm.present["xvda"][5]}, "raw")
    done = saves.restore(vm, "--dry-run", file)
    tap.equal((done.stdout, done.stderr), ("would restore 'web'\n", ""), f"{kind}: the same was written")
    write(vm.disks["xvda"], {5: 99}, "raw")
    done = saves.restore(vm, "--dry-run", file)
    tap.result(done.returncode == 1 and "has been written to since" in done.stderr, f"{kind}: written to", done.stderr)


def killed(kind, where, scratch):
    vm = Vm(program, scratch, form="raw", folder=where / "killed")
    killing.walk_linear(vm, f"{kind}: ", where / "template")


with tempfile.TemporaryDirectory() as scratch:
    for kind in ("btrfs", "xfs"):
        where, reason = (None, f"{', '.join(NEEDED)} not installed") if NEEDED else mounted(kind, scratch)
        if not where:
            tap.skip(f"snapshots of raw images on {kind}", reason)
            continue
        try:
            for test in (life, sizes, both_kinds, restores, killed):
                test(kind, where, scratch)
        finally:
            subprocess.run(["umount", where], check=True)
tap.end()
