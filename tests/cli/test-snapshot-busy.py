#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright snapshot` does where somebody else is at work, where a file system is full or read-only,
and where data has been removed by hand.

usage: test-snapshot-busy.py XENWRIGHT
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import tap
from vms import NEEDED, Vm, make_image, write

program = sys.argv[1]


def until(condition, what):
    for _ in range(1000):
        if condition():
            return True
        time.sleep(0.02)
    tap.result(False, what, "it did not come about within 20 seconds")
    return False


@contextlib.contextmanager
def stopped(vm, point, *words):
    """A command that stands at a point; it goes on at the end."""
    env = dict(os.environ, XENWRIGHT_STATE=str(vm.state), XENWRIGHT_STOP_AT=point)
    process = subprocess.Popen([program, "snapshot", *map(str, words)], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stat = pathlib.Path(f"/proc/{process.pid}/stat")
    until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] in "TtZ", f"it stops at {point}")
    process.finish = lambda: finish(process)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.communicate()


def finish(process):
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@contextlib.contextmanager
def holding(path):
    """Some other program has the file open."""
    with open(path, "r+b") as file:
        process = subprocess.Popen(["sleep", "300"], stdin=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def two_at_once(scratch):
    vm = Vm(program, scratch)
    vm.write()
    vm.create("s1")
    for number, (point, *words) in enumerate((("create/prepared", "create", vm.config, "s2"),
                                              ("revert/begin", "revert", vm.config, "s1", "--discard-current"),
                                              ("delete/begin", "delete", vm.config, "s1"))):
        with stopped(vm, point, *words) as first:
            for second in (["create", vm.config, "x"], ["revert", vm.config, "s1"], ["delete", vm.config, "s1"],
                           ["rename", vm.config, "s1", "x"], ["recover"], ["recover", vm.config]):
                said, changed = vm.refuses("another command is at work on the snapshots of 'web'", *second)
                tap.result(f"process {first.pid};" in said, f"{second[0]} beside {words[0]}: names the process", said)
                tap.equal(changed, [], f"{second[0]} beside {words[0]}: nothing has changed")
            vm.does("list", vm.config)
            vm.does("show", vm.config, "s1")
            vm.does("create", vm.config, "x", "--dry-run")
            wrong = vm.problems_of_present()
            tap.result(not wrong, f"{words[0]} stands: the disks are right", "\n".join(wrong))
            status, out, err = first.finish()
            tap.equal((status, err), (0, ""), f"{words[0]} goes on, and ends well")
        if number == 0:
            vm.keep("s2")
        elif number == 1:
            vm.back("s1")
        else:
            del vm.kept["s1"]
        vm.sound(f"{words[0]} beside others")


def record_is_not_put_back(scratch):
    """A command that has looked before it got the lock does not write what it saw then."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.create("s1")
    vm.configure(name="shop")
    with stopped(vm, "create/recorded", "create", vm.config, "s2") as first:
        vm.refuses("another command is at work", "create", vm.config, "s3")
        first.finish()
    vm.keep("s2")
    tap.equal([snapshot["name"] for snapshot in vm.listed() if snapshot["current"]], ["s2"],
              "the present state comes from the last snapshot")


def in_use(scratch):
    vm = Vm(program, scratch)
    vm.write()
    vm.create("s1")
    vm.write()
    with holding(vm.disks["xvdb"]) as user:
        for words in (["create", vm.config], ["create", vm.config, "--disk", "xvdb"], ["revert", vm.config, "s1"],
                      ["revert", vm.config, "s1", "--discard-current"], ["create", vm.config, "--dry-run"],
                      ["revert", vm.config, "s1", "--dry-run"]):
            said, changed = vm.refuses("is in use by sleep", *words)
            tap.result(f"disk xvdb: '{vm.disks['xvdb']}' is in use by sleep ({user.pid})" in said,
                       f"{words[0]} of a disk in use: names disk and process", said)
            tap.equal([path for path in changed if "/images/" in path], [], f"{words[0]}: no image has changed")
        vm.refuses("is in use by sleep", "delete", vm.config, "s1")
        vm.sound("in use")
        vm.does("rename", vm.config, "s1", "s1b")
        vm.does("rename", vm.config, "s1b", "s1")
    vm.create("s2")
    vm.delete("s1")
    vm.sound("no longer in use")


def in_use_without_configuration(scratch):
    """The VM is known by its snapshots only, and something has its second disk open: the first one stays as it is, too."""
    vm = Vm(program, scratch)
    vm.write()
    vm.create("s1")
    vm.write()
    vm.config.unlink()
    with holding(vm.disks["xvdb"]):
        for words in (("revert", "web", "s1", "--discard-current"), ("delete", "web", "s1")):
            _, changed = vm.refuses("is in use by sleep", *words)
            tap.equal(changed, [], f"{words[0]}: nothing has changed")
    for more in ((), ("--discard-current",)):
        vm.does("revert", "web", "s1", *more)
        if not more:
            vm.keep("before-revert-1")
        vm.back("s1")
        vm.sound(f"reverted without a configuration {more}")


def in_use_of_nbd(scratch):
    name = "an image that qemu-nbd exports is in use"
    if not shutil.which("qemu-nbd"):
        tap.skip(name, "qemu-nbd is not installed")
        return
    vm = Vm(program, scratch, disks=("xvda",))
    socket = vm.folder / "nbd"
    process = subprocess.Popen(["qemu-nbd", "-f", "qcow2", "-k", socket, "-t", vm.disks["xvda"]])
    try:
        until(socket.exists, "qemu-nbd starts")
        vm.refuses(f"is in use by qemu-nbd ({process.pid})", "create", vm.config)
        tap.equal(vm.run("list").stdout, "VM  SNAPSHOT  PARENT  AGE  KIND  DISKS  CURRENT  DESCRIPTION\n"
                  if vm.run("list").stdout else "", f"{name}: nothing is listed")
    finally:
        process.terminate()
        process.wait()


def in_use_of_loop(scratch):
    name = "an image beneath a loop device is in use"
    vm = Vm(program, scratch, disks=("xvda",))
    vm.create("s1")
    done = subprocess.run(["losetup", "--find", "--show", vm.disks["xvda"]], capture_output=True, text=True) \
        if os.geteuid() == 0 and shutil.which("losetup") else None
    if not done or done.returncode:
        tap.skip(name, done.stderr.strip() if done else "that takes root, and losetup")
        return
    try:
        loop = pathlib.Path(done.stdout.strip()).name
        vm.refuses(f"is in use by the loop device {loop}", "create", vm.config)
        vm.refuses(f"is in use by the loop device {loop}", "revert", vm.config, "s1")
    finally:
        subprocess.run(["losetup", "-d", done.stdout.strip()], check=True)
    vm.sound(name)


def opened_at_the_last_moment(scratch):
    """Somebody opens the image between the check and the renames: it is left to him, and nothing is lost."""
    vm = Vm(program, scratch, disks=("xvda",))
    vm.write()
    vm.create("s1")
    vm.write()
    for point in ("revert/begin", "revert/swapping", "swap/linked", "swap/moved"):
        with stopped(vm, point, "revert", vm.config, "s1", "--discard-current") as command:
            # What is opened is what the VM would have opened before.
            old = next(iter(vm.images.glob("*.old")), vm.disks["xvda"])
            with holding(old) as user:
                status, out, err = command.finish()
                tap.result(status == 1 and f"was opened meanwhile by sleep ({user.pid}), and is left to it" in err
                           and err.count("\n") == 1, f"opened at {point}: revert fails, and says so", err)
                vm.sound(f"opened at {point}: nothing has changed")
                same = os.path.samefile(f"/proc/{user.pid}/fd/0", vm.disks["xvda"])
                tap.result(same, f"opened at {point}: the path leads to what was opened")
        tap.equal(vm.does("recover"), "nothing was interrupted\n", f"opened at {point}: nothing is left to do")
        vm.sound(f"opened at {point}: later")
    vm.revert("s1")
    vm.sound("reverted then")
    vm.write()
    for point in ("qcow2/copied", "qcow2/copy-synced", "swap/moved"):
        with stopped(vm, point, "delete", vm.config, "s1") as command:
            old = next(iter(vm.images.glob("*.old")), vm.disks["xvda"])
            with holding(old) as user:
                status, out, err = command.finish()
                tap.result(status == 1 and f"sleep ({user.pid})" in err and err.count("\n") == 1,
                           f"opened at {point}: delete fails, and says so", err)
                vm.sound(f"opened at {point}: the snapshot is still there")
        tap.equal(vm.does("recover"), "nothing was interrupted\n", f"opened at {point}: nothing is left to do")
    vm.delete("s1")
    vm.sound("deleted then")


def strangers(scratch):
    """An image that somebody else has made on a snapshot is not to be ruined."""
    for name, backing in (("absolute", "{}"), ("relative", "./{.name}")):
        vm = Vm(program, scratch, disks=("xvda",))
        vm.write()
        vm.create("s1")
        vm.write()
        data = pathlib.Path(vm.shown("s1")["disks"][0]["data"])
        clone = vm.images / "clone.qcow2"
        make_image(clone, "-F", "qcow2", "-b", backing.format(data))
        write(clone, {3: 77})
        said, _ = vm.refuses("has been made on top of", "delete", vm.config, "s1")
        tap.result(str(clone) in said, f"a clone with a {name} backing file: delete names it", said)
        tap.equal(vm.content(clone)[3], 77, f"a clone with a {name} backing file: it can be read")
        clone.unlink()
        vm.sound(f"a clone with a {name} backing file: nothing has changed")
        vm.delete("s1")
        vm.sound(f"a clone with a {name} backing file that is gone")


def stranger_on_the_second_disk(scratch):
    """Nothing of a snapshot goes while any of its disks has to stay."""
    vm = Vm(program, scratch)
    vm.write()
    vm.create("s1")
    vm.write()
    data = next(disk["data"] for disk in vm.shown("s1")["disks"] if disk["vdev"] == "xvdb")
    clone = vm.images / "clone.qcow2"
    make_image(clone, "-F", "qcow2", "-b", data)
    vm.refuses("has been made on top of", "delete", vm.config, "s1")
    tap.equal([disk["missing"] for disk in vm.shown("s1")["disks"]], [False, False], "both disks are still there")
    vm.create("s2")
    clone.unlink()
    vm.sound("after a deletion that was refused for the second disk")


def removed_by_hand(scratch):
    vm = Vm(program, scratch)
    vm.write()
    vm.create("s1")
    vm.write()
    vm.create("s2")
    vm.write()
    vm.revert("s1")
    vm.write()
    gone = pathlib.Path(f"{vm.disks['xvdb']}.xw-{vm.shown('s2')['id']}")
    gone.unlink()
    tap.equal([snapshot["name"] for snapshot in vm.listed()], ["s1", "s2"], "data removed by hand: the list is whole")
    tap.equal({disk["vdev"]: (disk["missing"], disk["bytes"] is None) for disk in vm.shown("s2")["disks"]},
              {"xvda": (False, False), "xvdb": (True, True)}, "show says what is missing")
    vm.does("show", vm.config, "s2")
    said, changed = vm.refuses("what the snapshot kept of it is gone", "revert", vm.config, "s2")
    tap.result("disk xvdb" in said and str(gone) in said, "revert names the disk and the file", said)
    vm.refuses("what the snapshot kept of it is gone", "revert", vm.config, "s2", "--dry-run")
    vm.create("s3")
    vm.delete("s2")
    vm.sound("deleted all the same")


def image_removed_by_hand(scratch):
    """A VM that is given up: its images are removed, its snapshots are next."""
    vm = Vm(program, scratch)
    vm.write()
    vm.create("s1")
    for path in vm.disks.values():
        path.unlink()
    vm.refuses("No such file or directory", "create", vm.config)
    vm.does("delete", vm.config, "s1")
    tap.equal(vm.beside(), [], "nothing is left")


def small_file_system(size, scratch):
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                          capture_output=True, text=True)
    return folder, done.stderr.strip() if done.returncode else ""


@contextlib.contextmanager
def full(folder):
    """Not a byte is free."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(folder):
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


def fails_on(how, what, vm, folder, said, *words):
    with how(folder):
        done = vm.run(*words)
        tap.result(done.returncode == 1 and done.stdout == "" and said in done.stderr,
                   f"{what}: {words[0]} fails, and says so", f"{done.returncode}\n{done.stdout}{done.stderr}")
        wrong = vm.problems(unlisted=("filler",))
        tap.result(not wrong, f"{what}: {words[0]} has changed nothing", "\n".join(wrong))
    tap.equal(vm.does("recover"), "nothing was interrupted\n", f"{what}: {words[0]} is undone")
    vm.sound(f"{what}: after {words[0]}")


def no_space(scratch):
    if os.geteuid() != 0:
        tap.skip("file systems that are full or read-only", "mounting them takes root")
        return
    folder, problem = small_file_system("12m", scratch)
    if problem:
        tap.skip("file systems that are full or read-only", problem)
        return
    try:
        vm = Vm(program, scratch, folder=folder / "vm")
        vm.state = pathlib.Path(scratch, "elsewhere")
        vm.write()
        fails_on(full, "the first, images where it is full", vm, folder, "No space left", "create", vm.config, "s1")
        vm.create("s1")
        vm.write()
        vm.create("s2")
        vm.write()
        for how, what, said in ((full, "images where it is full", "No space left"),
                                (read_only, "images where it is read-only", "Read-only file system")):
            fails_on(how, what, vm, folder, said, "create", vm.config, "s3")
            fails_on(how, what, vm, folder, said, "revert", vm.config, "s1", "--discard-current")
            fails_on(how, what, vm, folder, said, "revert", vm.config, "s1")
            fails_on(how, what, vm, folder, said, "delete", vm.config, "s2")
        fails_on(read_only, what, vm, folder, said, "delete", vm.config, "s1")
        vm.delete("s1")
        vm.delete("s2")
        vm.sound("with space again")
    finally:
        subprocess.run(["umount", folder], check=True)
    no_space_for_records(scratch)


def goes_on_later(vm, folder, point, *words):
    """All is done on the disks, and cannot be recorded: the message says what is to come."""
    with stopped(vm, point, *words) as command, full(folder):
        status, _, said = command.finish()
        tap.result(status == 1 and "No space left" in said and said.count("\n") == 1
                   and f"the '{words[0]}' of 'web' is not finished, 'xenwright snapshot recover' goes on with it"
                   in said, f"records where it is full: {words[0]} says that it goes on later", said)
        vm.refuses("No space left", "recover")
    tap.equal(vm.does("recover"), "1 interrupted operations were finished or undone\n", f"{words[0]} goes on")


def no_space_for_records(scratch):
    folder, problem = small_file_system("200k", scratch)
    if problem:
        tap.skip("records where it is full", problem)
        return
    try:
        vm = Vm(program, scratch)
        vm.state = folder / "records"
        vm.write()
        with full(folder):
            vm.refuses("No space left", "create", vm.config, "s1")
        vm.create("s1")
        vm.write()
        vm.create("s2")
        said, what = "Read-only file system", "records where it is read-only"
        fails_on(read_only, what, vm, folder, said, "create", vm.config, "s3")
        fails_on(read_only, what, vm, folder, said, "revert", vm.config, "s1")
        fails_on(read_only, what, vm, folder, said, "delete", vm.config, "s1")
        goes_on_later(vm, folder, "create/prepared", "create", vm.config, "s3")
        vm.keep("s3")
        vm.sound("the snapshot is recorded")
        goes_on_later(vm, folder, "delete/begin", "delete", vm.config, "s1")
        del vm.kept["s1"]
        vm.sound("the deletion is recorded")
        vm.write()
        goes_on_later(vm, folder, "revert/swapping", "revert", vm.config, "s2", "--discard-current")
        vm.back("s2")
        vm.sound("the revert is recorded")
    finally:
        subprocess.run(["umount", folder], check=True)


TESTS = (two_at_once, record_is_not_put_back, in_use, in_use_without_configuration, in_use_of_nbd, in_use_of_loop, opened_at_the_last_moment,
         strangers, stranger_on_the_second_disk, removed_by_hand, image_removed_by_hand, no_space)

if NEEDED:
    tap.skip("snapshots of VMs while others are at work", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in TESTS:
            if len(sys.argv) < 3 or test.__name__ in sys.argv[2:]:
                test(scratch)
tap.end()
