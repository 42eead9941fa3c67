#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of `xenwright snapshot` at every point of every operation on VMs that do not run; see killing.py.

usage: test-snapshot-killed.py XENWRIGHT
"""
import pathlib
import sys
import tempfile

import tap
from killing import reverted, snapshots, walk, walk_linear, walk_recovery, with_one, without
from vms import NEEDED, Vm, quick_content

program = sys.argv[1]


def walk_running(scratch, template):
    """What is written between the kill and the next command stays, and is in no snapshot of before."""
    vm = Vm(program, scratch)
    vm.content = quick_content
    vm.write()
    vm.create("s1")
    vm.write()
    start = snapshots(vm)
    walk(vm, "another snapshot, the VM ran since", ["create", vm.config, "s2"], [start, with_one(start, "s2")],
         template, runs=True)
    walk(vm, "delete, the VM ran since", ["delete", vm.config, "s1"], [start, without(start, "s1")], template,
         runs=True)
    vm = Vm(program, scratch, disks=("xvda",))
    vm.content = quick_content
    vm.write()
    vm.create("s1")
    vm.write()
    start = snapshots(vm)
    kept = with_one(start, "before-revert-1")
    walk(vm, "revert, the VM ran since", ["revert", vm.config, "s1", "--discard-current"],
         [start, reverted(start, "s1")], template, runs=True)
    walk(vm, "revert and keep, the VM ran since", ["revert", vm.config, "s1"],
         [start, kept, reverted(kept, "s1")], template, runs=True)


def walk_recoveries(scratch, template):
    vm = Vm(program, scratch)
    vm.content = quick_content
    vm.write()
    vm.create("s1")
    vm.write()
    vm.create("s2")
    vm.write()
    start = snapshots(vm)
    for first in ("qcow2/overlay-ready:1", "qcow2/renamed:1", "create/taken:1"):
        walk_recovery(vm, "create", ["create", vm.config, "s3"], first, [start, with_one(start, "s3")], template)
    for first in ("qcow2/overlay-made:1", "swap/linked:1", "swap/moved:1", "swap/linked:2"):
        walk_recovery(vm, "revert", ["revert", vm.config, "s1", "--discard-current"], first,
                      [start, reverted(start, "s1")], template)
    for first in ("qcow2/rebasing:1", "swap/moved:1", "qcow2/dropped:1", "record/written:1"):
        name = "s1" if first == "record/written:1" else "s2"
        walk_recovery(vm, f"delete {name}", ["delete", vm.config, name], first, [start, without(start, name)], template)


def written_before_the_copy_came(scratch):
    """A VM has opened the image just before a copy took its place, and we are killed before that is noticed."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    vm.write()
    vm.run("delete", vm.config, "s1", XENWRIGHT_KILL_AT="swap/moved")
    copy, image = vm.disks["xvda"], next(vm.images.glob("*.old"))
    vm.disks["xvda"] = image  # what that VM has open, whatever it is called by now
    vm.write()
    vm.disks["xvda"] = copy
    vm.does("recover")
    del vm.kept["s1"]
    vm.sound("what it has written is there")


def deletions_come_last(scratch):
    """A VM that stands between two states is not kept waiting for what another one has to copy."""
    copied, torn = (Vm(program, scratch, name=name) for name in ("a", "b"))
    torn.state = copied.state
    for vm in (copied, torn):
        vm.write()
        vm.create("s1")
        vm.write()
    copied.run("delete", copied.config, "s1", XENWRIGHT_KILL_AT="qcow2/rebased")
    torn.run("revert", torn.config, "s1", "--discard-current", XENWRIGHT_KILL_AT="swap/moved")
    torn.back("s1")
    tap.equal(len(torn.problems_of_present()), 1, "one disk is put back, the other one not")
    tap.equal(copied.run("recover", XENWRIGHT_KILL_AT="qcow2/copied").returncode, -9, "recover is killed as it copies")
    tap.equal(torn.problems_of_present(), [], "by then both disks are put back")
    tap.equal(copied.does("recover"), "1 interrupted operations were finished or undone\n", "the deletion is left")
    del copied.kept["s1"]
    tap.equal(copied.problems_of_present(), [], "and goes on")


def not_mounted(scratch):
    """What is looked for on a file system that is not there yet is not taken for done; later it goes on."""
    for first, words in (("qcow2/renamed:1", ["create", "s2"]), ("swap/moved:1", ["revert", "s1", "--discard-current"]),
                         ("qcow2/copied:1", ["delete", "s1"]), (None, ["delete", "s1"])):
        vm = Vm(program, scratch)
        vm.content = quick_content
        vm.write()
        vm.create("s1")
        vm.write()
        start = snapshots(vm)
        command = [words[0], vm.config, *words[1:]]
        if first:
            vm.run(*command, XENWRIGHT_KILL_AT=first)
        away = vm.images.with_name("away")
        vm.images.rename(away)
        vm.images.mkdir()
        done = vm.run("recover") if first else vm.run(*command)
        tap.result(done.returncode == 1 and "is its file system mounted?" in done.stderr,
                   f"{words[0]}, nothing is mounted: it fails", done.stdout + done.stderr)
        vm.images.rmdir()
        away.rename(vm.images)
        vm.does("recover")
        ends = {"create": start, "revert": reverted(start, "s1"), "delete": without(start, "s1") if first else start}
        vm.kept, vm.present = ends[words[0]]
        vm.sound(f"{words[0]}, mounted again")


def walk_branches(vm, template):
    vm.revert("s1")
    vm.write()
    vm.create("b1")
    vm.write()
    start = snapshots(vm)
    walk(vm, "delete, into two branches", ["delete", vm.config, "s1"], [start, without(start, "s1")], template)
    walk(vm, "delete with children", ["delete", vm.config, "s1", "--children"],
         [start, without(start, "s2"), without(start, "b1"), without(start, "s2", "b1"),
          without(start, "s1", "s2", "b1")], template)


if NEEDED:
    tap.skip("kill -9 of snapshot", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        vm = Vm(program, scratch)
        walk_linear(vm, "", pathlib.Path(scratch, "template"))
        walk_branches(vm, pathlib.Path(scratch, "template"))
        written_before_the_copy_came(scratch)
        deletions_come_last(scratch)
        not_mounted(scratch)
        walk_running(scratch, pathlib.Path(scratch, "template"))
        walk_recoveries(scratch, pathlib.Path(scratch, "template"))
tap.end()
