#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`xenwright snapshot convert`: images of formats without snapshots become qcow2 images at the same path.

usage: test-snapshot-convert.py XENWRIGHT

At no moment, wherever it is killed, is there a qcow2 image at a path that the configuration calls something
else: xl would let the guest write all over it. The other way round QEMU refuses to open it.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import killing
import tap
from vms import NEEDED, Vm, content, qemu, quick_content, tree, write

program = sys.argv[1]
CONVERT = ("--disk", "xvda", "--edit-config")


def raw_vm(scratch, **options):
    vm = Vm(program, scratch, form="raw", disks=("xvda",), **options)
    vm.write()
    return vm


def form_of(path):
    """By its first bytes, which no guest of these tests has chosen."""
    begin = path.read_bytes()[:4]
    return {b"QFI\xfb": "qcow2", b"QED\0": "qed"}.get(begin, "raw")


def said_of(config, vdev="xvda"):
    """What the configuration says of the disk."""
    return re.search(rf"format=(\w+), vdev={vdev}", config.read_text()).group(1)


def wrong_with(vm, converted, kept=True, edited=True):
    """All but what should be there after a conversion, or where there was none."""
    path = vm.disks["xvda"]
    form = "qcow2" if converted else "raw"
    wrong = []
    if (form_of(path), said_of(vm.config)) != (form, form if edited else "qcow2"):
        wrong.append(f"the image is {form_of(path)}, said to be {said_of(vm.config)}, should be {form}")
    if quick_content(path, form_of(path)) != vm.present["xvda"]:
        wrong.append(f"the content is {quick_content(path, form_of(path))}, should be {vm.present['xvda']}")
    images = [path.name] + [f"{path.name}.before-qcow2"] * (converted and kept)
    if sorted(os.listdir(vm.images)) != sorted(images):
        wrong.append(f"there are {sorted(os.listdir(vm.images))}")
    configs = [vm.config.name] + [f"{vm.config.name}.before-xvda-qcow2"] * (converted and edited)
    found = [file.name for file in vm.folder.iterdir() if "web.cfg" in file.name]
    if sorted(found) != sorted(configs):
        wrong.append(f"there are {sorted(found)}")
    return wrong


def life(scratch):
    vm = raw_vm(scratch)
    path = vm.disks["xvda"]
    path.chmod(0o640)
    vm.config.chmod(0o600)
    before, text = path.read_bytes(), vm.config.read_text()
    everything = tree(vm.folder)
    said = vm.does("convert", vm.config, *CONVERT, "--dry-run")
    tap.equal(said, f"would convert '{path}' from raw to qcow2, and keep the old image as '{path}.before-qcow2'; "
              f"would change its format in '{vm.config}'\n", "--dry-run says what would be done")
    tap.equal(tree(vm.folder), everything, "--dry-run changes nothing")
    said = vm.does("convert", vm.config, *CONVERT)
    tap.equal(said, f"'{path}' is qcow2 now; the raw image is kept as '{path}.before-qcow2'; '{vm.config}' says so, "
              f"and is kept as it was as '{vm.config}.before-xvda-qcow2'\n", "it says what was done")
    tap.equal(wrong_with(vm, True), [], "image and configuration are converted, and kept as they were")
    tap.equal(content(path), vm.present["xvda"], "QEMU reads the same from the new image")
    tap.equal(pathlib.Path(f"{path}.before-qcow2").read_bytes() == before, True, "the old image is as it was")
    tap.equal(pathlib.Path(f"{vm.config}.before-xvda-qcow2").read_text(), text, "so is the old configuration")
    tap.equal(vm.config.read_text(), text.replace("format=raw", "format=qcow2"), "one word of it has changed")
    tap.equal((path.stat().st_mode & 0o777, vm.config.stat().st_mode & 0o777), (0o640, 0o600), "modes stay")
    tap.equal(list(vm.state.glob("[0-9a-f]*")), [], "there is no record of it")
    vm.form = "qcow2"
    vm.does("create", vm.config, "s1")
    write(path, {5: 55})
    vm.does("revert", vm.config, "s1", "--discard-current")
    tap.equal(content(path), vm.present["xvda"], "snapshots can be made of it, and reverted to")


def formats(scratch):
    for form, driver in (("qed", "qed"), ("vhd", "vpc"), ("qcow", "qcow")):
        vm = raw_vm(scratch)
        path = vm.disks["xvda"]
        raw = vm.folder / "raw"
        path.rename(raw)
        more = ("-o", "force_size=on") if driver == "vpc" else ()
        qemu("qemu-img", "convert", "-f", "raw", "-O", driver, *more, raw, path)
        vm.config.write_text(vm.config.read_text().replace("raw,", f"{form},"))
        vm.refuses("", "create", vm.config)
        vm.does("convert", vm.config, *CONVERT, "--discard-old")
        said = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, path], capture_output=True,
                              text=True).stdout
        tap.result("identical" in said, f"{form}: the content is the same", said)
        tap.equal(os.listdir(vm.images), [path.name], f"{form}: --discard-old leaves no old image")
        tap.equal(said_of(vm.config), "qcow2", f"{form}: the configuration says qcow2")
        vm.does("create", vm.config)


def by_hand(scratch):
    """The user changes the configuration, in the order that is safe."""
    vm = raw_vm(scratch)
    said, changed = vm.refuses("says format=raw for it, and would open the new image as that: have it say format=qcow2 "
                               "first, then go on with --from raw; or have both done by --edit-config",
                               "convert", vm.config, "--disk", "xvda")
    tap.equal(changed, [], "without consent nothing is changed")
    tap.result(str(vm.config) in said, "the configuration is named", said)
    vm.config.write_text(vm.config.read_text().replace("format=raw", "format=qcow2"))
    vm.refuses("says format=qcow2 for it already; where", "convert", vm.config, "--disk", "xvda")
    vm.does("convert", vm.config, "--disk", "xvda", "--from", "raw")
    tap.equal(wrong_with(vm, True, edited=False), ["the image is qcow2, said to be qcow2, should be qcow2"][1:],
              "the image is converted, the configuration left alone")


def refusals(scratch):
    def refused(vm, said, *words, status=1):
        _, changed = vm.refuses(said, "convert", vm.config, *(words or CONVERT), status=status)
        tap.equal(changed, [], f"{said}: nothing has changed")

    vm = raw_vm(scratch)
    path = vm.disks["xvda"]
    refused(vm, "say which disk by --disk", "--edit-config", status=2)
    refused(vm, "has no disk 'xvdz'", "--disk", "xvdz")
    refused(vm, "says format=raw for it, not qed", "--disk", "xvda", "--edit-config", "--from", "qed")
    refused(vm, "--to", *CONVERT, "--to", "raw", status=2)
    pathlib.Path(f"{path}.before-qcow2").touch()
    refused(vm, ".before-qcow2' is there already")
    os.unlink(f"{path}.before-qcow2")
    pathlib.Path(f"{vm.config}.before-xvda-qcow2").touch()
    refused(vm, ".before-xvda-qcow2' is there already")
    os.unlink(f"{vm.config}.before-xvda-qcow2")
    with open(path, "rb"):
        refused(vm, "is in use by")
    text = vm.config.read_text()
    vm.config.write_text(text.replace("format=raw, ", ""))
    refused(vm, "does not spell out the format of disk xvda: write format=qcow2 into it")
    vm.config.write_text(text.replace("access=rw", "access=rw, backendtype=phy"))
    refused(vm, "wants the backend 'phy'")
    for other in (path, vm.folder / "link"):
        vm.configure(disks={"xvda": path, "xvdb": other})
        vm.config.write_text(vm.config.read_text().replace("vdev=xvdb, access=rw", "vdev=xvdb, access=ro"))
        (vm.folder / "link").is_symlink() or (vm.folder / "link").symlink_to(path)
        refused(vm, "is disk xvdb of")
    vm.config.write_text(text)
    whole = path.read_bytes()
    path.write_bytes(b"QFI\xfb\0\0\0\3" + whole[8:])
    refused(vm, "begins as a qcow2 image does")
    path.unlink()
    qemu("qemu-img", "create", "-q", "-f", "qed", vm.folder / "below", "1M")
    qemu("qemu-img", "create", "-q", "-f", "qed", "-b", vm.folder / "below", "-F", "qed", path)
    vm.config.write_text(text.replace("format=raw", "format=qed"))
    refused(vm, "stands on")
    path.write_bytes(b"no qed image" * 100)
    refused(vm, "disk xvda")
    vm.config.write_text(text.replace(str(path), "/dev/loop-control"))
    done = vm.run("convert", vm.config, *CONVERT)
    tap.result(done.returncode == 1 and "is no file" in done.stderr, "what is no file is refused", done.stderr)


def with_snapshots(scratch):
    """A snapshot of it is of the old format, and would be put back as that."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    vm.config.write_text(vm.config.read_text().replace("qcow2,", "raw,"))
    vm.refuses("the snapshot 's1' has it as it is now, in format 'qcow2': delete that first", "convert", vm.config,
               *CONVERT)


def no_room(scratch):
    """The file system is full while the new image is written."""
    if os.geteuid() != 0:
        tap.skip("no room for the new image", "mounting takes root")
        return
    where = pathlib.Path(scratch, "small")
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", where], check=True)
    try:
        vm = raw_vm(scratch, folder=where / "vm")
        path = vm.disks["xvda"]
        data = os.urandom(16 * 32768)
        path.write_bytes(data)
        (where / "ballast").write_bytes(bytes(400 << 10))
        done = vm.run("convert", vm.config, *CONVERT)
        tap.result(done.returncode == 1 and "could not be converted" in done.stderr, "no room: it fails", done.stderr)
        tap.equal((path.read_bytes() == data, os.listdir(vm.images), said_of(vm.config)), (True, [path.name], "raw"),
                  "no room: all is as it was")
    finally:
        subprocess.run(["umount", where], check=True)


def is_safe(vm):
    """Whatever xl opens now: the right content in the right format, or an error of QEMU."""
    path = vm.disks["xvda"]
    form, said = form_of(path), said_of(vm.config)
    wrong = [f"the image is {form}, and the configuration says {said}"] if form != said and form != "raw" else []
    if quick_content(path, form) != vm.present["xvda"]:
        wrong.append(f"the content is {quick_content(path, form)}")
    return wrong


def settled(vm, kept, edited, number):
    """After the next command it is converted, or as it was."""
    done = vm.run("recover") if number % 2 else vm.run("create", vm.config, "after", "--dry-run")
    done = vm.run("recover")
    wrong = [done.stderr] if done.returncode else []
    outcomes = [wrong_with(vm, converted, kept, edited) for converted in (False, True)]
    if all(outcomes):
        wrong += ["neither as before:", *outcomes[0], "nor as after:", *outcomes[1]]
    done = vm.run("recover")
    if done.stdout != "nothing was interrupted\n":
        wrong.append(f"recover then: {done.stdout}{done.stderr}")
    return wrong


def ran_meanwhile(vm):
    """Before anybody recovers, the image is written to in the format that it is of."""
    path = vm.disks["xvda"]
    write(path, {9: 99}, form_of(path))
    vm.present["xvda"][9] = 99


def walk(scratch, template, words, kept, edited, runs):
    vm = raw_vm(scratch)
    if not edited:
        vm.config.write_text(vm.config.read_text().replace("format=raw", "format=qcow2"))
    vm.content = quick_content
    vm.save(template)
    points = killing.points_of(vm, ["convert", vm.config, *words])
    name = f"convert {' '.join(words)}{', the VM ran since' if runs else ''}"
    tap.result("convert/begin:1" in points and "swap/moved:1" in points, f"{name}: it has points", points)
    present = list(vm.present["xvda"])
    for number, point in enumerate(points):
        if not killing.is_chosen(number):
            continue
        vm.restore(template)
        vm.present["xvda"] = list(present)
        status = vm.run("convert", vm.config, *words, XENWRIGHT_KILL_AT=point).returncode
        wrong = [] if status == -9 else [f"this point was not passed: {status}"]
        wrong += is_safe(vm)
        if runs:
            ran_meanwhile(vm)
        wrong += settled(vm, kept, edited, number // (1 if killing.full else killing.PARTS))
        tap.result(not wrong, f"{name}, killed at {point}", "\n".join(wrong))


def walk_recovery(scratch, template):
    """Killed once, and again at each point of what puts that right."""
    for first in ("convert/compared:1", "convert/kept:1", "convert/configured:1", "swap/linked:1", "swap/moved:1"):
        for runs in (False, True):
            vm = raw_vm(scratch)
            vm.run("convert", vm.config, *CONVERT, XENWRIGHT_KILL_AT=first)
            if runs:
                ran_meanwhile(vm)
            vm.save(template)
            for number, point in enumerate(killing.points_of(vm, ["recover"])):
                if not killing.is_chosen(number):
                    continue
                vm.restore(template)
                done = vm.run("recover", XENWRIGHT_KILL_AT=point)
                wrong = [] if done.returncode == -9 else [f"this point was not passed: {done.returncode}"]
                wrong += is_safe(vm) + settled(vm, True, True, number)
                tap.result(not wrong, f"killed at {first}{', the VM ran' if runs else ''}, then at {point}",
                           "\n".join(wrong))


def opened_at_the_last_moment(scratch):
    """A VM is started between the look at the image and the rename: it keeps what it has opened."""
    vm = raw_vm(scratch)
    path = vm.disks["xvda"]
    before = path.read_bytes()
    child = subprocess.Popen([program, "snapshot", "convert", vm.config, *CONVERT], stderr=subprocess.PIPE, text=True,
                             env=dict(os.environ, XENWRIGHT_STATE=str(vm.state), XENWRIGHT_STOP_AT="swap/linked"))
    deadline = time.monotonic() + 20
    while pathlib.Path(f"/proc/{child.pid}/stat").read_text().split()[2] != "T" and time.monotonic() < deadline:
        os.sched_yield()
    with open(path, "r+b"):
        child.send_signal(18)
        said = child.communicate(timeout=30)[1]
    tap.result(child.returncode == 1 and "was opened meanwhile by" in said, "it fails, and says who", said)
    tap.equal((path.read_bytes() == before, wrong_with(vm, False)), (True, []), "all is as it was")


if NEEDED:
    tap.skip("snapshot convert", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in (life, formats, by_hand, refusals, with_snapshots, no_room, opened_at_the_last_moment):
            test(scratch)
        template = pathlib.Path(scratch, "template")
        walk(scratch, template, CONVERT, kept=True, edited=True, runs=False)
        walk(scratch, template, (*CONVERT, "--discard-old"), kept=False, edited=True, runs=False)
        walk(scratch, template, ("--disk", "xvda", "--from", "raw"), kept=True, edited=False, runs=False)
        walk(scratch, template, CONVERT, kept=True, edited=True, runs=True)
        walk_recovery(scratch, template)
tap.end()
