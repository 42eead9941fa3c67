#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright snapshot list` and `show` print with --json is what docs/formats/snapshot-json.md says, and the
records on disk are what docs/formats/snapshot.md says: a reader made from that page alone finds the same.

usage: test-snapshot-json.py XENWRIGHT FORMATS_DIRECTORY
"""
import datetime
import json
import pathlib
import re
import sys
import tempfile

import tap
from vms import NEEDED, Vm

program, formats = sys.argv[1], pathlib.Path(sys.argv[2])

TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
ID = re.compile(r"[0-9a-f]{16}\Z")


def documented(page, heading, number=0):
    """{member: type} of a table below a heading."""
    text = (formats / page).read_text().split(f"\n## {heading}")[1].split("\n## ")[0]
    table = re.findall(r"\| member \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text)[number]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines()]
    return {name: kind for names, kind in rows for name in re.findall(r"`([^`]+)`", names)}


def fits(value, kind):
    if value is None:
        return kind.endswith(" or null")
    wanted = TYPES[re.match(r"\w+", kind)[0]]
    if not isinstance(value, wanted) or wanted is not bool and isinstance(value, bool):
        return False
    of = re.match(r"array of (string|object)s", kind)
    return not of or all(isinstance(entry, TYPES[of[1]]) for entry in value)


def check(entry, table, name):
    tap.equal(sorted(entry), sorted(table), f"{name}: the members are those documented")
    wrong = {key: value for key, value in entry.items() if key in table and not fits(value, table[key])}
    tap.equal(wrong, {}, f"{name}: each has its type")


class Damaged(Exception):
    pass


def read_record(path, heading, number=0):
    """A JSON file of the records, by the tables of docs/formats/snapshot.md."""
    def once(pairs):
        if len({key for key, _ in pairs}) != len(pairs):
            raise Damaged("a member twice")
        return dict(pairs)
    data = path.read_bytes()
    if len(data) > 1 << 20:
        raise Damaged("too large")
    record = json.loads(data.decode(), object_pairs_hook=once)
    for member, kind in documented("snapshot.md", heading, number).items():
        if member not in record or not fits(record[member], kind):
            raise Damaged(member)
    if record["format"] != 1 or record["id"] != path.parent.name:
        raise Damaged("format or id")
    return record


def read_snapshot(path):
    record = read_record(path, "`STATE/VM/SNAPSHOT/snapshot.json`")
    disks = documented("snapshot.md", "`STATE/VM/SNAPSHOT/snapshot.json`", 1)
    good = (re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", record["name"]) and record["created_ms"] >= 0
            and record["standstill_us"] >= -1 and record["memory_bytes"] >= 0
            and (record["parent"] == "" or ID.match(record["parent"]))
            and record["consistency"] in ("offline", "crash", "paused", "suspended", "filesystem", "memory"))
    for disk in record["disks"]:
        good = good and all(fits(disk.get(member), kind) for member, kind in disks.items())
        good = good and disk["path"].startswith("/") and disk["data"].startswith("/") and disk["size"] >= 0
    if not good:
        raise Damaged(str(path))
    return record


def read_state(state):
    """[(vm, [snapshots from old to new])], VMs by name."""
    vms = []
    for folder in state.iterdir():
        if not ID.match(folder.name) or not (folder / "vm.json").exists():
            continue
        vm = read_record(folder / "vm.json", "`STATE/VM/vm.json`")
        snapshots = []
        for below in folder.iterdir():
            if ID.match(below.name) and (below / "snapshot.json").exists():
                snapshots.append(read_snapshot(below / "snapshot.json"))
        vms.append((vm, sorted(snapshots, key=lambda snapshot: (snapshot["created_ms"], snapshot["id"]))))
    return sorted(vms, key=lambda pair: pair[0]["name"])


def as_listed(state):
    """What `snapshot list --json` should print, but for `age`."""
    for vm, snapshots in read_state(state):
        names = {snapshot["id"]: snapshot["name"] for snapshot in snapshots}
        for snapshot in snapshots:
            seconds, ms = divmod(snapshot["created_ms"], 1000)
            time = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
            yield {"vm": vm["name"], "name": snapshot["name"], "id": snapshot["id"],
                   "parent": names.get(snapshot["parent"]), "created": f"{time:%Y-%m-%dT%H:%M:%S}.{ms:03}Z",
                   "consistency": snapshot["consistency"],
                   "standstill_us": None if snapshot["standstill_us"] < 0 else snapshot["standstill_us"],
                   "current": snapshot["id"] == vm["current"], "automatic": snapshot["automatic"],
                   "description": snapshot["description"], "disks": [disk["vdev"] for disk in snapshot["disks"]]}


def as_tree(state):
    lines = []

    def below(snapshots, current, parent, lead):
        ids = {snapshot["id"] for snapshot in snapshots}
        those = [snapshot for snapshot in snapshots
                 if (snapshot["parent"] if snapshot["parent"] in ids else "") == parent]
        for snapshot in those:
            last = snapshot is those[-1]
            here = "  ← present state" if snapshot["id"] == current else ""
            lines.append(f"{lead}{'└─' if last else '├─'} {snapshot['name']}{here}")
            below(snapshots, current, snapshot["id"], lead + ("   " if last else "│  "))

    for vm, snapshots in read_state(state):
        lines.append(vm["name"] + ("" if vm["current"] else "  ← present state"))
        below(snapshots, vm["current"], "", "")
    return "".join(line + "\n" for line in lines)


def journal_operations(path):
    """[(operation, [steps], whether it is done)], by the page: the checksums are base/journal.h's affair."""
    lines = path.read_text().split("\n")
    if lines[0] != "xenwright-journal 1" or lines[-1] != "":
        raise Damaged(str(path))
    found = []
    for line in lines[1:-1]:
        record = json.loads(re.fullmatch(r"[0-9a-f]{16} (\{.*\})", line)[1])
        if "begin" in record:
            found.append([record["begin"], [], False, record["args"]])
        elif "step" in record:
            found[-1][1].append(record["step"])
        else:
            found[-1][2] = record == {"done": True}
    return found


def same_by_both(vm, name):
    rows = json.loads(vm.does("list", "--json"))
    ages = [row.pop("age") for row in rows]
    tap.equal(rows, list(as_listed(vm.state)), f"{name}: list --json and the records say the same")
    tap.result(all(0 <= age < 1000 for age in ages), f"{name}: ages are in seconds", ages)
    tap.equal(vm.does("list", "--tree"), as_tree(vm.state), f"{name}: so do the tree and the records")


def check_list(vm):
    rows = json.loads(vm.does("list", "--json"))
    table = documented("snapshot-json.md", "`xenwright snapshot list")
    for row in rows:
        check(row, table, f"list: {row['vm']}/{row['name']}")
        shown = json.loads(vm.does("show", row["vm"], row["name"], "--json"))
        check(shown, dict(table, disks="array of objects"), f"show: {row['vm']}/{row['name']}")
        for disk in shown["disks"]:
            check(disk, documented("snapshot-json.md", "`xenwright snapshot show"), f"show: disk {disk['vdev']}")
    tap.equal([row["id"] for row in json.loads(vm.does("list", vm.config, "--json"))],
              [row["id"] for row in rows if row["vm"] == vm.name], "list of one VM has its rows")


def folder_of(vm):
    return next(file.parent for file in vm.state.glob("*/vm.json") if json.loads(file.read_text())["name"] == vm.name)


def check_journal(vm):
    """Each operation, and its steps, are on the page; so are those that it is interrupted at."""
    page = (formats / "snapshot.md").read_text().split("\n## `STATE/VM/journal`")[1]
    file = folder_of(vm) / "journal"
    steps = {"create": ["prepared", "taken", "recorded"], "revert": ["swapping"], "delete": []}
    for words in (["create", vm.config, "j1"], ["revert", vm.config, "j1", "--discard-current"],
                  ["delete", vm.config, "j1"]):
        vm.does(*words)
        tap.equal([entry[:3] for entry in journal_operations(file)], [[words[0], steps[words[0]], True]],
                  f"journal: {words[0]} and its steps, done")
        tap.result(f"| `{words[0]}` |" in page and all(f"`{step}`" in page for step in steps[words[0]]),
                   f"journal: {words[0]} and its steps are on the page")
        check(journal_operations(file)[0][3]["snapshot"], documented("snapshot.md", "`STATE/VM/SNAPSHOT/"),
              f"journal: the record in {words[0]}")
    vm.run("create", vm.config, "j2", XENWRIGHT_KILL_AT="create/prepared")
    tap.equal([entry[:3] for entry in journal_operations(file)], [["create", ["prepared"], False]],
              "journal: an operation that was killed is not done")
    vm.does("recover")


def check_each_counts(vm):
    """Nothing on the page is idle: a record that lacks a member is damaged."""
    for pattern, heading, number in (("vm.json", "`STATE/VM/vm.json`", 0),
                                     ("*/snapshot.json", "`STATE/VM/SNAPSHOT/", 0),
                                     ("*/snapshot.json", "`STATE/VM/SNAPSHOT/", 1)):
        file = next(folder_of(vm).glob(pattern))
        whole = file.read_text()
        for member in documented("snapshot.md", heading, number):
            record = json.loads(whole)
            del (record["disks"][0] if number else record)[member]
            file.write_text(json.dumps(record))
            done = vm.run("list")
            tap.result(done.returncode == 0 and "cannot be read" in done.stderr,
                       f"snapshot.md: {'disks of ' if number else ''}{file.name}: '{member}' is needed", done.stderr)
        record = json.loads(whole)
        (record["disks"][0] if number else record)["more"] = [1]
        file.write_text(json.dumps(record))
        vm.does("list")
        file.write_text(whole)


def check_pages(vm):
    """The files that the program has made are those that the page describes."""
    for file in vm.state.glob("*/vm.json"):
        check(json.loads(file.read_text()), documented("snapshot.md", "`STATE/VM/vm.json`"), "snapshot.md: vm.json")
        for disk in json.loads(file.read_text())["disks"]:
            tap.equal(sorted(disk), ["path", "vdev"], "snapshot.md: disks of vm.json")
    for file in vm.state.glob("*/*/snapshot.json"):
        record = json.loads(file.read_text())
        check(record, documented("snapshot.md", "`STATE/VM/SNAPSHOT/"), "snapshot.md: snapshot.json")
        for disk in record["disks"]:
            check(disk, documented("snapshot.md", "`STATE/VM/SNAPSHOT/", 1), "snapshot.md: disks of snapshot.json")
            tap.equal(disk["data"], f"{disk['path']}.xw-{record['id']}", "snapshot.md: the name of the data")
    names = {path.name for path in vm.state.rglob("*") if path.is_file()} - {"vm.json", "snapshot.json", "config", "journal"}
    tap.equal([name for name in names if not re.fullmatch(r"\.lock(-[0-9a-f]{16})?", name)], [],
              "snapshot.md: no other files are there")
    tap.equal({oct(path.stat().st_mode & 0o777) for path in vm.state.rglob("*") if path.is_dir()}, {"0o700"},
              "folders are their owner's")


def everything(scratch):
    vm = Vm(program, scratch)
    other = Vm(program, scratch, disks=("xvda",), name="another", uuid="01234567-89ab-cdef-0123-456789abcdef")
    other.state = vm.state
    vm.write()
    vm.does("create", vm.config, "s1", "--description", "täglich")
    same_by_both(vm, "one")
    vm.does("create", vm.config, "s2", "--disk", "xvdb")
    vm.does("revert", vm.config, "s1")
    vm.does("create", vm.config, "b1")
    vm.does("create", vm.config, "b2")
    vm.does("revert", vm.config, "b1", "--discard-current")
    other.does("create", other.config)
    same_by_both(vm, "branches, of two VMs")
    vm.does("delete", vm.config, "s1")
    vm.does("rename", vm.config, "b2", "b-2", "--description", "other")
    same_by_both(vm, "one deleted, one renamed")
    check_list(vm)
    check_pages(vm)
    check_journal(vm)
    check_each_counts(other)
    same_by_both(vm, "at the end")


if NEEDED:
    tap.skip("JSON of snapshots", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        everything(scratch)
tap.end()
