#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every command of the program owes its user, whatever it does.

usage: test-every-command.py XENWRIGHT
"""
import json
import os
import sys

import tap

program = sys.argv[1]
tables = json.loads(tap.run([program, "__commands", "--json"]).stdout)


def misused(words, status, why):
    """One line on stderr that says why and where the help is; nothing on stdout."""
    done = tap.run([program, *words])
    lines = done.stderr.splitlines()
    level = " ".join(["xenwright", *words[:2]])
    tap.result(done.returncode == status and done.stdout == "" and len(lines) == 1
               and lines[0].startswith(f"xenwright: {' '.join(words[:2])}: ") and why in lines[0]
               and lines[0].endswith(f"; see '{level} --help'"),
               f"{' '.join(['xenwright', *words])}: misuse", f"{done.returncode}\n{done.stderr}")


def check_misuse(noun, verb):
    command = [noun, verb["verb"]]
    status = 125 if "passthrough" in verb["flags"] else 2
    arguments = verb["arguments"]
    misused([*command, "--no-such-option"], status, "'--no-such-option'")
    misused([*command, "-\x07"], status, "unknown option")
    misused([*command, "--help=yes"], status, "--help takes no value")
    if arguments["min"] > 0:
        misused(command, status, f"expected {arguments['usage']}")
    if arguments["max"] is not None:
        words = [f"w{i}" for i in range(arguments["max"] + 1)]
        misused([*command, *words], status, f"'{words[-1]}'")
    for option in verb["options"]:
        if option["argument"]:
            misused([*command, f"--{option['name']}"], status, f"--{option['name']} needs a value")
        if option["values"]:
            misused([*command, f"--{option['name']}=no-such-word"], status,
                    f"--{option['name']}: 'no-such-word' is not one of")


def check_help(words):
    name = " ".join(["xenwright", *words, "--help"])
    with open("/dev/full", "w") as full:
        done = tap.run([program, *words, "--help"], stdout=full)
    tap.equal((done.returncode, done.stderr),
              (125 if words[1:] and passes_through(*words) else 1,
               "xenwright: standard output: No space left on device\n"), f"{name} >/dev/full")
    done = tap.run([program, *words, "--help", "--color=always"],
                   env={**os.environ, "COLUMNS": "60"})
    tap.equal((done.returncode, done.stderr), (0, ""), f"{name}: ends well")
    tap.result("\033[1m" in done.stdout, f"{name}: headings stand out where asked for")
    done = tap.run([program, *words, "--help"], env={**os.environ, "COLUMNS": "60"})
    wide = [line for line in done.stdout.splitlines()
            if len(line) > 60 and not line.startswith("  xenwright ") and len(line.split()) > 1]
    tap.equal(wide, [], f"{name}: fits 60 columns")
    tap.result("\033" not in done.stdout, f"{name}: no colour into a pipe")


def passes_through(noun, verb):
    verbs = next(n["verbs"] for n in tables["nouns"] if n["noun"] == noun)
    return "passthrough" in next(v["flags"] for v in verbs if v["verb"] == verb)


check_help([])
for noun in tables["nouns"]:
    check_help([noun["noun"]])
    for verb in noun["verbs"]:
        check_help([noun["noun"], verb["verb"]])
        check_misuse(noun["noun"], verb)
tap.end()
