#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots inside of qcow2 images, of VMs that are off: made, reverted to, deleted, killed at each point.

usage: test-snapshot-internal.py XENWRIGHT
"""
import pathlib
import subprocess
import sys
import tempfile

import killing
import tap
from vms import NEEDED, Vm, content, qemu, quick_content, write

program = sys.argv[1]


class Inside:
    """A snapshot in an image, where others have a file."""

    def __init__(self, path, name):
        self.path, self.name = path, name


def whole_content(data, form="qcow2"):
    if isinstance(data, pathlib.Path):
        return content(data, form)
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "copy")
        try:
            qemu("qemu-img", "convert", "-U", "-f", form, "-O", "qcow2", "-l", data.name, data.path, copy)
        except RuntimeError as problem:
            return str(problem)
        return content(copy)


def fast_content(data, form="qcow2"):
    if isinstance(data, pathlib.Path):
        return quick_content(data, form)
    return quick_content(data.path, form, data.name)


def names_in(path):
    return sorted(line.split()[1] for line in qemu("qemu-img", "snapshot", "-l", path).splitlines()[2:])


class InternalVm(Vm):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.content = whole_content

    def data(self, vdev, identity):
        return Inside(self.disks[vdev], f"xw-{identity}")

    def owned(self, vdev, identity):
        return self.disks[vdev]

    def run(self, verb, *words, **environment):
        if verb == "create":
            words = (*words, "--internal")
        return super().run(verb, *words, **environment)

    def problems(self, unlisted=()):
        """In each image are those of ours that are listed, and no others."""
        wrong = super().problems(unlisted)
        ours = {f"xw-{snapshot['id']}" for snapshot in self.listed()}
        for path in self.disks.values():
            found = {name for name in fast_names(path) if name.startswith("xw-")}
            if found != ours:
                wrong.append(f"{path.name} holds {sorted(found)}, listed are {sorted(ours)}")
        return wrong


def fast_names(path):
    import vms
    return [name for name, _, _ in vms.internal_snapshots(path.read_bytes())]


def life(scratch):
    vm = InternalVm(program, scratch)
    vm.write()
    said = vm.does("create", vm.config, "s1")
    vm.keep("s1")
    tap.result("xvda (qcow2-internal), xvdb (qcow2-internal)" in said, "the store is qcow2-internal", said)
    for path in vm.disks.values():
        qemu("qemu-img", "snapshot", "-c", "mine", path)
    vm.write()
    said = Vm.run(vm, "create", vm.config, "s2").stdout
    vm.keep("s2")
    tap.result("xvda (qcow2-internal)" in said, "an image that holds one gets another inside without being asked", said)
    vm.write()
    vm.revert("s1", kept="before-revert-1")
    vm.sound("reverted")
    vm.write()
    vm.create("b1")
    vm.revert("s2")
    vm.sound("reverted to a branch")
    copy = vm.folder / "copy"
    vm.does("export", vm.config, "s1", copy, "--disk", "xvda")
    tap.equal(content(copy), vm.kept["s1"]["xvda"], "one can be exported")
    shown = vm.shown("s1")["disks"][0]
    tap.equal((shown["missing"], shown["bytes"]), (False, None), "show cannot tell the space")
    qemu("qemu-img", "snapshot", "-d", f"xw-{vm.shown('b1')['id']}", vm.disks["xvda"])
    vm.refuses("what the snapshot kept of it is gone", "revert", vm.config, "b1")
    for name in ("b1", "s1", "s2", "before-revert-1"):
        vm.delete(name)
        vm.sound(f"deleted {name}")
    for path in vm.disks.values():
        tap.equal(names_in(path), ["mine"], "what was made by qemu-img is still there")
        done = subprocess.run(["qemu-img", "check", path], capture_output=True, text=True)
        tap.equal(done.returncode, 0, "the image is clean")
    said = Vm.run(vm, "create", vm.config, "after").stdout
    tap.result("xvda (qcow2), xvdb (qcow2)" in said, "after the last one the rule is as before", said)


def refusals(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("beside")
    vm.refuses("has snapshots that are files beside it", "create", vm.config, "--internal")
    vm = InternalVm(program, scratch, disks=("xvda",))
    vm.create("s1")
    path = vm.disks["xvda"]
    whole = path.read_bytes()
    at = int.from_bytes(whole[64:72], "big")
    path.write_bytes(whole[:at + 12] + b"\xff\xff" + whole[at + 14:])
    vm.refuses("its table of internal snapshots is damaged", "revert", vm.config, "s1")
    path.write_bytes(whole)
    with open(path, "rb"):
        for words in (["create", vm.config], ["revert", vm.config, "s1"], ["delete", vm.config, "s1"]):
            vm.refuses("is in use by", *words)
    vm.sound("after all refusals")


def mixed(scratch):
    """--internal is about qcow2 images; a comma in a path is no end of it."""
    vm = InternalVm(program, scratch, disks=("xvda",), name="a,b")
    vm.write()
    path = vm.disks["xvda"]
    vm.config.write_text(f'name = "w"\ndisk = [ "format=qcow2, vdev=xvda, target={path}" ]\n')
    vm.create("s1")
    write(path, {3: 33})
    vm.does("revert", vm.config, "s1", "--discard-current")
    tap.equal(content(path), vm.present["xvda"], "a path with a comma")


if NEEDED:
    tap.skip("snapshots inside of images", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in (life, refusals, mixed):
            test(scratch)
        vm = InternalVm(program, scratch)
        killing.walk_linear(vm, "", pathlib.Path(scratch, "template"), fast_content)
tap.end()
