#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`xenwright lab log --follow` while the console grows, in pieces as QEMU writes it, and then ends.

usage: test-lab-log.py XENWRIGHT
"""
import fcntl
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import tap
from labs import make_lab, record

program = sys.argv[1]

PIECES = ["(XEN) first\nlog", "in: ", "(XE", "N) second\n(X", "EN) third\nroot", "# "]
SAID = {
    (): "(XEN) first\nlogin: (XEN) second\n(XEN) third\nroot# ",
    ("--xen",): "(XEN) first\n(XEN) second\n(XEN) third\n",
    ("--dom0",): "login: \nroot# ",
}

with tempfile.TemporaryDirectory() as scratch:
    folder = make_lab(pathlib.Path(scratch), record("talking", 1, os.getpid()))
    with open(folder / "alive", "w") as alive, open(folder / "console.log", "w") as console:
        fcntl.lockf(alive, fcntl.LOCK_EX)
        followers = {options: subprocess.Popen([program, "lab", "log", "talking", "--follow", *options], text=True,
                                               env=dict(os.environ, XENWRIGHT_CACHE=scratch),
                                               stdout=subprocess.PIPE) for options in SAID}
        for piece in PIECES:
            console.write(piece)
            console.flush()
            time.sleep(0.2)  # they are to see it; where they do not, the test is no more than easier
    for options, follower in followers.items():
        tap.equal(follower.communicate(timeout=30)[0], SAID[options], f"log --follow {' '.join(options)}")
tap.end()
