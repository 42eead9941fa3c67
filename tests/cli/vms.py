# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs that do not run, made by hand: an xl configuration, and images whose content is known at any time.

A disk is SLOTS pieces of SLOT bytes, each full of one byte: half a cluster, so that what is written to one
piece has the other copied up. Contents are read by qemu-img, not by the program under test.
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import tap

SLOTS, SLOT = 16, 32 * 1024

NEEDED = [name for name in ("qemu-img", "qemu-io") if not shutil.which(name)]


def qemu(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stdout}")
    return done.stdout


def make_image(path, *options):
    qemu("qemu-img", "create", "-q", "-f", "qcow2", *options, path, str(SLOTS * SLOT))


def write(path, pieces, form="qcow2"):
    """pieces: {slot: byte}"""
    words = []
    for slot, byte in pieces.items():
        words += ["-c", f"write -q -P {byte} {slot * SLOT} {SLOT}"]
    qemu("qemu-io", "-f", form, *words, path)


def content(path, form="qcow2"):
    """The byte of each piece; None for one that is not all the same. A text where it cannot be read."""
    with tempfile.NamedTemporaryFile() as raw:
        try:
            qemu("qemu-img", "convert", "-U", "-f", form, "-O", "raw", path, raw.name)
        except RuntimeError as problem:
            return str(problem)
        data = pathlib.Path(raw.name).read_bytes()
    return pieces_of(data)


def pieces_of(data):
    data = bytes(data).ljust(SLOTS * SLOT, b"\0")
    pieces = [data[at:at + SLOT] for at in range(0, len(data), SLOT)]
    return [piece[0] if piece == piece[:1] * SLOT else None for piece in pieces]


def tree(*folders):
    """Everything below: {path: (mode, size, time, content)}, to see whether anything changed."""
    found = {}
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            st = path.lstat()
            data = path.read_bytes() if path.is_file() else None
            found[str(path)] = (st.st_mode, st.st_size, st.st_mtime_ns, st.st_ino, data)
    return found


class Vm:
    """One VM in a folder of its own, beneath `scratch`; what it should hold is kept beside."""

    def __init__(self, program, scratch, disks=("xvda", "xvdb"), name="web", uuid="", folder=None, form="qcow2"):
        self.program, self.name, self.form = program, name, form
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(dir=scratch))
        self.folder.mkdir(exist_ok=True)
        self.state = self.folder / "state"
        self.images = self.folder / "images"
        self.make_folder()
        self.config = self.folder / f"{name}.cfg"
        self.disks = {vdev: self.images / f"{name}-{vdev}.{form}" for vdev in disks}
        self.uuid, self.turn = uuid, 0
        self.content = content
        self.present = {vdev: [0] * SLOTS for vdev in disks}
        self.kept = {}
        for path in self.disks.values():
            self.make(path)
        self.configure()

    def make_folder(self):
        self.images.mkdir()

    def data(self, vdev, identity):
        """Where the content of a disk in the snapshot is."""
        return pathlib.Path(f"{self.disks[vdev]}.xw-{identity}")

    def owned(self, vdev, identity):
        """What of it is one of beside()."""
        return self.data(vdev, identity)

    def beside(self):
        """All that snapshots may leave, and the images."""
        return list(self.images.iterdir())

    def save(self, template):
        """A copy of all of it; and back to it."""
        shutil.rmtree(template, ignore_errors=True)
        subprocess.run(["cp", "-a", self.folder, template], check=True)

    def restore(self, template):
        shutil.rmtree(self.folder)
        subprocess.run(["cp", "-a", template, self.folder], check=True)

    def make(self, path):
        if self.form == "qcow2":
            make_image(path)
        else:
            with open(path, "wb") as file:
                file.truncate(SLOTS * SLOT)

    def configure(self, *more, disks=None, name=None):
        """Write the configuration; `more` are lines of it."""
        paths = disks or self.disks
        lines = [f'name = "{name or self.name}"', "memory = 128", *more]
        if self.uuid:
            lines.append(f'uuid = "{self.uuid}"')
        entries = [f"'format={self.form}, vdev={vdev}, access=rw, target={path}'" for vdev, path in paths.items()]
        lines.append(f"disk = [ {', '.join(entries)} ]")
        self.config.write_text("\n".join(lines) + "\n")

    def write(self):
        """The guest writes: the first piece again, and one that is new."""
        self.turn += 1
        for number, (vdev, path) in enumerate(self.disks.items()):
            pieces = {0: self.turn + 100 * number, 1 + self.turn % (SLOTS - 1): self.turn}
            write(path, pieces, self.form)
            for slot, byte in pieces.items():
                self.present[vdev][slot] = byte

    def keep(self, name, vdevs=None):
        """What a snapshot made now must hold."""
        self.kept[name] = {vdev: list(data) for vdev, data in self.present.items() if not vdevs or vdev in vdevs}

    def back(self, name):
        """What a revert does to the present content."""
        self.present.update({vdev: list(data) for vdev, data in self.kept[name].items()})

    def run(self, verb, *words, **environment):
        return tap.run([self.program, "snapshot", verb, *map(str, words)],
                       env=dict(os.environ, XENWRIGHT_STATE=str(self.state), **environment))

    def does(self, verb, *words, **environment):
        """It ends well, and says nothing on stderr."""
        done = self.run(verb, *words, **environment)
        name = " ".join(["snapshot", verb, *(pathlib.Path(str(word)).name for word in words)])
        tap.equal((done.returncode, done.stderr), (0, ""), name)
        return done.stdout

    def refuses(self, said, verb, *words, status=1, **environment):
        """One line on stderr, with these words in it, and nothing has changed."""
        before = tree(self.images, self.state)
        done = self.run(verb, *words, **environment)
        name = f"snapshot {verb}: {said}"
        tap.equal((done.returncode, done.stdout), (status, ""), f"{name}: status {status}, no output")
        tap.result(said in done.stderr and done.stderr.count("\n") == 1, f"{name}: the one line says so", done.stderr)
        locks = {path for path in tree(self.state) if pathlib.Path(path).name.startswith(".lock")}
        changed = [path for path, what in tree(self.images, self.state).items()
                   if before.get(path) != what and path not in locks]
        return done.stderr, changed

    def create(self, name, *words):
        self.does("create", self.config, name, *words)
        self.keep(name)

    def revert(self, name, kept=None):
        words = [] if kept else ["--discard-current"]
        said = self.does("revert", self.config, name, *words)
        if kept:
            tap.result(f"the state before is kept as '{kept}'" in said, f"the present state is kept as {kept}", said)
            self.keep(kept)
        self.back(name)

    def delete(self, name, *words):
        self.does("delete", self.config, name, *words)
        del self.kept[name]

    def listed(self):
        done = self.run("list", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else []

    def shown(self, name):
        return json.loads(self.run("show", self.config, name, "--json").stdout)

    def problems(self, unlisted=()):
        """
        What is wrong with present state and snapshots. `unlisted`: endings of files beside images that may
        be there although no snapshot owns them.
        """
        wrong = []
        listed = {snapshot["name"]: snapshot for snapshot in self.listed()}
        if sorted(listed) != sorted(self.kept):
            wrong.append(f"listed are {sorted(listed)}, made were {sorted(self.kept)}")
        owned = set(self.disks.values())
        for name, snapshot in listed.items():
            for vdev in snapshot["disks"]:
                data = self.data(vdev, snapshot["id"])
                owned.add(self.owned(vdev, snapshot["id"]))
                if name in self.kept and self.content(data, self.form) != self.kept[name][vdev]:
                    wrong.append(f"{vdev} of snapshot {name} is {self.content(data, self.form)},\n"
                                 f"and should be {self.kept[name][vdev]}")
        wrong += self.problems_of_present()
        left = [path.name for path in self.beside()
                if path not in owned and not path.name.endswith(tuple(unlisted) or ("\0",))]
        if left:
            wrong.append(f"left over: {sorted(left)}")
        return wrong + list(self.problems_of_records(listed.values()))

    def problems_of_present(self):
        return [f"{vdev} is {self.content(path, self.form)},\nand should be {self.present[vdev]}"
                for vdev, path in self.disks.items() if self.content(path, self.form) != self.present[vdev]]

    def problems_of_records(self, listed):
        owned = {"vm.json", "journal"} | {snapshot["id"] for snapshot in listed}
        for vm in self.state.glob("[0-9a-f]*"):
            for path in vm.iterdir():
                if path.name not in owned:
                    yield f"left over: {path.relative_to(self.state)}"

    def sound(self, name):
        wrong = self.problems()
        tap.result(not wrong, f"{name}: contents, files and list are right", "\n".join(wrong))


def internal_snapshots(data):
    """(name, where its L1 table is, and its entries) of each, after QEMU's docs/interop/qcow2.txt."""
    count, at = struct.unpack_from(">IQ", data, 60)
    for _ in range(count):
        table, entries, identity, name, _, _, _, _, extra = struct.unpack_from(">QIHHIIQII", data, at)
        at += 40 + extra + identity
        yield data[at:at + name].decode(), table, entries
        at += name + -(at + name) % 8


def clusters(path, size, snapshot=None):
    """
    The content of a qcow2 image with its backing files, or of a snapshot in it, after QEMU's
    docs/interop/qcow2.txt: no process needed.
    """
    data = pathlib.Path(path).read_bytes()
    magic, version, at, length, bits, _, _, count, table = struct.unpack_from(">IIQIIQIIQ", data)
    if magic != 0x514649FB or version not in (2, 3):
        raise ValueError(f"{path} is no qcow2 image")
    if snapshot:
        table = {name: table for name, table, _ in internal_snapshots(data)}[snapshot]
    out = clusters(data[at:at + length].decode(), size) if at else bytearray(size)
    cluster, offset_mask = 1 << bits, 0x00FFFFFFFFFFFE00
    for number in range(-(-size // cluster)):
        (first,) = struct.unpack_from(">Q", data, table + 8 * (number // (cluster // 8)))
        if not first & offset_mask:
            continue
        (entry,) = struct.unpack_from(">Q", data, (first & offset_mask) + 8 * (number % (cluster // 8)))
        if entry >> 62 & 1:
            raise ValueError(f"{path} has compressed clusters")
        if entry & 1 and version == 3:
            out[number * cluster:(number + 1) * cluster] = bytes(cluster)
        elif entry & offset_mask:
            host = entry & offset_mask
            out[number * cluster:(number + 1) * cluster] = data[host:host + cluster].ljust(cluster, b"\0")
    return out


def quick_content(path, form="qcow2", snapshot=None):
    """As content(), without a process for each."""
    try:
        data = clusters(path, SLOTS * SLOT, snapshot) if form == "qcow2" else pathlib.Path(path).read_bytes()
    except (OSError, ValueError, KeyError, struct.error, RecursionError) as problem:
        return repr(problem)
    return pieces_of(data)
