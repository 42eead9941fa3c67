#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Public headers: each compiles alone as C99 and as C++, and the library exports just what they say.

usage: test-public-headers.py ROOT LIBRARY CC…        prints TAP
"""
import glob
import os
import re
import shutil
import subprocess
import sys

STRICT = ["-Wall", "-Wextra", "-Wundef", "-Werror", "-pedantic", "-fsyntax-only"]
LANGUAGES = {
    "C99": ["-std=c99", "-Wstrict-prototypes", "-x", "c"],
    "C++": ["-std=c++11", "-x", "c++"],
}


def compile_alone(compiler, language, include, header):
    """The compiler's complaint about a file that includes this header twice and nothing else."""
    source = f"#include <xenwright/{header}>\n" * 2 + "typedef int not_empty;\n"
    run = subprocess.run(
        compiler + LANGUAGES[language] + STRICT + ["-I", include, "-"],
        input=source, text=True, capture_output=True, check=False)
    return run.stderr if run.returncode else ""


def declared(include, headers):
    """The functions that the headers mark XW_PUBLIC."""
    names = set()
    for header in headers:
        with open(os.path.join(include, "xenwright", header), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        for found in re.finditer(r"XW_PUBLIC\s+([^;{]*?)\b(xw_\w+)\s*\(", text):
            names.add(found.group(2))
    return names


def exported(library):
    run = subprocess.run(["nm", "-D", "--defined-only", library], text=True, capture_output=True,
                         check=True)
    names = (line.split()[-1].split("@")[0] for line in run.stdout.splitlines())
    return {name for name in names if not name.startswith("XENWRIGHT_")}


def main():
    root, library, *compiler = sys.argv[1:]
    include = os.path.join(root, "include")
    headers = sorted(os.path.basename(path) for path in glob.glob(include + "/xenwright/*.h"))
    plus = shutil.which("g++") or shutil.which("clang++")
    results = []
    for header in headers:
        results.append((f"{header} as C99", compile_alone(compiler, "C99", include, header)))
        if plus:
            results.append((f"{header} as C++", compile_alone([plus], "C++", include, header)))
        else:
            results.append((f"{header} as C++ # SKIP no C++ compiler (g++) is installed", ""))
    said, there = declared(include, headers), exported(library)
    results.append(("the library exports what the headers declare",
                    "".join(f"not exported: {name}\n" for name in sorted(said - there))))
    results.append(("and nothing else",
                    "".join(f"not in a header: {name}\n" for name in sorted(there - said))))
    print(f"1..{len(results)}")
    for number, (name, complaint) in enumerate(results, 1):
        print(f"{'not ok' if complaint else 'ok'} {number} - {name}")
        for line in complaint.splitlines():
            print(f"# {line}")
    return any(complaint for _, complaint in results)


if __name__ == "__main__":
    sys.exit(main())
