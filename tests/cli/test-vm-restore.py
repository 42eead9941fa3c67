#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright vm restore` looks at before it starts anything: the file, and whether the disks are still those of
its instant. And what `vm save` refuses where nothing runs.

usage: test-vm-restore.py XENWRIGHT
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

import saves
import tap
from vms import NEEDED, Vm, qemu, tree, write

program = os.path.abspath(sys.argv[1])


def new_vm(scratch, **how):
    vm = Vm(program, scratch, **how)
    vm.write()
    vm.create("saved-1")
    return vm, saves.make(vm, "saved-1", vm.folder / "web.save")


def would(vm, said, *words):
    """Whether it could be restored, by --dry-run, which changes nothing."""
    before = tree(vm.images, vm.state)
    done = saves.restore(vm, "--dry-run", *words)
    tap.equal((done.returncode, done.stdout, done.stderr), (0, said + "\n", ""), f"dry run: {said}")
    tap.equal(tree(vm.images, vm.state), before, f"{said}: nothing has changed")


def refused(vm, said, *words, status=1):
    before = tree(vm.images)
    done = saves.restore(vm, *words)
    tap.equal((done.returncode, done.stdout), (status, ""), f"{said}: status {status}, no output")
    tap.result(said in done.stderr and done.stderr.count("\n") == 1, f"{said}: the one line says so", done.stderr)
    tap.equal(tree(vm.images), before, f"{said}: the disks are as they were")


def files(scratch):
    vm, good = new_vm(scratch)
    would(vm, "would restore 'web'", good)
    refused(vm, "No such file or directory", vm.folder / "none")
    refused(vm, "is not a regular file", vm.folder)
    bad = vm.folder / "bad.save"
    bad.write_bytes(b"")
    refused(vm, "is no file that 'xl save' or 'vm save' has written", bad)
    shutil.copy(vm.config, bad)
    refused(vm, "is no file that 'xl save' or 'vm save' has written", bad)
    bad.write_bytes(saves.head(saves.libxl_json(vm), b"") + bytes(4096))
    refused(vm, "was written by 'xl save', which keeps no disks", bad)
    whole = good.read_bytes()
    for length in (20, 100, len(whole) - 4096, len(whole) - 1):
        bad.write_bytes(whole[:length])
        refused(vm, "it is cut off", bad)
    bad.write_bytes(whole + b"\0")
    refused(vm, "it has become longer", bad)
    changed = bytearray(whole)
    changed[-5000] ^= 1
    bad.write_bytes(changed)
    refused(vm, "it is not what was written", bad)
    changed = bytearray(whole)
    changed[60] ^= 1
    bad.write_bytes(changed)
    tap.equal(saves.restore(vm, bad).returncode, 1, "a bit of the configuration: refused")
    refused(vm, "it was not finished", saves.make(vm, "saved-1", bad, size=0))
    refused(vm, "by a later version", saves.make(vm, "saved-1", bad, format=2))
    refused(vm, "has no id", saves.make(vm, "saved-1", bad, vm="../../etc"))


def places(scratch):
    vm, good = new_vm(scratch)
    away = saves.make(vm, "saved-1", vm.folder / "away.save", vm="0123456789abcdef", host="elsewhere")
    refused(vm, "was saved on the host 'elsewhere'", away)
    away = saves.make(vm, "saved-1", vm.folder / "away.save", host="elsewhere")
    would(vm, "would restore 'web'", away)  # the records have come to this host with the disks
    refused(vm, "no Xen runs here to restore 'web' on", good)
    refused(vm, "--discard-current is of use with --revert-disks only", "--discard-current", good, status=2)
    refused(vm, "arguments are missing", status=2)
    vm.delete("saved-1")
    refused(vm, "the snapshot 'saved-1' of 'web', which has the disks that belong to", good)


def disks(scratch):
    vm, good = new_vm(scratch)
    vm.create("later")  # of the same content: nothing was written between
    would(vm, "would restore 'web'", good)
    write(vm.disks["xvdb"], {0: vm.present["xvdb"][0]})
    would(vm, "would restore 'web'", good)  # what was there already was written
    write(vm.disks["xvdb"], {3: 99})
    refused(vm, f"disk xvdb: '{vm.disks['xvdb']}' has been written to since", good)
    would(vm, "would restore 'web', once its disks are put back to 'saved-1'", "--revert-disks", good)
    done = saves.restore(vm, "--dry-run", "--revert-disks", "--json", good)
    shown = json.loads(done.stdout)
    tap.equal((shown["name"], shown["domid"], shown["disks_reverted"], shown["snapshot"]),
              ("web", None, True, "saved-1"), "the same as JSON")
    vm.revert("saved-1")
    would(vm, "would restore 'web'", good)


def identities(scratch):
    vm, good = new_vm(scratch)
    qemu("qemu-img", "resize", "-q", vm.disks["xvda"], "+1M")
    refused(vm, "has another size than when it was saved", good)
    refused(vm, "has another size than when it was saved", "--revert-disks", good)
    vm, good = new_vm(scratch)
    link = vm.images / "link"
    link.symlink_to(vm.disks["xvda"])
    linked = saves.make(vm, "saved-1", vm.folder / "linked.save",
                        config=saves.libxl_json(vm, pdev_path=str(link)))
    would(vm, "would restore 'web'", linked)
    link.unlink()
    shutil.copy(vm.disks["xvda"], vm.images / "other.qcow2")
    link.symlink_to(vm.images / "other.qcow2")
    refused(vm, f"'{link}' leads to '{vm.images}/other.qcow2' now", linked)
    data = pathlib.Path(f"{vm.disks['xvdb']}.xw-{vm.shown('saved-1')['id']}")
    data.rename(data.with_suffix(".away"))
    refused(vm, "disk xvdb: ", good)


def saving(scratch):
    vm, _ = new_vm(scratch)
    for said, status, words in (
            ("does not run: it has no memory to keep", 1, (vm.config, vm.folder / "new.save")),
            ("No such file or directory", 1, (vm.config, vm.folder / "none" / "new.save")),
            ("is a folder: give the name of a file in it", 1, (vm.config, f"{vm.folder}/")),
            ("'nobody' is no domain that runs", 1, ("nobody", vm.folder / "new.save")),
            ("cannot be the name of a snapshot", 2, ("--name", "a/b", "web", vm.folder / "new.save")),
            ("--no-live is of use with --checkpoint only", 2, ("--no-live", "web", vm.folder / "new.save")),
            ("too few arguments", 2, ("web",))):
        before = tree(vm.images)
        done = tap.run([program, "vm", "save", *map(str, words)],
                       env=dict(os.environ, XENWRIGHT_STATE=str(vm.state)))
        tap.equal((done.returncode, done.stdout), (status, ""), f"vm save: {said}: status {status}, no output")
        tap.result(said in done.stderr and done.stderr.count("\n") == 1, f"vm save: {said}: in one line", done.stderr)
        tap.equal(tree(vm.images), before, f"vm save: {said}: nothing has changed")
    tap.equal(list(vm.folder.glob("*.part")), [], "no file was left")


if NEEDED:
    tap.skip("files of 'vm save'", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in (files, places, disks, identities, saving):
            if len(sys.argv) < 3 or test.__name__ in sys.argv[2:]:
                test(scratch)
tap.end()
