#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of VMs that do not run, by real qcow2 images: made, reverted to, branched, deleted, renamed.

usage: test-snapshot-offline.py XENWRIGHT

After each step the content of the disks and of every snapshot is compared with what it should be, and no
file may be there that nobody owns.
"""
import json
import os
import pathlib
import shutil
import struct
import sys
import tempfile

import tap
from vms import NEEDED, SLOT, SLOTS, Vm, content, make_image, qemu, tree, write

program = sys.argv[1]


def parents(vm):
    return {snapshot["name"]: snapshot["parent"] for snapshot in vm.listed()}


def current(vm):
    return [snapshot["name"] for snapshot in vm.listed() if snapshot["current"]]


def chain_of(vm, count):
    for number in range(1, count + 1):
        vm.write()
        vm.create(f"s{number}")
    vm.write()


def made_and_shown(scratch):
    vm = Vm(program, scratch)
    tap.equal(vm.does("list", "--json"), "[]\n", "where no snapshot is, the list is empty")
    tap.equal(vm.state.exists(), False, "and looking makes no folder")
    vm.write()
    said = vm.does("create", vm.config, "first", "--description", "before äll")
    vm.keep("first")
    tap.equal(said, f"snapshot 'first' of '{vm.config}' is made: xvda (qcow2), xvdb (qcow2)\n", "what create says")
    vm.sound("after the first")
    vm.write()
    vm.sound("after writing")
    vm.does("create", vm.config)
    vm.keep("snap-1")
    vm.sound("after one without a name")
    tap.equal(parents(vm), {"first": None, "snap-1": "first"}, "the second comes from the first")
    tap.equal(current(vm), ["snap-1"], "the present state comes from the second")
    shown = vm.shown("first")
    tap.equal(shown["description"], "before äll", "show: the description")
    for disk in shown["disks"]:
        path = vm.disks[disk["vdev"]]
        tap.equal((disk["path"], disk["data"], disk["format"], disk["store"], disk["size"], disk["missing"]),
                  (str(path), f"{path}.xw-{shown['id']}", "qcow2", "qcow2", 16 * 32768, False),
                  f"show: disk {disk['vdev']}")
        tap.equal(disk["bytes"], os.stat(disk["data"]).st_blocks * 512, f"show: the space of {disk['vdev']}")
    tap.result(shown["id"] in vm.does("show", "web", shown["id"]), "a snapshot is known by its id, a VM by its name")
    for word in ("first", shown["id"], "before äll", "xvda", "qcow2", "offline"):
        tap.result(word in vm.run("show", vm.config, "first").stdout, f"show for people: {word}")
    kept, before = vm.config.read_text(), vm.listed()[-1]["name"]
    vm.configure("# changed since")
    tap.equal(vm.does("show", vm.config, before, "--config"), kept, "show --config: the configuration of that time")
    vm.refuses("made without libxl's configuration: the VM did not run", "show", vm.config, before, "--config", "--json")
    os.chown(vm.disks["xvda"], 0, 0)
    vm.disks["xvda"].chmod(0o640)
    vm.create("third")
    tap.equal(vm.disks["xvda"].stat().st_mode & 0o7777, 0o640, "the image that takes the path has the mode of the old")


def reverted(scratch):
    vm = Vm(program, scratch)
    chain_of(vm, 3)
    vm.revert("s2")
    vm.sound("reverted, the present state discarded")
    tap.equal(current(vm), ["s2"], "the present state comes from where it was reverted to")
    vm.write()
    vm.revert("s1", kept="before-revert-1")
    vm.sound("reverted, the present state kept")
    tap.equal(parents(vm)["before-revert-1"], "s2", "what was kept comes from where that state came from")
    tap.equal([snapshot["name"] for snapshot in vm.listed() if snapshot["automatic"]], ["before-revert-1"],
              "and says that nobody asked for it")
    vm.write()
    vm.revert("before-revert-1", kept="before-revert-2")
    vm.sound("back to what was kept")
    vm.revert("before-revert-1", kept="before-revert-3")
    vm.sound("twice to the same")


def branched(scratch):
    """A tree: s1 - s2 - s3, s1 - b1 - b2, s2 - c1."""
    vm = Vm(program, scratch, disks=("xvda",))
    chain_of(vm, 3)
    vm.revert("s1")
    for name in ("b1", "b2"):
        vm.write()
        vm.create(name)
    vm.revert("s2")
    vm.write()
    vm.create("c1")
    vm.write()
    vm.sound("a tree of three branches")
    tap.equal(parents(vm), {"s1": None, "s2": "s1", "s3": "s2", "b1": "s1", "b2": "b1", "c1": "s2"},
              "who comes from whom")
    tap.equal(vm.does("list", vm.config, "--tree"),
              "web\n"
              "└─ s1\n"
              "   ├─ s2\n"
              "   │  ├─ s3\n"
              "   │  └─ c1  ← present state\n"
              "   └─ b1\n"
              "      └─ b2\n", "the tree")
    vm.delete("s2")
    vm.sound("deleted: one with two children")
    tap.equal(parents(vm), {"s1": None, "s3": "s1", "b1": "s1", "b2": "b1", "c1": "s1"},
              "its children come from its parent")
    vm.delete("s1")
    vm.sound("deleted: the root, with three children")
    tap.equal(parents(vm), {"s3": None, "b1": None, "b2": "b1", "c1": None}, "three roots")
    vm.delete("c1")
    vm.sound("deleted: the one that the present state comes from")
    tap.equal(current(vm), [], "the present state comes from none")
    tap.equal(vm.does("list", vm.config, "--tree"), "web  ← present state\n├─ s3\n└─ b1\n   └─ b2\n", "the tree then")
    vm.revert("b2", kept="before-revert-1")
    vm.sound("reverted to another branch")
    for name in ("b1", "b2", "s3", "before-revert-1"):
        vm.delete(name)
        vm.sound(f"deleted: {name}")
    tap.equal(sorted(os.listdir(vm.images)), ["web-xvda.qcow2"], "only the image is left")


def deleted(scratch):
    for name in ("s1", "s2", "s3"):
        vm = Vm(program, scratch)
        chain_of(vm, 3)
        vm.delete(name)
        vm.sound(f"deleted: {name} of three")
        vm.write()
        vm.create("after")
        vm.sound("and another was made")
    vm = Vm(program, scratch)
    chain_of(vm, 2)
    vm.revert("s1")
    vm.create("b1")
    vm.write()
    vm.does("delete", vm.config, "s2", "--children")
    del vm.kept["s2"]
    vm.sound("deleted: a leaf with its children")
    vm.does("delete", vm.config, "s1", "--children")
    vm.kept.clear()
    vm.sound("deleted: all, the present state stays")
    tap.equal(vm.does("list", "--json"), "[]\n", "nothing is listed")


def renamed(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    chain_of(vm, 2)
    vm.does("rename", vm.config, "s1", "fresh", "--description", "as installed")
    vm.kept["fresh"] = vm.kept.pop("s1")
    vm.sound("renamed")
    tap.equal(parents(vm), {"fresh": None, "s2": "fresh"}, "its child knows it by the new name")
    tap.equal(vm.shown("fresh")["description"], "as installed", "with a description")
    vm.does("rename", vm.config, "fresh", "--description", "")
    tap.equal(vm.shown("fresh")["description"], "", "which can go again")
    vm.does("rename", vm.config, "fresh", "fresh")
    vm.refuses("has a snapshot 's2' already", "rename", vm.config, "fresh", "s2")
    vm.refuses("has no snapshot 's1'", "rename", vm.config, "s1", "s3")
    vm.refuses("has no snapshot 's1'", "rename", vm.config, "s1", "s3", "--dry-run")
    vm.refuses("has a snapshot 's2' already", "rename", vm.config, "fresh", "s2", "--dry-run")
    vm.refuses("cannot be the name of a snapshot", "rename", vm.config, "fresh", "a/b", status=2)
    vm.refuses("give a new name, or --description", "rename", vm.config, "fresh", status=2)
    for words in (("rename", vm.config, "fresh"), ("create", vm.config, "s3")):
        vm.refuses("has more than 4096 bytes: make it shorter", *words, "--description", "\1" * 4097)
    vm.does("rename", vm.config, "fresh", "--description", "\1" * 4096)
    vm.does("list")


def some_disks(scratch):
    vm = Vm(program, scratch, disks=("xvda", "xvdb", "xvdc"))
    vm.write()
    vm.does("create", vm.config, "two", "--disk", "xvda", "-d", "xvdc")
    vm.keep("two", ("xvda", "xvdc"))
    vm.sound("of two of three disks")
    tap.equal(vm.listed()[0]["disks"], ["xvda", "xvdc"], "the list says which")
    vm.write()
    vm.revert("two", kept="before-revert-1")
    vm.sound("reverted: the third disk stays as it is")
    vm.refuses("has no disk 'xvdq' that can be written", "create", vm.config, "--disk", "xvdq")
    vm.configure(disks=dict(vm.disks, xvdb=vm.disks["xvdb"]))


def one_image_as_two_disks(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    image, link = vm.disks["xvda"], vm.folder / "link.qcow2"
    vm.write()
    vm.configure(disks={"xvda": image, "xvdb": image})
    _, changed = vm.refuses(f"disks xvda and xvdb are both '{image}': keep one of them, by --disk", "create", vm.config)
    tap.equal(changed, [], "of one path: nothing has changed")
    vm.does("create", vm.config, "s1", "--disk", "xvdb")
    vm.kept["s1"] = {"xvdb": list(vm.present["xvda"])}
    vm.disks = {"xvdb": image}
    vm.present = {"xvdb": vm.present["xvda"]}
    vm.write()
    vm.sound("of one path, as one disk")
    vm.revert("s1")
    vm.delete("s1")
    os.link(image, link)
    vm.configure(disks={"xvda": image, "xvdb": link})
    for more in ((), ("--disk", "xvda")):
        _, changed = vm.refuses("are hard links to one file", "create", vm.config, *more)
        tap.equal(changed, [], "hard links: nothing has changed")


def dry_runs(scratch):
    vm = Vm(program, scratch)
    before = tree(vm.folder)
    said = vm.does("create", vm.config, "s1", "--dry-run")
    tap.equal(said, f"would make snapshot 's1' of '{vm.config}': xvda (qcow2), xvdb (qcow2)\n", "what it would do")
    tap.equal(tree(vm.folder) == before, True, "create --dry-run of a VM without snapshots: nothing has changed")
    chain_of(vm, 2)
    before = tree(vm.folder)
    for words in (["create", vm.config], ["revert", vm.config, "s1"], ["revert", vm.config, "s2", "--discard-current"],
                  ["delete", vm.config, "s1"], ["delete", "web", "s1", "--children"],
                  ["rename", vm.config, "s1", "s9"], ["recover"], ["recover", vm.config]):
        vm.does(*words, "--dry-run")
        tap.equal(tree(vm.folder) == before, True, f"{words[0]} --dry-run: nothing has changed")
    for said, *words in (("has no snapshot 's9'", "revert", vm.config, "s9"),
                         ("has no snapshot 's9'", "delete", vm.config, "s9"),
                         ("has a snapshot 's1' already", "create", vm.config, "s1")):
        vm.refuses(said, *words, "--dry-run")
        tap.equal(tree(vm.folder) == before, True, f"{words[0]} --dry-run that is refused: nothing has changed")
    vm.sound("after all of these")


def found_again(scratch):
    """A VM is known by its disks."""
    vm = Vm(program, scratch)
    chain_of(vm, 1)
    vm.configure(name="shop")
    vm.revert("s1")
    vm.sound("renamed in its configuration: reverted")
    vm.create("s2")
    tap.equal({snapshot["vm"] for snapshot in vm.listed()}, {"shop"}, "the list knows the new name")
    other = vm.folder / "other.cfg"
    shutil.move(vm.config, other)
    vm.config = other
    vm.write()
    vm.create("s3")
    vm.sound("its configuration moved")
    tap.equal(parents(vm), {"s1": None, "s2": "s1", "s3": "s2"}, "all are in one tree")
    vm.does("delete", "shop", "s3")
    del vm.kept["s3"]
    vm.sound("deleted by the name of the VM")
    vm.does("list", os.path.relpath(vm.config, os.getcwd()))


def other_disks(scratch):
    vm = Vm(program, scratch, disks=("xvda", "xvdb"))
    chain_of(vm, 1)
    both = dict(vm.disks)
    vm.configure(disks={"xvda": both["xvda"]})
    vm.refuses("is in the snapshot, but is no disk of 'web' any more", "revert", vm.config, "s1")
    vm.sound("a disk was taken from the configuration: revert is refused")
    vm.does("create", vm.config, "s2")
    vm.keep("s2", ("xvda",))
    vm.sound("and what is there is kept")
    vm.configure(disks=both)
    vm.write()
    vm.revert("s1")
    vm.sound("the disk is back")
    vm.configure(disks={"xvdb": both["xvdb"]})
    tap.equal(sorted(snapshot["name"] for snapshot in json.loads(vm.does("list", vm.config, "--json"))), ["s1", "s2"],
              "the other disk alone is enough to know it")
    vm.configure(disks=both)
    vm.delete("s1")
    vm.sound("deleted: one of two disks, below one of one")


def known_by_uuid(scratch):
    """Where no disk is one of before, the uuid tells."""
    vm = Vm(program, scratch, disks=("xvda", "xvdb"), uuid="01234567-89ab-cdef-0123-456789abcdef")
    both = dict(vm.disks)
    vm.configure(disks={"xvda": both["xvda"]})
    vm.does("create", vm.config, "s1")
    vm.configure(disks={"xvdb": both["xvdb"]}, name="other")
    tap.equal([snapshot["name"] for snapshot in json.loads(vm.does("list", vm.config, "--json"))], ["s1"],
              "another name, another disk, the same uuid: it is the same VM")
    vm.does("create", vm.config, "s2")
    tap.equal(parents(vm), {"s1": None, "s2": "s1"}, "and goes on in the same tree")
    vm.uuid = ""
    vm.configure(disks={"xvda": both["xvda"]})
    tap.equal(len(json.loads(vm.does("list", vm.config, "--json"))), 2, "by either disk, without a uuid")


def two_of_a_name(scratch):
    """By a name that two VMs have, neither is touched; by configuration file or id each can be named."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.create("s1")
    other = Vm(program, scratch, disks=("xvda",))
    other.state = vm.state
    other.create("s1")
    for words in (["list"], ["delete", "web", "s1"], ["revert", "web", "s1"], ["create", "web"]):
        said, changed = vm.refuses("two VMs that have snapshots are called 'web'", words[0], "web", *words[2:])
        tap.equal(changed, [], f"{words[0]}: nothing has changed")
    ids = said.split("by its id, ")[1].split()
    tap.equal(sorted([ids[0], ids[2]]), sorted(path.name for path in vm.state.glob("[0-9a-f]*")), "the ids are told")
    vm.does("delete", ids[0], "s1")
    tap.equal(len(vm.listed()), 1, "one is deleted by the id of its VM")
    vm.does("delete", "web", "s1")
    tap.equal(vm.listed(), [], "then the name is clear")


def configuration_of_another(scratch):
    """The file that a VM was named by last has another VM in it by now."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    vm.write()
    other = Vm(program, scratch, disks=("xvda",), name="shop")
    shutil.copy(other.config, vm.config)
    _, changed = vm.refuses("its configuration file is not known", "create", "web", "s2")
    tap.equal((changed, other.beside()), ([], [other.disks["xvda"]]), "the other VM is left alone")
    vm.does("revert", "web", "s1", "--discard-current")
    vm.back("s1")
    vm.sound("reverted all the same")


def odd_paths(scratch):
    """Symbolic links are followed once; blanks and more are nothing special."""
    vm = Vm(program, scratch, disks=("xvda",), folder=pathlib.Path(scratch, "with a blank, and 'more'"))
    plain = dict(vm.disks)
    link = vm.folder / "link to.qcow2"
    link.symlink_to(plain["xvda"])
    folder = pathlib.Path(scratch, "way")
    folder.symlink_to(vm.images)
    vm.config.write_text(f'name = "web"\nmemory = 128\ndisk = [ "format=qcow2, vdev=xvda, access=rw, '
                         f'target={scratch}/way/{plain["xvda"].name}" ]\n')
    vm.write()
    vm.create("s1")
    vm.sound("by a link to the folder")
    vm.config.write_text('name = "web"\nmemory = 128\ndisk = [ "format=qcow2, vdev=xvda, access=rw, '
                         f'target={scratch}/link.qcow2" ]\n')
    pathlib.Path(scratch, "link.qcow2").symlink_to(link)
    vm.write()
    vm.create("s2")
    vm.sound("by a link to a link to the image")
    tap.equal(link.is_symlink(), True, "the link is still one")
    vm.revert("s1", kept="before-revert-1")
    vm.sound("reverted")
    for name in ("s1", "s2", "before-revert-1"):
        vm.delete(name)
    vm.sound("deleted")


def names_like_ours(scratch):
    """An image whose own name looks as if it were half of a snapshot is an image nevertheless."""
    vm = Vm(program, scratch, disks=("xvda",), name="a.xw-0123456789abcdef.new-and-more")
    chain_of(vm, 2)
    vm.delete("s2")
    vm.sound("an image with a name like ours: deleted")
    vm = Vm(program, scratch, disks=("xvda",), name="a.xw-0123456789abcdef")
    chain_of(vm, 2)
    vm.revert("s1", kept="before-revert-1")
    vm.delete("s1")
    vm.sound("an image called as a snapshot of another")


def templates(scratch):
    """An image that stands on another when it gets its first snapshot does so after the last is deleted."""
    for form, relative in (("raw", False), ("raw", True), ("qcow2", False), ("qcow2", True)):
        vm = Vm(program, scratch, disks=("xvda",))
        base = (vm.images if relative else vm.folder) / f"base.{form}"
        qemu("qemu-img", "create", "-q", "-f", form, base, str(SLOTS * SLOT))
        write(base, {5: 55}, form)
        vm.disks["xvda"].unlink()
        make_image(vm.disks["xvda"], "-F", form, "-b", base.name if relative else base)
        vm.present["xvda"][5] = 55
        chain_of(vm, 2)
        for name in ("s2", "s1"):
            vm.delete(name)
            wrong = vm.problems(unlisted=(base.name,))
            tap.result(not wrong, f"on a {form} template: deleted {name}", "\n".join(wrong))
        info = json.loads(qemu("qemu-img", "info", "--output=json", vm.disks["xvda"]))
        tap.equal((info["backing-filename"], info["backing-filename-format"]),
                  (base.name if relative else str(base), form), f"on a {form} template: name and format are as before")


def templates_of_no_format(scratch):
    """Older images do not say what they stand on."""
    for form in ("qcow2", "raw"):
        vm = Vm(program, scratch, disks=("xvda",))
        base = vm.folder / f"base.{form}"
        qemu("qemu-img", "create", "-q", "-f", form, base, str(SLOTS * SLOT))
        write(base, {5: 55}, form)
        image = vm.disks["xvda"]
        image.unlink()
        make_image(image, "-F", form, "-b", base)
        data = image.read_bytes()
        image.write_bytes(data.replace(struct.pack(">I", 0xE2792ACA), struct.pack(">I", 0x12345678), 1))
        vm.present["xvda"][5] = 55
        vm.create("s1")
        if form == "qcow2":
            vm.delete("s1")
        else:
            vm.refuses("does not say of what format that is", "delete", vm.config, "s1")
        vm.sound(f"on a {form} template of no format")


def templates_by_link(scratch):
    """What an image stands on, by a relative name, is looked for beside the name by which it is opened."""
    vm = Vm(program, scratch, disks=("xvda",))
    image, links = vm.disks["xvda"], vm.folder / "links"
    links.mkdir()
    for folder, byte in ((links, 77), (vm.images, 99)):
        make_image(folder / "base.qcow2")
        write(folder / "base.qcow2", {5: byte})
    image.unlink()
    make_image(image, "-F", "qcow2", "-b", "base.qcow2")
    vm.configure(disks={"xvda": links / "web.qcow2"})
    (links / "web.qcow2").symlink_to(image)
    for more in ((), ("--internal",)):
        _, changed = vm.refuses("is a link in another folder, where QEMU looks for what it stands on ('base.qcow2')",
                                "create", vm.config, "s1", *more)
        tap.equal((changed, content(links / "web.qcow2")[5]), ([], 77), "nothing has changed, nor what it stands on")
    qemu("qemu-img", "rebase", "-u", "-F", "qcow2", "-b", links / "base.qcow2", image)
    vm.does("create", vm.config, "s1")
    tap.equal(content(links / "web.qcow2")[5], 77, "by its whole path it is the right one from everywhere")


def long_chains(scratch):
    """QEMU may not have that many files open; and one that stands on itself has no end."""
    vm = Vm(program, scratch, disks=("xvda",))
    image, other = vm.disks["xvda"], vm.folder / "other.qcow2"
    make_image(other)
    qemu("qemu-img", "rebase", "-u", "-F", "qcow2", "-b", image, other)
    qemu("qemu-img", "rebase", "-u", "-F", "qcow2", "-b", other, image)
    _, changed = vm.refuses("stands on 500 images or more, one on another (or on itself): delete snapshots of it first",
                            "create", vm.config)
    tap.equal(changed, [], "a chain without an end: nothing has changed")


def internal_snapshots(scratch):
    """What 'qemu-img snapshot' has made is in the image, and is not deleted with a snapshot of ours."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    qemu("qemu-img", "snapshot", "-c", "mine", vm.disks["xvda"])
    vm.write()
    vm.create("s1")
    vm.write()
    said, _ = vm.refuses("holds 1 snapshots made by 'qemu-img snapshot'", "delete", vm.config, "s1")
    data = vm.shown("s1")["disks"][0]["data"]
    tap.result(data in said and "mine" in qemu("qemu-img", "snapshot", "-l", data), "it is named, and still there", said)
    vm.sound("with a snapshot of QEMU's own")
    qemu("qemu-img", "snapshot", "-d", "mine", data)
    vm.delete("s1")
    vm.sound("without it")


def emptied_records(scratch):
    """VMs without snapshots any more are in nobody's way."""
    first = Vm(program, scratch, disks=("xvda",), name="first")
    second = Vm(program, scratch, disks=("xvda",), name="second")
    second.state = first.state
    for vm in (first, second):
        vm.does("create", vm.config, "s1")
        vm.does("delete", vm.config, "s1")
    first.configure(disks={"xvda": first.disks["xvda"], "xvdb": second.disks["xvda"]})
    first.does("create", first.config, "both")
    tap.equal(first.does("list", "--tree"), "first\n└─ both  ← present state\n", "one VM is left")


TESTS = (made_and_shown, reverted, branched, deleted, renamed, some_disks, one_image_as_two_disks, dry_runs, found_again, other_disks,
         known_by_uuid, two_of_a_name, configuration_of_another, odd_paths, names_like_ours, templates,
         templates_of_no_format, templates_by_link, long_chains, internal_snapshots, emptied_records)

if NEEDED:
    tap.skip("snapshots of VMs that do not run", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in TESTS:
            if len(sys.argv) < 3 or test.__name__ in sys.argv[2:]:
                test(scratch)
tap.end()
