#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright snapshot` refuses, and what it does with records that are damaged: one line that says what is
wrong, the right status, and nothing changes.

usage: test-snapshot-mistakes.py XENWRIGHT
"""
import json
import os
import pathlib
import re
import struct
import sys
import tempfile

import tap
from vms import NEEDED, Vm, make_image

program = os.path.abspath(sys.argv[1])


def refused(vm, said, *words, status=1):
    text, changed = vm.refuses(said, *words, status=status)
    tap.equal(changed, [], f"snapshot {words[0]}: {said}: nothing has changed")
    return text


def names(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    for name in ("a/b", "..", ".hidden", "-x", "", "a b", "ä", "x" * 65, "a\nb", "a%sb"):
        refused(vm, "cannot be the name of a snapshot", "create", "--", vm.config, name, status=2)
    vm.create("x" * 64)
    vm.create("A-z_0.9")
    refused(vm, "has a snapshot 's1' already", "create", vm.config, "s1")
    refused(vm, "already", "create", vm.config, vm.shown("s1")["id"])
    for words in (["show"], ["revert"], ["delete"], ["rename"]):
        more = ["new"] if words == ["rename"] else []
        refused(vm, "'web' has no snapshot 'nosuch'", *words, vm.config, "nosuch", *more)
        refused(vm, "'nobody' is no domain that runs, no configuration file", *words, "nobody", "s1", *more)
    refused(vm, "'nobody' is no domain that runs", "list", "nobody")
    refused(vm, "'nobody' is no domain that runs", "recover", "nobody")
    refused(vm, "'nobody' is no domain that runs", "create", "nobody")
    refused(vm, "--tree is for people", "list", "--tree", "--json", status=2)
    refused(vm, "--memory suspends the guest: leave out --quiesce", "create", "--memory", "--quiesce", "suspend",
            vm.config, status=2)
    refused(vm, "--agent-timeout is of use with --quiesce agent only", "create", "--agent-timeout", "5", vm.config,
            status=2)
    refused(vm, "--agent-timeout", "create", "--quiesce", "agent", "--agent-timeout", "0", vm.config, status=2)
    refused(vm, "arguments are missing", "create", status=2)
    refused(vm, "too few arguments", "revert", vm.config, status=2)
    for words in (["create", vm.config], ["rename", vm.config, "s1"]):
        refused(vm, "the description is not UTF-8", *words, "--description", b"\xff".decode(errors="surrogateescape"))
    vm.sound("after all mistakes")


def configurations(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    refused(vm, "No such file", "create", vm.folder / "none.cfg")
    for name, text, said in (
            ("none", 'name = "web"\nmemory = 128\n', "has no disk that can be written"),
            ("read", f'name = "web"\ndisk = [ "format=qcow2, vdev=xvda, access=ro, target={vm.disks["xvda"]}" ]\n',
             "has no disk that can be written"),
            ("lost", f'name = "web"\ndisk = [ "format=qcow2, vdev=xvda, target={vm.folder}/lost.qcow2" ]\n',
             "lost.qcow2': No such file"),
            ("nameless", f'disk = [ "format=qcow2, vdev=xvda, target={vm.disks["xvda"]}" ]\n', "name= is missing"),
            ("garbage", "}{", "garbage.cfg:1:"),
            ("driver", f'name = "web"\ndisk = [ "format=qcow2, vdev=xvda, backend=b, target={vm.disks["xvda"]}" ]\n',
             "is served by a driver domain"),
            ("folder", f'name = "web"\ndisk = [ "format=raw, vdev=xvda, target={vm.folder}" ]\n', "cannot be kept"),
            ("wrong", f'name = "web"\ndisk = [ "format=qcow2, vdev=xvda, target={vm.config}" ]\n',
             "is not a qcow2 image")):
        config = vm.folder / f"{name}.cfg"
        config.write_text(text)
        refused(vm, said, "create", config)
        tap.equal(list(vm.state.glob("[0-9a-f]*")), [], f"{name}: no record was made")
    folder = pathlib.Path(scratch, "here")
    folder.mkdir()
    vm.create("s1")
    (folder / "web").mkdir()
    done = tap.run([program, "snapshot", "list", "web"], cwd=folder,
                   env=dict(os.environ, XENWRIGHT_STATE=str(vm.state)))
    tap.equal((done.returncode, done.stderr), (0, ""), "a folder of the VM's name does not hide it")


def images(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    path = vm.disks["xvda"]
    path.unlink()
    make_image(path, "-o", f"data_file={vm.folder}/data,data_file_raw=on")
    refused(vm, "keeps its data in another file", "create", vm.config)
    path.unlink()
    make_image(path)
    with open(path, "r+b") as file:
        file.seek(32)
        file.write(struct.pack(">I", 2))  # crypt_method: LUKS
    refused(vm, "is encrypted", "create", vm.config)
    path.write_bytes(b"QFI\xfb" + bytes(10))
    refused(vm, "is not a qcow2 image: it is too short", "create", vm.config)
    path.write_bytes(b"")
    refused(vm, "is not a qcow2 image", "create", vm.config)
    vm = Vm(program, scratch, disks=("xvda",), form="raw")
    done = vm.run("create", vm.config)
    if done.returncode == 0:
        tap.skip("a raw file without reflinks is refused", "this file system has reflinks")
    else:
        refused(vm, "is a raw file on a file system without reflinks: move it to btrfs or XFS", "create", vm.config)
    tap.equal(list(vm.state.glob("[0-9a-f]*")), [] if done.returncode else list(vm.state.glob("[0-9a-f]*")),
              "no record was made")
    vm = Vm(program, scratch, disks=("xvda",), name="n" * 225)
    refused(vm, "the name of its image is too long to keep a snapshot beside it", "create", vm.config)


def not_utf8(scratch):
    """Records are JSON: a path that cannot be in one is refused, and not forgotten."""
    vm = Vm(program, scratch, disks=("xvda",))
    odd = os.path.join(os.fsencode(vm.images), b"d\xff.qcow2")
    os.rename(vm.disks["xvda"], odd)
    vm.config.write_bytes(b'name = "web"\ndisk = [ "format=qcow2, vdev=xvda, target=' + odd + b'" ]\n')
    done = vm.run("create", vm.config)
    tap.result(done.returncode == 1 and "is not UTF-8" in done.stderr, "a path that is not UTF-8 is refused",
               done.stderr)
    tap.equal(os.listdir(os.fsencode(vm.images)), [b"d\xff.qcow2"], "nothing has changed")


DAMAGE = (
    ("cut off", lambda text: text[:len(text) // 2]),
    ("empty", lambda text: ""),
    ("garbage", lambda text: "\x00\x01garbage"),
    ("deep", lambda text: '{"format":1,"id":' + "[" * 5000 + "]" * 5000 + "}"),
    ("large", lambda text: text[:-2] + ',"more":"' + "x" * 2000000 + '"}'),
    ("an array", lambda text: "[]"),
    ("of another", lambda text: json.dumps(dict(json.loads(text), id="0123456789abcdef"))),
    ("without disks", lambda text: re.sub(r'"disks": ', '"dusks": ', text)),
    ("with a number for a text", lambda text: json.dumps(dict(json.loads(text), name=7))),
)


def damaged_snapshot(scratch):
    """Of s1 - s2 - s3 the record of s2 is damaged: all but it is as before."""
    vm = Vm(program, scratch, disks=("xvda",))
    for name in ("s1", "s2", "s3"):
        vm.write()
        vm.create(name)
    file = next(path for path in vm.state.glob("*/*/snapshot.json") if json.loads(path.read_text())["name"] == "s2")
    whole = file.read_text()
    later = ("later", lambda text: json.dumps(dict(json.loads(text), format=2)))
    for what, damage in (*DAMAGE, later):
        file.write_text(damage(whole))
        done = vm.run("list", "--json")
        tap.equal((done.returncode, [snapshot["name"] for snapshot in json.loads(done.stdout)]), (0, ["s1", "s3"]),
                  f"snapshot.json {what}: the others are listed")
        tap.equal(done.stderr, f"xenwright: 1 of the records of 'web' cannot be read: see {file.parent.parent}\n",
                  f"snapshot.json {what}: one line says so")
        tap.equal(vm.run("list", "--tree").stdout, "web\n├─ s1\n└─ s3  ← present state\n",
                  f"snapshot.json {what}: what came from it is in the tree")
        refused(vm, "'web' has no snapshot 's2'", "revert", vm.config, "s2")
        vm.does("show", vm.config, "s3")
    vm.revert("s1")
    vm.write()
    vm.create("s4")
    vm.delete("s4")
    vm.delete("s3")
    vm.delete("s1")
    wrong = vm.problems_of_present()
    tap.result(not wrong, "the rest can be reverted to and deleted", "\n".join(wrong))
    file.write_text(whole)
    vm.kept = {"s2": vm.kept["s2"]} if "s2" in vm.kept else {}
    vm.sound("the record comes back: its content is still right")


def damaged_vm(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    file = next(vm.state.glob("*/vm.json"))
    whole, key = file.read_text(), file.parent.name
    for what, damage in DAMAGE:
        file.write_text(damage(whole))
        done = vm.run("list", "--json")
        tap.equal((done.returncode, [(row["vm"], row["name"]) for row in json.loads(done.stdout)]), (0, [(key, "s1")]),
                  f"vm.json {what}: its snapshots are listed by its id")
        tap.equal(done.stderr, f"xenwright: 1 of the records of '{key}' cannot be read: see {file.parent}\n",
                  f"vm.json {what}: one line says so")
        refused(vm, "vm.json", "recover")
        refused(vm, "vm.json", "delete", key, "s1")
    file.write_text(json.dumps(dict(json.loads(whole), format=2)))
    refused(vm, "made by a later version of xenwright", "recover")
    tap.equal(vm.run("list").returncode, 0, "vm.json of a later format: the list does not fail")
    file.write_text(whole)
    vm.sound("vm.json is back")


def damaged_journal(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    file = next(vm.state.glob("*/journal"))
    whole = file.read_text()
    for what, text, said in (("garbage", "garbage", "is not a journal"),
                             ("empty", "", "is not a journal"),
                             ("changed", whole.replace("prepared", "prepaired"), "is damaged in line"),
                             ("later", "xenwright-journal 2\n", "is of a later format")):
        file.write_text(text)
        vm.does("list", vm.config)
        vm.does("show", vm.config, "s1")
        for words in (["create", vm.config], ["revert", vm.config, "s1"], ["delete", vm.config, "s1"],
                      ["rename", vm.config, "s1", "x"], ["recover"]):
            refused(vm, said, *words)
            if what != "later":
                refused(vm, f"then remove '{file}'", *words)
    file.write_text(whole[:len(whole) // 2])
    done = vm.run("recover")
    tap.equal((done.returncode, done.stderr), (0, ""), "a journal that was cut off is a kill: it is recovered")
    vm.sound("after a journal that was cut off")
    file.unlink()
    vm.create("s2")
    vm.sound("after a journal that is gone")


TESTS = (names, configurations, images, not_utf8, damaged_snapshot, damaged_vm, damaged_journal)

if NEEDED:
    tap.skip("mistakes with snapshots of VMs", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in TESTS:
            if len(sys.argv) < 3 or test.__name__ in sys.argv[2:]:
                test(scratch)
tap.end()
