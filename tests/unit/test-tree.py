#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shape of the source tree: which way includes go, how large rooms may be, licence lines.

usage: test-tree.py ROOT        prints TAP; a complaint names file and line
"""
import os
import re
import sys
import tempfile

# Data walks one way: cli -> capability -> host -> base -> the public headers.
CAPABILITIES = ("lab", "snapshot", "hotplug", "clamp", "motion", "unikernel", "fuzz", "trial", "xl")
LEVEL = {"include": 0, "base": 1, "host": 2, **{name: 3 for name in CAPABILITIES}, "cli": 4}
LAYER = {0: "a public header", 1: "base", 2: "host", 3: "a capability", 4: "cli"}

# Where the style of the project ends by force; CONTRIBUTING asks for less.
MOST_LINES = 1000
MOST_FUNCTION_LINES = 120
MOST_COLUMNS = 120

# Built for other worlds, with rules of their own.
FREESTANDING = ("clamp/xen/", "clamp/linux/", "unikernel/")


def sources(root, endings=(".c", ".h")):
    """Paths relative to root, of our own files only."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below
                          if not name.startswith((".", "build")) and name != "__pycache__")
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.relpath(os.path.join(folder, name), root)


def lines_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read().split("\n")


def top(path):
    return path.split("/", 1)[0]


def include_problem(path, target):
    """Why the file at `path` may not include "target"; None where it may."""
    here, there = top(path), top(target)
    if target.startswith("../"):
        return 'name the folder from the root instead of ".."'
    if here not in LEVEL or there not in LEVEL or "/" not in target:
        return None
    if LEVEL[there] > LEVEL[here]:
        return f"{LAYER[LEVEL[here]]} must not know {LAYER[LEVEL[there]]}"
    if LEVEL[here] == 3 and LEVEL[there] == 3 and here != there:
        return f"capabilities must not know each other ({here}, {there})"
    return None


def wrong_includes(root):
    for path in sources(root):
        for number, line in enumerate(lines_of(root, path), 1):
            found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if not found:
                continue
            target = found.group(2)
            if found.group(1) == '"' or top(target) in ("base", "host", "cli"):
                why = include_problem(path, target)
                if why:
                    yield f"{path}:{number}: includes {target}: {why}"
            if path.startswith("include/") and found.group(1) == '"':
                yield f"{path}:{number}: a public header includes <xenwright/…>, not a quoted file"


def large_files(root):
    for path in sources(root):
        count = len(lines_of(root, path)) - 1
        if count > MOST_LINES:
            yield f"{path}:{count}: {count} lines; split it by ideas (at most {MOST_LINES})"


def long_functions(root):
    """By the style of the project a function starts and ends with a brace in the first column."""
    for path in sources(root, (".c",)):
        start = None
        for number, line in enumerate(lines_of(root, path), 1):
            if line == "{":
                start = number
            elif line.startswith("}") and start:
                if number - start > MOST_FUNCTION_LINES:
                    yield (f"{path}:{start}: a function of {number - start} lines; "
                           f"split it (at most {MOST_FUNCTION_LINES})")
                start = None


def wide_lines(root):
    for path in sources(root):
        if path.startswith(FREESTANDING):
            continue
        for number, line in enumerate(lines_of(root, path), 1):
            if len(line) > MOST_COLUMNS:
                yield f"{path}:{number}: {len(line)} columns (at most {MOST_COLUMNS})"


def missing_licences(root):
    for path in sources(root, (".c", ".h", ".py", ".sh", "meson.build")):
        head = "\n".join(lines_of(root, path)[:2])
        found = re.search(r"SPDX-License-Identifier: (\S+)", head)
        if not found:
            yield f"{path}:1: no SPDX licence line"
        elif not os.path.exists(os.path.join(root, "LICENSES", found.group(1) + ".txt")):
            yield f"{path}:1: the text of {found.group(1)} is not in LICENSES/"


CHECKS = (wrong_includes, large_files, long_functions, wide_lines, missing_licences)

# For the check of the checks: a file of a made-up tree, and what must be said about it.
LICENCE = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
BAD = (
    ("base/up.c", LICENCE + '\n#include "host/qmp.h"\n', "base/up.c:3: includes host/qmp.h"),
    ("host/up.h", LICENCE + '#include "cli/command.h"\n', "host/up.h:2: includes cli/command.h"),
    ("lab/side.c", LICENCE + '#include "snapshot/store.h"\n', "lab/side.c:2: includes snapshot"),
    ("cli/dots.c", LICENCE + '#include "../base/log.h"\n', "cli/dots.c:2: includes ../base/log.h"),
    ("include/xenwright/in.h", LICENCE + '#include "base/log.h"\n', "in.h:2: includes base/log.h"),
    ("base/large.c", LICENCE + "\n" * 1000, "base/large.c:1001: 1001 lines"),
    ("base/long.c", LICENCE + "int f(void)\n{\n" + ";\n" * 120 + "}\n", "base/long.c:3: a function"),
    ("base/wide.c", LICENCE + "/* " + "x" * 115 + " */\n", "base/wide.c:2: 121 columns"),
    ("base/free.c", "int x;\n", "base/free.c:1: no SPDX"),
    ("base/other.c", "/* SPDX-License-Identifier: Strange-1.0 */\n", "the text of Strange-1.0"),
)
GOOD = (
    ("cli/fine.c", LICENCE + '#include "lab/lab.h"\n#include "base/log.h"\n#include <stdio.h>\n'),
    ("lab/fine.c", LICENCE + '#include "host/qmp.h"\n#include "lab/lab.h"\n#include "near.h"\n'),
    ("base/edge.c", LICENCE + "int f(void)\n{\n" + ";\n" * 119 + "}\n" + "x" * 120 + "\n"),
)


def problems_of_the_checks():
    """Each check must find what it is there for, and nothing in a good tree."""
    for path, text, expected in BAD + tuple((p, t, None) for p, t in GOOD):
        with tempfile.TemporaryDirectory() as root:
            for name, content in ((path, text), ("LICENSES/LGPL-2.1-or-later.txt", "")):
                os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
                with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                    file.write(content)
            said = [line for check in CHECKS for line in check(root)]
            if expected is None and said:
                yield f"{path}: nothing is wrong with it, but: {said}"
            elif expected is not None and not any(expected in line for line in said):
                yield f"{path}: '{expected}' was not said, but {said}"


def main():
    root = sys.argv[1]
    print(f"1..{len(CHECKS) + 1}")
    results = [("the checks find what they look for", list(problems_of_the_checks()))]
    results += [(check.__name__.replace("_", " "), list(check(root))) for check in CHECKS]
    for number, (name, said) in enumerate(results, 1):
        print(f"{'not ok' if said else 'ok'} {number} - {name}")
        for line in said:
            print(f"# {line}")
    return any(said for _, said in results)


if __name__ == "__main__":
    sys.exit(main())
