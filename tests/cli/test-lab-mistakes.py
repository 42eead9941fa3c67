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


def mmdebstrap_has_low_descriptors(scratch):
    """It names its own in shells that take one digit only, so those from 3 to 9 are to be free."""
    bin_dir = pathlib.Path(scratch, "bin")
    bin_dir.mkdir()
    fake = bin_dir / "mmdebstrap"
    fake.write_text("#!/bin/sh\nfor fd in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$fd ] || taken=\"$taken $fd\"; done\n"
                    "echo \"E: taken:${taken:- none}\" >&2; echo 'E: mmdebstrap failed to run' >&2; exit 25\n")
    fake.chmod(0o755)
    done = tap.run([program, "lab", "build", "--mirror", "http://127.0.0.1:9/debian"],
                   env=dict(os.environ, XENWRIGHT_CACHE=os.path.join(scratch, "build"),
                            PATH=f"{bin_dir}:{os.environ['PATH']}"))
    # dash keeps the script itself open at 10.
    tap.equal(done.stderr, "xenwright: image of trixie: mmdebstrap failed: taken: none\n",
              "mmdebstrap gets no descriptors from 3 to 9, and its first error is the message")


with tempfile.TemporaryDirectory() as scratch:
    mmdebstrap_has_low_descriptors(scratch)
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
