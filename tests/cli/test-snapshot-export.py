#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`xenwright snapshot export`: the copy holds what the snapshot does, and stands on its own.

usage: test-snapshot-export.py XENWRIGHT
"""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile

import tap
from vms import NEEDED, Vm, content

program = os.path.abspath(sys.argv[1])


def copies(scratch):
    vm = Vm(program, scratch)
    for name in ("s1", "s2"):
        vm.write()
        vm.create(name)
    vm.write()
    for name, vdev, form, words in (("s1", "xvda", "qcow2", []), ("s2", "xvdb", "raw", ["--format", "raw"])):
        target = vm.folder / f"{name}.{form}"
        said = vm.does("export", vm.config, name, target, "--disk", vdev, *words)
        tap.equal(said, f"'{target}' is a copy of '{name}' of '{vm.config}'\n", f"export of {name}: what it says")
        tap.equal(content(target, form), vm.kept[name][vdev], f"export of {name}: the content is right")
    vm.does("export", vm.config, "s1", vm.folder / "dry", "--disk", "xvda", "--dry-run")
    tap.equal(sorted(path.name for path in vm.folder.iterdir()),
              ["images", "s1.qcow2", "s2.raw", "state", "web.cfg"], "nothing else is there")
    expected = vm.kept["s1"]["xvda"]
    for name in ("s1", "s2"):
        vm.delete(name)
    tap.equal(content(vm.folder / "s1.qcow2"), expected, "the copy needs no snapshot")
    vm.sound("at the end")


def mistakes(scratch):
    vm = Vm(program, scratch)
    vm.write()
    vm.create("s1")
    there = vm.folder / "there"
    there.write_text("mine")
    for said, words in (("several disks", ["s1", vm.folder / "new"]),
                        ("has no disk 'xvdz'", ["s1", vm.folder / "new", "--disk", "xvdz"]),
                        ("has no snapshot 's9'", ["s9", vm.folder / "new", "--disk", "xvda"]),
                        ("is there already", ["s1", there, "--disk", "xvda"]),
                        ("No such file or directory", ["s1", vm.folder / "no" / "new", "--disk", "xvda"])):
        vm.refuses(said, "export", vm.config, *words)
    tap.equal(there.read_text(), "mine", "the file that was there is as it was")
    tap.equal((vm.folder / "new").exists() or (vm.folder / "new.part").exists(), False, "no file is left")
    (vm.folder / "late.part").touch()
    vm.refuses("late.part' is there already, of an export that was killed perhaps: remove it", "export", vm.config, "s1",
               vm.folder / "late", "-d", "xvda")


def odd_names(scratch):
    """What looks like an option, or like a URL of QEMU's, is a file all the same."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    with contextlib.chdir(vm.folder):
        for name in ("-x.qcow2", "nbd:y,z"):
            vm.does("export", vm.config, "s1", "--", name)
            tap.equal(content(vm.folder / name), vm.kept["s1"]["xvda"], f"{name}: the content is right")


@contextlib.contextmanager
def held_up(vm, **options):
    """An export to `copy`, by a copier that waits for a line."""
    tools, gate = vm.folder / "tools", vm.folder / "gate"
    if not tools.exists():
        tools.mkdir()
        os.mkfifo(gate)
        (tools / "qemu-img").write_text(f"#!/bin/sh\nread line <{gate}\nexec /usr/bin/env PATH='{os.environ['PATH']}' "
                                        'qemu-img "$@"\n')
        (tools / "qemu-img").chmod(0o755)
    environment = dict(os.environ, XENWRIGHT_STATE=str(vm.state), PATH=f"{tools}:{os.environ['PATH']}")
    with subprocess.Popen([program, "snapshot", "export", str(vm.config), "s1", str(vm.folder / "copy")],
                          env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          **options) as copying:
        with open(gate, "w", encoding="utf-8") as hold:  # opens once the copier reads
            yield copying, hold


def locked(scratch):
    """A snapshot that is being exported is not deleted."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    with held_up(vm) as (copying, hold):
        vm.refuses("is being exported", "delete", vm.config, "s1")
        hold.write("go\n")
        hold.flush()
        tap.equal(copying.wait(timeout=60), 0, "the export ends well")
    tap.equal(content(vm.folder / "copy"), vm.kept["s1"]["xvda"], "its copy is right")
    vm.delete("s1")
    vm.sound("after both")


def ended(scratch):
    """By any of the usual signals: what was begun is removed, unless it was started to ignore them."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Who runs this may have it ignored.
        with held_up(vm, preexec_fn=lambda number=number: signal.signal(number, signal.SIG_DFL)) as (copying, _):
            copying.send_signal(number)
            said = copying.communicate(timeout=60)[1]
        left = [path.name for path in vm.folder.glob("copy*")]
        tap.equal((copying.returncode, left), (1, []), f"ended by {number.name}: it fails, and no file is left")
        tap.result("was not written: cancelled" in said, f"ended by {number.name}: it says so", said)
        for name in left:
            (vm.folder / name).unlink()
    with held_up(vm, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as (copying, hold):
        copying.send_signal(signal.SIGHUP)
        hold.write("go\n")
        hold.flush()
        tap.equal(copying.wait(timeout=60), 0, "under nohup it goes on")


if NEEDED:
    tap.skip("snapshot export", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in (copies, mistakes, odd_names, locked, ended):
            test(scratch)
tap.end()
