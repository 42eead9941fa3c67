# SPDX-License-Identifier: LGPL-2.1-or-later
"""Results as TAP lines, and running the program under test."""
import subprocess
import sys

count = 0


def result(ok, name, detail=""):
    global count
    count += 1
    name = name.encode("unicode_escape").decode()  # a name is one line, whatever was tried
    print(f"{'ok' if ok else 'not ok'} {count} - {name}")
    if not ok:
        for line in str(detail).splitlines():
            print(f"# {line}")
    sys.stdout.flush()


def equal(got, expected, name):
    result(got == expected, name, f"got      {got!r}\nexpected {expected!r}")


def skip(name, reason):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {reason}")


def end():
    print(f"1..{count}")


def run(argv, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=30, **options)
