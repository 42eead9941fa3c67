#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright lab` refuses, or finds damaged, before a lab has to run.

usage: test-lab-mistakes.py XENWRIGHT
"""
import os
import pathlib
import sys
import tempfile

import tap
from labs import make_lab, record

program = sys.argv[1]


def fails(cache, words, status, said):
    done = tap.run([program, "lab", *words], env=dict(os.environ, XENWRIGHT_CACHE=str(cache)),
                   errors="surrogateescape")
    name = f"lab {words[0]}: {said}"
    tap.equal((done.returncode, done.stdout), (status, ""), f"{name}: status {status}, no output")
    tap.result(said in done.stderr and done.stderr.count("\n") == 1, f"{name}: the one line says so", done.stderr)


with tempfile.TemporaryDirectory() as scratch:
    cache = pathlib.Path(scratch, "cache")
    package = pathlib.Path(scratch, "some.deb")
    package.write_bytes(b"")
    fails(cache, ["up", "--dry-run", *["--package", package] * 33], 2, "--package can be given 32 times at most")
    disk = os.path.join(os.fsencode(scratch), b"d\xff.img")
    with open(disk, "wb"):
        pass
    fails(cache, ["up", "--dry-run", "--disk", disk], 1, "the path is not UTF-8")
    (make_lab(cache, record("resting", 1, 0)) / "crash.json").write_text("{}")
    fails(cache, ["log", "resting", "--crash"], 1, "resting/crash.json: 'text' is missing")
tap.end()
