#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The measurements of bench/snapshot*.sh, in the dom0 of a lab.

Each line of its input, "MEASURE ARGUMENT..." with a shell's quotes, is one round; it answers "ok NUMBER...", in
milliseconds, or "failed WHY". So a round costs no start of a program of ours.

Of a standstill these are: for how long the guest was held as the one that held it tells, and the longest gap
between two writes of the guest as it sees it itself ("-" where nobody tells). Of a command it is its time.
"""
import fcntl
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time

LIBEXEC = "/usr/libexec/xenwright/"
FICLONE = 0x40049409


def run(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def timed(action):
    begun = time.monotonic()
    action()
    return (time.monotonic() - begun) * 1000


class Ticks:
    """Writes a block each millisecond in the guest meanwhile."""

    def __init__(self, guest, disk):
        self.words = [LIBEXEC + "xenwright-guest", "exec", guest, "--", "xw-test", "ticks", f"/dev/{disk}"]
        self.longest_ms = None

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ticking\n":
            raise RuntimeError(f"{self.words}: does not tick")
        return self

    def __exit__(self, *_):
        said = self.process.communicate()[0]
        self.longest_ms = int(said.split()[-2]) / 1000


class Qmp:
    """The guest's QEMU. One client at a time: close it before xl wants it."""

    def __init__(self, guest):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(f"/run/xen/qmp-libxl-{run('xl', 'domid', guest).strip()}")
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer}")
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.lines.close()
        self.socket.close()


def with_ticks(guest, disk, action):
    """action() tells for how long it has held the guest; None: nobody knows."""
    with Ticks(guest, disk) as ticks:
        held = action()
    return ["-" if held is None else f"{held:.1f}", f"{ticks.longest_ms:.1f}"]


def idle(guest, disk, seconds):
    """Nothing happens: what of a gap is the lab's own."""
    return with_ticks(guest, disk, lambda: time.sleep(float(seconds)))


def ours(guest, disk, *options):
    """--keep: it is not deleted again."""
    words = [word for word in options if word != "--keep"]
    name = f"bench-{time.time_ns()}"

    def action():
        said = run("xenwright", "snapshot", "create", guest, name, *words)
        told = re.search(r"stood still for ([0-9.]+) ms", said)
        return float(told[1]) if told else None

    numbers = with_ticks(guest, disk, action)
    if "--keep" not in options:
        run("xenwright", "snapshot", "delete", guest, name)
    return numbers


def bare_qcow2(guest, disk):
    """The transaction by which QEMU goes over to new images, made beforehand as libvirt does; nothing is held."""

    def action():
        qmp = Qmp(guest)
        actions = []
        for block in qmp("query-block"):
            old = block["inserted"]
            new = f"{old['file'].split('.bare-')[0]}.bare-{time.time_ns()}"
            run("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", old["file"], new,
                str(old["image"]["virtual-size"]))
            actions.append({"type": "blockdev-snapshot-sync", "data": {
                "node-name": old["node-name"], "snapshot-file": new, "mode": "existing", "format": "qcow2",
                "snapshot-node-name": f"bare{time.time_ns()}"}})
        took = timed(lambda: qmp("transaction", actions=actions))
        qmp.close()
        return took

    return with_ticks(guest, disk, action)


def bare_lvm(guest, disk, volume):
    numbers = with_ticks(guest, disk, lambda: timed(
        lambda: run("lvcreate", "-qq", "-s", "-n", "bare", volume)))
    run("lvremove", "-qqf", os.path.dirname(volume) + "/bare")
    return numbers


def bare_clone(guest, disk, image):
    """The call alone, without starting a program."""

    def action():
        with open(image, "rb") as old, open(image + ".bare", "wb") as new:
            return timed(lambda: fcntl.ioctl(new.fileno(), FICLONE, old.fileno()))

    numbers = with_ticks(guest, disk, action)
    os.unlink(image + ".bare")
    return numbers


def xl_save(guest, disk, file):
    numbers = with_ticks(guest, disk, lambda: run("xl", "save", "-c", guest, file) and None)
    os.unlink(file)
    return numbers


def until_ready(guest):
    while True:
        qmp = Qmp(guest)
        jobs = qmp("query-jobs")
        qmp.close()
        if jobs and all(job["status"] == "ready" for job in jobs):
            return
        if not jobs or any(job["status"] == "concluded" for job in jobs):
            raise RuntimeError(f"the mirror has ended: {jobs}")
        time.sleep(0.02)


def ours_mirror(guest, disk, target):
    """Until it is in step, as QEMU tells."""

    def action():
        run("xenwright", "disk", "mirror", "start", guest, disk, target)
        until_ready(guest)

    took = timed(action)
    run("xenwright", "disk", "mirror", "stop", guest, disk)
    os.unlink(target)
    return [f"{took:.1f}"]


def bare_mirror(guest, disk, target):
    node = f"bare{time.time_ns()}"

    def action():
        qmp = Qmp(guest)
        source, = [block["inserted"] for block in qmp("query-block")
                   if block["inserted"]["node-name"].startswith(disk + "-")]
        run("qemu-img", "create", "-q", "-f", "qcow2", target, str(source["image"]["virtual-size"]))
        qmp("blockdev-add", **{"driver": "qcow2", "node-name": node,
                               "file": {"driver": "file", "filename": target}})
        qmp("blockdev-mirror", **{"job-id": node, "device": source["node-name"], "target": node, "sync": "full"})
        qmp.close()
        until_ready(guest)

    took = timed(action)
    qmp = Qmp(guest)
    qmp("job-cancel", id=node)
    while qmp("query-jobs"):
        time.sleep(0.02)
    qmp("blockdev-del", **{"node-name": node})
    qmp.close()
    os.unlink(target)
    return [f"{took:.1f}"]


def command(*words):
    return [f"{timed(lambda: run(*words)):.1f}"]


def make_thousand(state):
    """Records of 999 more snapshots, as of the one that the only VM has."""
    vm, = [name for name in os.listdir(state) if os.path.exists(f"{state}/{name}/vm.json")]
    first, = [name for name in os.listdir(f"{state}/{vm}") if os.path.exists(f"{state}/{vm}/{name}/snapshot.json")]
    with open(f"{state}/{vm}/{first}/snapshot.json", encoding="utf-8") as file:
        text = file.read()
    record = json.loads(text)
    for number in range(1, 1000):
        folder = f"{state}/{vm}/{number:016x}"
        os.mkdir(folder)
        changed = dict(record, id=f"{number:016x}", name=f"snapshot-{number}", parent=first,
                       created_ms=record["created_ms"] + number)
        with open(folder + "/snapshot.json", "w", encoding="utf-8") as file:
            json.dump(changed, file)
    listed = json.loads(run("env", f"XENWRIGHT_STATE={state}", "xenwright", "snapshot", "list", "--json"))
    return [str(len(listed))]


MEASURES = {"idle": idle, "ours": ours, "bare-qcow2": bare_qcow2, "bare-lvm": bare_lvm, "bare-clone": bare_clone,
            "xl-save": xl_save, "ours-mirror": ours_mirror, "bare-mirror": bare_mirror,
            "command": command, "make-thousand": make_thousand}


def answer(line):
    words = shlex.split(line)
    try:
        return ["ok", *MEASURES[words[0]](*words[1:])]
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, subprocess.SubprocessError) as error:
        return ["failed", line.strip() + ":", repr(error)]


if __name__ == "__main__":
    for request in sys.stdin:
        print(*answer(request), flush=True)
