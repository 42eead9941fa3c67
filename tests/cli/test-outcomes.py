#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the program ends: status, the one line on stderr, and what happens to its output.

usage: test-outcomes.py FAKE (the program built with tests/unit/cli/fake-group.c)
"""
import json
import os
import pty
import signal
import subprocess
import sys

import tap

fake = sys.argv[1]


def ends(words, status, stderr="", stdout=None):
    done = tap.run([fake, *words])
    name = " ".join(["xenwright", *words])
    tap.equal(done.returncode, status, f"{name}: status {status}")
    tap.equal(done.stderr, f"xenwright: {stderr}\n" if stderr else "", f"{name}: stderr")
    if stdout is not None:
        tap.equal(done.stdout, stdout, f"{name}: stdout")


see = "; see 'xenwright {}--help'"

# The four statuses, and those of a command that passes another program's through.
ends(["widget", "fail", "not"], 0, stdout="", stderr="warning: a warning")
for words, status, message in [
    ([], 2, "no command was given" + see.format("")),
    (["wdiget"], 2, "unknown noun 'wdiget' (did you mean 'widget'?)" + see.format("")),
    (["--jsn"], 2, "unknown option '--jsn' (did you mean '--json'?)" + see.format("")),
    (["--json", "widget", "list"], 2,
     "--json stands behind the verb, except with --version" + see.format("")),
    (["widget"], 2, "widget: no verb was given" + see.format("widget ")),
    (["widget", "shwo"], 2,
     "widget: unknown verb 'shwo' (did you mean 'show'?)" + see.format("widget ")),
    (["widget", "show"], 2,
     "widget show: arguments are missing, expected WIDGET [FILE]..." + see.format("widget show ")),
    (["widget", "show", "red", "--memroy", "1"], 2,
     "widget show: unknown option '--memroy' (did you mean '--memory'?)"
     + see.format("widget show ")),
    (["widget", "show", "red", "--count", "9"], 2,
     "widget show: --count: 9 is out of range, expected 1 to 8" + see.format("widget show ")),
    (["widget", "show", "red", "--count", "many"], 2,
     "widget show: --count: 'many' is not a number" + see.format("widget show ")),
    (["widget", "show", "red", "--size", "12Q"], 2,
     "widget show: --size: '12Q' is not a size, expected a number of bytes or with K, M, G or T "
     "behind it, as in 10G" + see.format("widget show ")),
    (["widget", "show", "red", "-m", "-1"], 2,
     "widget show: --memory: '-1' is not a size, expected a number of MiB or with K, M, G or T "
     "behind it, as in 2G" + see.format("widget show ")),
    (["widget", "show", "red", "--size", "9E"], 2,
     "widget show: --size: 9E is too large" + see.format("widget show ")),
    (["widget", "exec", "broken", "true"], 125, "widget 'broken': it does not answer"),
    (["widget", "exec"], 125,
     "widget exec: arguments are missing, expected WIDGET -- COMMAND [ARG]..."
     + see.format("widget exec ")),
    (["widget", "show", "red\n\033[31mx", "--kind=\033[31m\nq"], 2,
     "widget show: --kind: '\\x1b[31m\\nq' is not one of pv, pvh or hvm"
     + see.format("widget show ")),
    (["help", "widget", "show", "x"], 2,
     "help: one argument too many, 'x', expected [NOUN [VERB]]" + see.format("")),
    (["help", "elephant"], 2, "unknown noun 'elephant'" + see.format("")),
]:
    ends(words, status, message, stdout="")
ends(["widget", "exec", "red", "--", "a", "b", "-c"], 3, stdout="a\nb\n-c\n")

for how, status, message in [
    ("misuse", 2, "widget fail: 'misuse' cannot be used here" + see.format("widget fail ")),
    ("badly", 1, "widget 'badly': not there, make one first"),
    ("partly", 3, "widget 'partly': not there, make one first"),
    ("silently", 1, os.strerror(20)),
]:
    done = tap.run([fake, "widget", "fail", how])
    tap.equal(done.returncode, status, f"fail {how}: status")
    tap.equal(done.stderr.splitlines()[-1], f"xenwright: {message}", f"fail {how}: message")

# How much is said on the way.
for words, said in [([], 1), (["-v"], 2), (["-vv"], 3), (["--verbose", "--verbose"], 3)]:
    done = tap.run([fake, "widget", "fail", "not", *words])
    tap.equal(len(done.stderr.splitlines()), said, f"verbosity {words}")

# What was given arrives.
done = tap.run([fake, "widget", "show", "--all", "red", "-n4", "--size=1.5K", "-m", "1",
                "--tag=a", "-tb", "blue", "--json", "--kind", "hvm"])
tap.equal(json.loads(done.stdout),
          {"all": True, "count": 4, "size": 1536, "memory": 1 << 20, "kind": "hvm",
           "tags": ["a", "b"], "arguments": ["red", "blue"]}, "options and arguments arrive")
done = tap.run([fake, "widget", "show", "red"])
tap.equal(json.loads(done.stdout),
          {"all": False, "count": 1, "size": 0, "memory": 0, "kind": None, "tags": [],
           "arguments": ["red"]}, "defaults")

# Tables are tables for people and arrays for programs.
done = tap.run([fake, "widget", "list"])
tap.equal([line.split() for line in done.stdout.splitlines()],
          [["NAME", "SIZE"], ["red", "1.5K"], ["round", "7B"]], "a table")
done = tap.run([fake, "widget", "list", "--json"])
tap.equal(json.loads(done.stdout), [{"name": "red", "size": 1536}, {"name": "round", "size": 7}],
          "the same as JSON")

# Output that cannot be written is a failure.
for words in (["--help"], ["--version"], ["widget", "list"], ["widget", "list", "--json"],
              ["widget", "--help"], ["help", "widget", "show"], ["__commands", "--json"]):
    with open("/dev/full", "w") as full:
        done = tap.run([fake, *words], stdout=full)
    tap.equal((done.returncode, done.stderr),
              (1, "xenwright: standard output: No space left on device\n"),
              f"{' '.join(words)} >/dev/full")
with open("/dev/full", "w") as full:
    done = tap.run([fake, "widget", "exec", "red", "echo"], stdout=full)
tap.equal(done.returncode, 1, "the other program's status goes before a failure to write")
with open("/dev/full", "w") as full:
    done = tap.run([fake, "widget", "yes"], stdout=full)
tap.equal((done.returncode, len(done.stderr.splitlines())), (1, 1), "endless output >/dev/full")
done = tap.run(["sh", "-c", 'exec "$0" --version >&-', fake])
tap.equal((done.returncode, done.stderr), (1, "xenwright: standard output: Bad file descriptor\n"),
          "--version with a closed stdout")
done = tap.run(["sh", "-c", 'exec "$0" --nothing 2>&-', fake])
tap.equal((done.returncode, done.stdout), (2, ""), "a message with a closed stderr")
done = tap.run(["sh", "-c", 'exec "$0" widget fail not <&- >&- 2>&-', fake])
tap.equal(done.returncode, 0, "all three closed, and nothing to write")


def into_closed_pipe(restore):
    reader, writer = os.pipe()
    process = subprocess.Popen([fake, "widget", "yes"], stdout=writer, stderr=subprocess.PIPE,
                               text=True, restore_signals=restore)
    os.close(writer)
    os.read(reader, 100)
    os.close(reader)
    stderr = process.communicate(timeout=30)[1]
    return process.returncode, stderr


tap.equal(into_closed_pipe(True), (-signal.SIGPIPE, ""), "the reader of a pipe goes away")
tap.equal(into_closed_pipe(False), (1, "xenwright: standard output: Broken pipe\n"),
          "the same where SIGPIPE was ignored")


# Colour: on a terminal, unless someone objects.
def on_terminal(words, stream="stdout", **environment):
    master, slave = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "COLUMNS")}
    process = subprocess.Popen([fake, "widget", *words], env={**env, **environment}, **{stream: slave})
    os.close(slave)
    output = b""
    try:
        while chunk := os.read(master, 4096):
            output += chunk
    except OSError:  # how a terminal says that nobody is left on the other side
        pass
    os.close(master)
    process.wait(timeout=30)
    return output


for words, environment, colour in [
    ([], {"TERM": "xterm"}, True),
    ([], {"TERM": "xterm", "NO_COLOR": "1"}, False),
    ([], {"TERM": "xterm", "NO_COLOR": ""}, True),
    ([], {"TERM": "dumb"}, False),
    ([], {}, False),
    (["--color=never"], {"TERM": "xterm"}, False),
    (["--color=always"], {"TERM": "dumb", "NO_COLOR": "1"}, True),
    (["--color=auto"], {"TERM": "xterm"}, True),
]:
    tap.equal(b"\033[" in on_terminal(["show", "--help", *words], **environment), colour,
              f"colour on a terminal with {words} {environment}")
tap.equal("\033[" in tap.run([fake, "--help"]).stdout, False, "no colour into a pipe")
tap.equal("\033[" in tap.run([fake, "--color=always", "--help"]).stdout, True, "unless asked for")
tap.equal("\033[" in tap.run([fake, "--color=always", "widget", "--help"]).stdout, True,
          "options may stand before the noun")
tap.equal("\033[" in tap.run([fake, "widget", "--color=always", "show", "-h"]).stdout, True,
          "and before the verb")

# A message takes the place of the progress that is shown.
tap.equal(on_terminal(["fail", "not"], "stderr"),
          b"\r\033[Kwidget: at it [############------------]  50%"
          b"\r\033[Kxenwright: warning: a warning\r\n", "a warning is not written behind a bar")

# Help fits the terminal.
for columns in (40, 60, 80, 100, 200):
    done = tap.run([fake, "widget", "show", "--help"],
                   env={**os.environ, "COLUMNS": str(columns)})
    widest = max(len(line) for line in done.stdout.splitlines()
                 if not line.startswith("  xenwright "))
    tap.result(min(columns, 100) - 30 < widest <= min(columns, 100),
               f"help in {columns} columns", f"{widest}\n{done.stdout}")

tap.end()
