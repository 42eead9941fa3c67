#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stays of a lab whatever is wrong with it: its saved states, and the disks they stand on.

usage: test-lab-keep.py XENWRIGHT
"""
import fcntl
import json
import os
import pathlib
import struct
import sys
import tempfile

import tap
from labs import make_lab, make_save, record

program = sys.argv[1]
scratch = tempfile.TemporaryDirectory()
cache = pathlib.Path(scratch.name)
GONE = 4194305  # a pid beyond what Linux gives out


def run(status, *words, says=()):
    done = tap.run([program, "lab", *words], env=dict(os.environ, XENWRIGHT_CACHE=str(cache)))
    name = f"lab {' '.join(words)}"
    tap.equal(done.returncode, status, f"{name}: status {status}")
    for text in says:
        tap.result(text in done.stdout + done.stderr, f"{name}: says '{text}'", done.stdout + done.stderr)
    return done


def lab(name, pid=0, tags=("first",), disks=3):
    """A lab on disk-1, whose saved states need disk-0; nothing needs the others when it is down."""
    content = dict(record(name, 1, pid), links=[])
    folder = make_lab(cache, content)
    for number in range(disks):
        (folder / f"disk-{number}.qcow2").touch()
    for created, tag in enumerate(tags):
        make_save(folder, content, tag, created)
    return folder


def break_save(folder, tag, how):
    path = folder / "saves" / tag / "manifest.json"
    manifest = json.loads(path.read_text())
    if how == "gone":
        path.unlink()
    elif how == "later":
        path.write_text(json.dumps(dict(manifest, format=2)))
    elif how == "of a later lab":
        path.write_text(json.dumps(dict(manifest, lab=dict(manifest["lab"], format=2))))
    elif how == "without a chain":
        path.write_text(json.dumps(dict(manifest, lab=dict(manifest["lab"], chain=["x"]))))
    else:
        path.write_text("{ nonsense")


def disks(folder):
    return sorted(int(path.stem[5:]) for path in folder.glob("disk-*.qcow2"))


def check_bad_saves():
    """A saved state that cannot be read is there all the same, and so is all it may stand on."""
    for number, how in enumerate(("gone", "later", "of a later lab", "without a chain", "nonsense")):
        folder = lab(f"s{number}", GONE)
        break_save(folder, "first", how)
        run(0, "down", f"s{number}", says=["disks that nothing needs stay"])
        tap.equal(disks(folder), [0, 1, 2], f"a state {how}: all disks stay")
        tap.result((folder / "saves/first/state").exists(), f"a state {how}: it stays itself")
        tap.equal(status_of(f"s{number}"), "down", f"a state {how}: the lab is down")
        run(0, "forget", f"s{number}", "first")
        tap.equal(folder.exists(), False, f"a state {how}: it can be forgotten, the last with the lab")


def check_beside_bad():
    folder = lab("two", tags=("bad", "good"))
    break_save(folder, "bad", "nonsense")
    run(1, "prune", says=["lab 'two': saved state 'bad'"])
    run(0, "forget", "two", "good", says=["disks that nothing needs stay"])
    tap.equal(disks(folder), [0, 1, 2], "beside a damaged state nothing is tidied")
    run(1, "forget", "two", "good", says=["has no saved state 'good'"])
    run(0, "forget", "two", "--all")
    tap.equal(folder.exists(), False, "all are forgotten, and with them the lab")


def check_tidy():
    folder = lab("tidy", GONE)
    run(0, "down", "tidy")
    tap.equal(disks(folder), [0], "what no saved state needs is removed")


def break_record(folder, how):
    path = folder / "lab.json"
    if how == "later":
        path.write_text(json.dumps(dict(json.loads(path.read_text()), format=2)))
    elif how == "unreadable":
        path.unlink()
        path.mkdir()
    else:
        path.write_text("{ nonsense")


def check_up_of_damaged():
    """What cannot be read may be a running lab: all but 'down' leave it to the user."""
    for number, (how, says) in enumerate({"later": "made by a later version of xenwright",
                                          "unreadable": "it is a folder",
                                          "nonsense": "'xenwright lab down u2' clears it"}.items()):
        folder = lab(f"u{number}")
        break_record(folder, how)
        run(1, "up", f"u{number}", "--bare", "--qemu", "/bin/false",
            says=["its record cannot be used", says])
        for words in (["restore"], ["restore", "--dry-run"], ["save"]):
            run(1, *words, f"u{number}", "first", says=["its record cannot be used"])
        tap.result((folder / "saves/first/state").exists(), f"a record {how}: up leaves the saved state")
        tap.equal(disks(folder), [0, 1, 2], f"a record {how}: up leaves the disks")


def status_of(name):
    labs = json.loads(run(0, "list", "--json").stdout)
    return {entry["name"]: entry["status"] for entry in labs}.get(name)


def check_down_of_damaged():
    folder = lab("d1", tags=("first", "second"))
    break_record(folder, "nonsense")
    run(0, "down", "d1", says=["its record cannot be read; it is made again from that of its saved state "
                               "'second'", "is down"])
    tap.equal(status_of("d1"), "down", "a damaged record is made again")
    tap.equal(len(json.loads(run(0, "states", "d1", "--json").stdout)), 2, "the saved states are there")
    tap.equal(disks(folder), [0], "and their disk")

    folder = lab("d2")
    break_record(folder, "later")
    later = (folder / "lab.json").read_text()
    run(0, "down", "d2", says=["it stays with its saved states as it is"])
    tap.equal((folder / "lab.json").read_text(), later, "a record of a later version is left alone")
    tap.equal(disks(folder), [0, 1, 2], "and so are the disks")

    folder = lab("d3")
    break_record(folder, "nonsense")
    break_save(folder, "first", "nonsense")
    run(0, "down", "d3", says=["'xenwright lab forget d3 --all', then 'xenwright lab down d3'"])
    tap.result((folder / "saves/first/state").exists(), "nothing is left to read: the saved state stays")
    run(0, "forget", "d3", "--all")
    run(0, "down", "d3")
    tap.equal(folder.exists(), False, "and goes when it is told to")

    folder = lab("d4", tags=())
    break_record(folder, "nonsense")
    run(0, "down", "d4")
    tap.equal(folder.exists(), False, "a damaged record without saved states: cleared")


def locked(path):
    """As base/lock.h has it; until the descriptor is closed."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    return fd


def check_dry_runs():
    """They look, wait for nobody, put nothing right, and say what would go wrong."""
    folder = lab("dry", os.getpid(), tags=("first", "bad"))
    break_save(folder, "bad", "nonsense")
    before = sorted(path for path in cache.rglob("*"))
    held = locked(cache / "labs" / ".lock-dry")
    run(1, "save", "dry", "--dry-run", says=["'dry' is dead: only a running lab can be saved"])
    alive = locked(folder / "alive")
    run(0, "save", "dry", "new", "--dry-run", says=["would save lab 'dry' as 'new'"])
    run(1, "save", "dry", "first", "--dry-run", says=["has a saved state 'first' already"])
    run(1, "restore", "dry", "first", "--dry-run", says=["state is damaged: its content has changed"])
    run(1, "restore", "dry", "other", "--dry-run", says=["has no saved state 'other'"])
    run(0, "forget", "dry", "bad", "--dry-run", says=["would forget 'bad' of lab 'dry'"])
    run(0, "forget", "dry", "--all", "--dry-run", says=["would forget all saved states of lab 'dry'"])
    run(1, "forget", "dry", "other", "--dry-run", says=["has no saved state 'other'"])
    run(0, "down", "dry", "--dry-run", says=["would take down lab 'dry'"])
    run(1, "down", "nothing", "--dry-run", says=["lab 'nothing': there is no such lab"])
    os.close(held)
    os.close(alive)
    (cache / "labs" / ".lock-dry").unlink()
    (folder / "alive").unlink()
    tap.equal(sorted(path for path in cache.rglob("*")), before, "dry runs leave all as it is")


check_bad_saves()
check_beside_bad()
check_tidy()
check_up_of_damaged()
check_down_of_damaged()
check_dry_runs()
scratch.cleanup()
tap.end()
