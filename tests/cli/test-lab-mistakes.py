#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright lab` refuses, or finds damaged, before a lab has to run.

usage: test-lab-mistakes.py XENWRIGHT
"""
import json
import os
import pathlib
import sys
import tempfile

import tap

program = sys.argv[1]


def fails(cache, words, status, said):
    done = tap.run([program, "lab", *words], env=dict(os.environ, XENWRIGHT_CACHE=str(cache)),
                   errors="surrogateescape")
    name = f"lab {words[0]}: {said}"
    tap.equal((done.returncode, done.stdout), (status, ""), f"{name}: status {status}, no output")
    tap.result(said in done.stderr and done.stderr.count("\n") == 1, f"{name}: the one line says so", done.stderr)


def make_lab(cache):
    """One that is down, and whose Xen once crashed, as docs/formats/lab-cache.md has it."""
    folder = cache / "labs" / "resting"
    folder.mkdir(parents=True)
    (folder / "lab.json").write_text(json.dumps({
        "format": 1, "name": "resting", "number": 1, "pid": 0, "started": 0, "release": "trixie", "image": "i",
        "state": "s", "tag": "", "qemu": "/usr/bin/qemu-system-x86_64", "qemu_version": "7.2.0", "gdb": False,
        "mac": "52:54:00:01:02:03", "disk": 0, "chain": [0], "disks": [], "links": [],
        "machine": {"cpus": 2, "memory": 2048, "accel": "tcg", "icount": False, "xen": "", "kernel": "",
                    "initrd": "", "xen_args": "", "dom0_args": ""}}))
    return folder


with tempfile.TemporaryDirectory() as scratch:
    cache = pathlib.Path(scratch, "cache")
    package = pathlib.Path(scratch, "some.deb")
    package.write_bytes(b"")
    fails(cache, ["up", "--dry-run", *["--package", package] * 33], 2, "--package can be given 32 times at most")
    disk = os.path.join(os.fsencode(scratch), b"d\xff.img")
    with open(disk, "wb"):
        pass
    fails(cache, ["up", "--dry-run", "--disk", disk], 1, "the path is not UTF-8")
    (make_lab(cache) / "crash.json").write_text("{}")
    fails(cache, ["log", "resting", "--crash"], 1, "resting/crash.json: 'text' is missing")
tap.end()
