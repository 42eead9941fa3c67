#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of raw images in a btrfs subvolume of their own: made, reverted to, deleted, killed at each point.

usage: test-snapshot-btrfs.py XENWRIGHT

A btrfs is made in a file and mounted, which takes root and btrfs-progs.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import killing
import tap
from vms import NEEDED, Vm, write

program = sys.argv[1]


def btrfs(*words):
    return subprocess.run(["btrfs", *map(str, words)], check=True, capture_output=True, text=True).stdout


def is_subvolume(path):
    return path.is_dir() and path.stat().st_ino == 256


def is_read_only(path):
    return "ro=true" in btrfs("property", "get", path, "ro")


def remove(folder):
    for path in folder.iterdir() if folder.exists() else ():
        if is_subvolume(path):
            btrfs("subvolume", "delete", path)
    shutil.rmtree(folder, ignore_errors=True)


def copy(source, target):
    """With subvolumes as subvolumes."""
    target.mkdir()
    for path in source.iterdir():
        if is_subvolume(path):
            btrfs("subvolume", "snapshot", *(["-r"] if is_read_only(path) else []), path, target / path.name)
        else:
            subprocess.run(["cp", "-a", path, target], check=True)


class SubvolumeVm(Vm):
    """Its images are in a subvolume."""

    def make_folder(self):
        btrfs("subvolume", "create", self.images)

    def data(self, vdev, identity):
        return self.owned(vdev, identity) / self.disks[vdev].name

    def owned(self, vdev, identity):
        return pathlib.Path(f"{self.images}.xw-{identity}")

    def beside(self):
        return [*self.images.iterdir(), *self.folder.glob("images.*")]

    def save(self, template):
        remove(template)
        copy(self.folder, template)

    def restore(self, template):
        remove(self.folder)
        copy(template, self.folder)


def life(where, scratch):
    vm = SubvolumeVm(program, scratch, form="raw", folder=where / "vm")
    vm.write()
    said = vm.does("create", vm.config, "s1")
    vm.keep("s1")
    tap.result("xvda (btrfs-subvolume), xvdb (btrfs-subvolume)" in said, "the store is btrfs-subvolume", said)
    identity = vm.shown("s1")["id"]
    tap.equal(is_read_only(vm.owned("xvda", identity)), True, "the snapshot is read-only")
    vm.write()
    vm.create("s2")
    other = vm.images / "notes"
    other.write_text("new")
    vm.write()
    vm.revert("s1", kept="before-revert-1")
    tap.equal(other.read_text(), "new", "what else is in the subvolume stays as it is")
    other.unlink()
    vm.sound("reverted")
    vm.write()
    vm.create("b1")
    vm.revert("s2")
    vm.sound("reverted to a branch")
    shown = vm.shown("s1")["disks"][0]
    tap.result(shown["bytes"] is not None and shown["bytes"] <= 16 * 32768 and not shown["missing"],
               "show tells the space that it takes by itself", shown)
    vm.does("export", vm.config, "s1", vm.folder / "copy", "--disk", "xvda", "--format", "raw")
    tap.equal(vm.content(vm.folder / "copy", "raw"), vm.kept["s1"]["xvda"], "one can be exported")
    for name in ("s1", "b1", "s2", "before-revert-1"):
        vm.delete(name)
        vm.sound(f"deleted {name}")


def sent(where, scratch):
    """It is a subvolume that btrfs can send."""
    vm = SubvolumeVm(program, scratch, form="raw", disks=("xvda",), folder=where / "sent")
    vm.write()
    vm.create("s1")
    snapshot = vm.owned("xvda", vm.shown("s1")["id"])
    stream, received = vm.folder / "stream", vm.folder / "received"
    received.mkdir()
    btrfs("send", "-q", "-f", stream, snapshot)
    btrfs("receive", "-q", "-f", stream, received)
    tap.equal(vm.content(received / snapshot.name / vm.disks["xvda"].name, "raw"), vm.kept["s1"]["xvda"],
              "it can be sent and received")


def taken_away(where, scratch):
    vm = SubvolumeVm(program, scratch, form="raw", folder=where / "away")
    vm.write()
    vm.create("s1")
    btrfs("subvolume", "delete", vm.owned("xvda", vm.shown("s1")["id"]))
    vm.refuses("what the snapshot kept of it is gone", "revert", vm.config, "s1")
    vm.delete("s1")
    vm.sound("one that was removed by hand is deleted")


def store_of(vm):
    return {line.split()[-1] for line in vm.does("create", vm.config, "--dry-run").strip().split(":")[1].split(",")}


def chosen(where, scratch):
    """Only where the subvolume is one of images; else the files are cloned."""
    vm = SubvolumeVm(program, scratch, form="raw", disks=("xvda",), folder=where / "chosen")
    tap.equal(store_of(vm), {"(btrfs-subvolume)"}, "a subvolume of images")
    (vm.images / "folder").mkdir()
    tap.equal(store_of(vm), {"(reflink)"}, "one with a folder in it: reflink")
    (vm.images / "folder").rmdir()
    btrfs("subvolume", "create", vm.images / "below")
    tap.equal(store_of(vm), {"(reflink)"}, "one with a subvolume in it: reflink")
    btrfs("subvolume", "delete", vm.images / "below")
    plain = Vm(program, scratch, form="raw", disks=("xvda",), folder=where / "plain")
    tap.equal(store_of(plain), {"(reflink)"}, "a folder that is no subvolume: reflink")
    device = subprocess.run(["findmnt", "-no", "SOURCE", where], capture_output=True, text=True).stdout.strip()
    point = pathlib.Path(scratch, "point")
    point.mkdir()
    subprocess.run(["mount", "-o", "subvol=chosen/images", device, point], check=True)
    try:
        vm.config.write_text(vm.config.read_text().replace(str(vm.images), str(point)))
        tap.equal(store_of(vm), {"(reflink)"}, "a subvolume that is mounted: reflink")
    finally:
        subprocess.run(["umount", point], check=True)
    top = where / "web-xvda.raw"
    shutil.copy(plain.disks["xvda"], top)
    plain.config.write_text(plain.config.read_text().replace(str(plain.disks["xvda"]), str(top)))
    tap.equal(store_of(plain), {"(reflink)"}, "the file system itself: reflink")
    top.unlink()


def without_cow(where, scratch, kind, store):
    """Images without copy-on-write: on btrfs their clones have to be without it, too."""
    vm = kind(program, scratch, form="raw", disks=("xvda",), folder=where / f"nocow-{store}")
    path = vm.disks["xvda"]
    path.unlink()
    path.touch()
    subprocess.run(["chattr", "+C", path], check=True)
    with open(path, "r+b") as file:
        file.truncate(16 * 32768)
    vm.write()
    tap.equal(store_of(vm), {f"({store})"}, f"an image without copy-on-write: {store}")
    vm.create("s1")
    vm.write()
    vm.revert("s1", kept="before-revert-1")
    vm.sound(f"an image without copy-on-write is reverted, {store}")
    flags = subprocess.run(["lsattr", path], capture_output=True, text=True).stdout.split()[0]
    tap.result("C" in flags, f"and is still without, {store}", flags)


def killed(where, scratch):
    vm = SubvolumeVm(program, scratch, form="raw", folder=where / "killed")
    killing.walk_linear(vm, "", where / "template")


def mixed(where, scratch):
    """A VM with images in a subvolume, and one beside it."""
    vm = SubvolumeVm(program, scratch, form="raw", folder=where / "mixed")
    other = vm.folder / "other.raw"
    shutil.copy(vm.disks["xvda"], other)
    text = vm.config.read_text()
    vm.config.write_text(text.replace(" ]", f", 'format=raw, vdev=xvdc, target={other}' ]"))
    for point in ("btrfs/taken:1", "btrfs/taken:2", "reflink/cloned:1"):
        done = vm.run("create", vm.config, "s1", XENWRIGHT_KILL_AT=point)
        tap.equal(done.returncode, -9, f"killed at {point}")
        tap.equal(vm.does("recover"), "1 interrupted operations were finished or undone\n", f"{point}: recovered")
        tap.equal((vm.listed(), len(vm.beside()), [path.name for path in vm.folder.glob("other*")]),
                  ([], 2 + 0, ["other.raw"]), f"{point}: nothing is left")
    said = vm.does("create", vm.config, "s1")
    tap.result("xvdb (btrfs-subvolume), xvdc (reflink)" in said, "each disk has its store", said)
    write(other, {1: 7}, "raw")
    vm.does("revert", vm.config, "s1", "--discard-current")
    tap.equal(vm.content(other, "raw"), [0] * 16, "all of them are reverted")


def why_not():
    if os.geteuid() != 0:
        return "mounting takes root"
    lacking = NEEDED + [name for name in ("btrfs", "mkfs.btrfs", "chattr") if not shutil.which(name)]
    return f"{', '.join(lacking)} not installed" if lacking else ""


def run_all(scratch):
    image, where = pathlib.Path(scratch, "btrfs.img"), pathlib.Path(scratch, "btrfs")
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    where.mkdir()
    for argv in (["mkfs.btrfs", "-q", image], ["mount", "-o", "loop", image, where]):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            tap.skip("snapshots of btrfs subvolumes", f"{argv[0]}: {done.stderr.strip()}")
            return
    try:
        for test in (life, sent, taken_away, chosen, mixed, killed):
            test(where, scratch)
        without_cow(where, scratch, Vm, "reflink")
        without_cow(where, scratch, SubvolumeVm, "btrfs-subvolume")
    finally:
        subprocess.run(["umount", where], check=True)


if why_not():
    tap.skip("snapshots of btrfs subvolumes", why_not())
else:
    with tempfile.TemporaryDirectory() as scratch:
        run_all(scratch)
tap.end()
