#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright lab list`, `states` and `prune` print with --json is what the formats' pages say.

usage: test-lab-json.py XENWRIGHT FORMATS_DIRECTORY

The labs are made by hand (labs.py): those that are down and those whose QEMU is gone.
"""
import json
import os
import pathlib
import re
import sys
import tempfile
import time

import tap
from labs import make_lab, make_save, record

program, formats = sys.argv[1], pathlib.Path(sys.argv[2])

TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def documented(page, heading):
    """{member: type} of the first table below a heading."""
    text = (formats / page).read_text().split(f"\n## {heading}")[1].split("\n## ")[0]
    table = re.search(r"\| member \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text)[1]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines()]
    return {name: kind for names, kind in rows for name in re.findall(r"`([^`]+)`", names)}


def fits(value, kind):
    if value is None:
        return kind.endswith(" or null")
    wanted = TYPES[re.match(r"\w+", kind)[0]]
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def check(entry, table, name, absent=()):
    tap.equal(sorted(entry), sorted(set(table) - set(absent)), f"{name}: the members are those documented")
    wrong = {key: value for key, value in entry.items() if key in table and not fits(value, table[key])}
    tap.equal(wrong, {}, f"{name}: each has its type")


def run(cache, *words):
    return tap.run([program, *words], env=dict(os.environ, XENWRIGHT_CACHE=str(cache)))


def output(cache, *words):
    done = run(cache, *words)
    tap.equal((done.returncode, done.stderr), (0, ""), f"{' '.join(words)} ends well")
    return json.loads(done.stdout)


def check_nothing(cache):
    tap.equal(output(cache, "lab", "list", "--json"), [], "where no lab is, the list is empty")
    done = run(cache, "lab", "states", "nobody", "--json")
    tap.equal((done.returncode, done.stdout), (1, ""), "states of a lab that is not there: a failure")
    tap.result("nobody" in done.stderr and "lab list" in done.stderr, "and it says what to do", done.stderr)


def check_list(cache):
    table = documented("lab-json.md", "`xenwright lab list --json`")
    labs = {lab["name"]: lab for lab in output(cache, "lab", "list", "--json")}
    tap.equal(list(labs), ["broken", "gone", "later", "resting"], "all labs are listed, by name")
    tap.equal({name: lab["status"] for name, lab in labs.items()},
              {"broken": "damaged", "gone": "dead", "later": "damaged", "resting": "down"}, "each with its status")
    check(labs["gone"], table, "a dead lab")
    check(labs["resting"], table, "a lab that is down", absent=("pid", "uptime"))
    for name in ("broken", "later"):
        check(labs[name], {key: table[key] for key in ("name", "status", "networks")}, f"a damaged lab ({name})")
    tap.equal((labs["gone"]["cpus"], labs["gone"]["memory"], labs["gone"]["networks"], labs["gone"]["pid"]),
              (3, 2048 << 20, ["blue"], 4194305), "processors, memory in bytes, networks and pid come through")
    tap.result(100 <= labs["gone"]["uptime"] < 1000, "uptime is in seconds", labs["gone"]["uptime"])
    tap.equal((labs["gone"]["restored_from"], labs["resting"]["restored_from"]), (None, "first"),
              "restored_from is null or a tag")
    tap.result(labs["gone"]["status"] in (formats / "lab-json.md").read_text(), "the status is on the page")


def check_states(cache, manifests):
    table = documented("lab-json.md", "`xenwright lab states NAME --json`")
    states = output(cache, "lab", "states", "resting", "--json")
    tap.equal([state["tag"] for state in states], ["bad", "second", "first"],
              "the damaged state comes first, then the oldest")
    tap.equal(states.pop(0), {"tag": "bad", "status": "damaged"}, "a damaged state has nothing else")
    for state in states:
        tap.equal(state["status"], "whole", f"'{state['tag']}' is whole")
        check(state, table, f"saved state '{state['tag']}'")
        tap.equal(state["created"], manifests[state["tag"]]["created"], f"'{state['tag']}': created comes through")
        tap.result(0 <= time.time() - state["created"] - state["age"] < 60, f"'{state['tag']}': age fits created",
                   state)
        tap.result(10000 <= state["bytes"] < 100000, f"'{state['tag']}': bytes are those on the disk", state)
    tap.equal(output(cache, "lab", "states", "gone", "--json"), [], "a lab without saved states: an empty list")


def check_prune(cache):
    """A damaged image can go; so can a state whose image is gone, unless a lab stands on it."""
    for folder in ("images/trixie-1", "states/trixie-2", "states/trixie-ba9876543210"):
        (cache / folder).mkdir(parents=True)
        (cache / folder / "disk.qcow2").write_bytes(b"x" * 20000)
    (cache / "images/trixie-1/damaged").write_text("disk.qcow2 has another size")
    removed = output(cache, "lab", "prune", "--dry-run", "--json")
    tap.equal([(entry["kind"], entry["key"]) for entry in removed],
              [("state", "trixie-2"), ("image", "trixie-1")], "states and images that nobody needs")
    for entry in removed:
        check(entry, documented("lab-json.md", "`xenwright lab prune --json`"), f"prune: {entry['key']}")
        tap.result(20000 <= entry["bytes"] < 100000, "its size is that on the disk", entry)
    tap.equal(output(cache, "lab", "prune", "--json"), removed, "what would be removed is removed")
    tap.equal(sorted(path.name for path in cache.glob("[is][mt]a*/*")), ["trixie-ba9876543210"], "the rest stays")


def check_each_counts(cache):
    """Nothing on the page is idle: a lab.json that lacks a member is none. The name is the folder's."""
    members = [key for key in documented("lab-cache.md", "`labs/NAME/lab.json`") if key != "name"]
    for number, member in enumerate(members):
        content = record(f"l{number}", number + 1, 0)
        content.pop(member, None)
        make_lab(cache, content)
    taken = [members[int(lab["name"][1:])] for lab in output(cache, "lab", "list", "--json")
             if lab["status"] != "damaged"]
    tap.equal(taken, [], "lab-cache.md: each member of lab.json is needed")


def check_pages(content, manifest):
    """The files made by hand, which the program has taken, are those that the page describes."""
    check(content, documented("lab-cache.md", "`labs/NAME/lab.json`"), "lab-cache.md: lab.json")
    check(manifest, documented("lab-cache.md", "`labs/NAME/saves/TAG/manifest.json`"),
          "lab-cache.md: manifest.json of a saved state")


with tempfile.TemporaryDirectory() as scratch:
    empty, cache = pathlib.Path(scratch, "empty"), pathlib.Path(scratch, "cache")
    check_nothing(empty)
    check_each_counts(pathlib.Path(scratch, "each"))
    resting = dict(record("resting", 2, 0), tag="first")
    make_lab(cache, record("gone", 1, 4194305))  # a pid beyond what Linux gives out
    folder = make_lab(cache, resting)
    now = int(time.time())
    saves = {"first": make_save(folder, resting, "first", now - 50),
             "second": make_save(folder, resting, "second", now - 5000)}
    check_prune(cache)
    make_lab(cache, {"name": "broken", "format": 1})
    make_lab(cache, dict(record("later", 3, 0), format=2))
    check_list(cache)
    (folder / "saves" / "bad").mkdir()
    check_states(cache, saves)
    check_pages(resting, saves["first"])
tap.end()
