#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`xenwright snapshot prune`: which snapshots go, by number and by age, and that the others stay whole.

usage: test-snapshot-prune.py XENWRIGHT
"""
import json
import sys
import tempfile
import time

import tap
from vms import NEEDED, Vm

program = sys.argv[1]


def five(scratch):
    vm = Vm(program, scratch, disks=("xvda",))
    for number in range(1, 6):
        vm.write()
        vm.create(f"s{number}")
    vm.write()
    return vm


def made_ago(vm, name, seconds):
    """As if the snapshot had been made that long ago."""
    record = next(path for path in vm.state.glob("*/*/snapshot.json")
                  if json.loads(path.read_text())["name"] == name)
    data = json.loads(record.read_text())
    data["created_ms"] = int((time.time() - seconds) * 1000)
    record.write_text(json.dumps(data))


def goes(vm, gone, *words):
    said = vm.does("prune", vm.config, *words)
    tap.equal(said, "".join(f"snapshot '{name}' of '{vm.config}' is deleted\n" for name in gone)
              or "nothing is to be deleted\n", f"prune {' '.join(words)}: says what is gone")
    for name in gone:
        del vm.kept[name]
    vm.sound(f"after prune {' '.join(words)}")


def by_number(scratch):
    vm = five(scratch)
    planned = vm.does("prune", vm.config, "--keep", "3", "--dry-run")
    tap.equal(planned, "".join(f"would delete snapshot '{name}' of '{vm.config}'\n" for name in ("s1", "s2")),
              "--dry-run says what would go")
    vm.sound("after --dry-run")
    goes(vm, ["s1", "s2"], "--keep", "3")
    goes(vm, [], "--keep", "3")
    goes(vm, ["s3", "s4", "s5"], "--keep", "0")


def by_age(scratch):
    vm = five(scratch)
    for name, age in (("s1", 9 * 86400), ("s2", 8 * 86400), ("s3", 7260)):
        made_ago(vm, name, age)
    goes(vm, [], "--older", "2w")
    goes(vm, ["s1"], "--older", "1w", "--keep", "4")
    goes(vm, ["s2", "s3"], "--older", "2h")


def mistakes(scratch):
    vm = five(scratch)
    for said, words in (("--keep N, --older AGE", []), ("is no age", ["--older", "soon"]),
                        ("is no age", ["--older", "-1d"]), ("is no age", ["--older", "7 d"]),
                        ("is no age", ["--older", "99999999999999999999d"]), ("--keep", ["--keep", "-1"])):
        _, changed = vm.refuses(said, "prune", vm.config, *words, status=2)
        tap.equal(changed, [], f"prune {' '.join(words)}: nothing has changed")


if NEEDED:
    tap.skip("snapshot prune", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in (by_number, by_age, mistakes):
            test(scratch)
tap.end()
