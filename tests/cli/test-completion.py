#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `xenwright __complete` offers, and what bash, zsh and fish make of it.

usage: test-completion.py FAKE COMPLETION_DIRECTORY
"""
import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import threading

import tap

fake, scripts = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()

OWN = ["--all", "--brief", "--count", "--size", "--memory", "--tag", "--kind", "--release",
       "--into", "--json"]
COMMON = ["--color", "--verbose", "--help"]
VERBS = ["show", "list", "fail", "exec", "yes"]

# Words, the last one being typed; the candidates.
CASES = [
    ([""], ["widget", "help"]),
    (["w"], ["widget"]),
    (["x"], []),
    (["-"], ["--version", "--json", *COMMON]),
    (["--c"], ["--color"]),
    (["--color", ""], ["auto", "always", "never"]),
    (["--color=a"], ["--color=auto", "--color=always"]),
    (["--color=never", "wid"], ["widget"]),
    (["help", ""], ["widget"]),
    (["help", "widget", "s"], ["show"]),
    (["help", "widget", "show", ""], []),
    (["widget", ""], VERBS),
    (["widget", "--h"], ["--help"]),
    (["gadget", ""], []),
    (["widget", "gone", ""], []),
    (["widget", "show", ""], ["red", "round", "blue:1", "blue:2"]),
    (["widget", "show", "blue:"], ["blue:1", "blue:2"]),
    (["widget", "show", "ro"], ["round"]),
    (["widget", "show", "red", ""], [":file"]),
    (["widget", "show", "red", "a", "b", "c", "d", "e", "f", ""], [":file"]),
    (["widget", "show", "--all", "r"], ["red", "round"]),
    (["widget", "show", "--bad-option", "r"], ["red", "round"]),
    (["widget", "show", "--"], [*OWN, *COMMON]),
    (["widget", "show", "--all", "-ntwo", "--tag=a", "--"],
     [o for o in [*OWN, *COMMON] if o not in ("--all", "--count")]),
    (["widget", "show", "--kind", ""], ["pv", "pvh", "hvm"]),
    (["widget", "show", "--kind=pv"], ["--kind=pv", "--kind=pvh"]),
    (["widget", "show", "--kind", "pv", "--kin"], []),
    (["widget", "show", "-r", "b"], ["bookworm"]),
    (["widget", "show", "-ar", "t"], ["trixie"]),
    (["widget", "show", "--all="], []),
    (["widget", "show", "--into="], [":directory"]),
    (["widget", "show", "--into", "x"], [":directory"]),
    (["widget", "show", "--size", ""], []),
    (["widget", "show", "--", "-"], []),
    (["widget", "show", "red", "--", "--"], [":file"]),
    (["widget", "list", ""], []),
    (["widget", "fail", "a", ""], []),
    (["widget", "exec", "r"], ["red", "round"]),
    (["widget", "exec", "red", ""], []),
    (["widget", "exec", "red", "-"], ["--tty", *COMMON]),
    (["widget", "exec", "red", "ls", "-"], []),
    (["widget", "exec", "red", "--", "-"], []),
]


def ask(words):
    done = tap.run([fake, "__complete", *words])
    tap.equal((done.returncode, done.stderr), (0, ""), f"__complete {words}: ends well")
    return done.stdout.splitlines()


for words, expected in CASES:
    tap.equal([line.split("\t")[0] for line in ask(words)], expected, f"__complete {words}")
tap.equal(ask([]), [], "no word")
tap.equal(ask(["widget", "show", "re"]), ["red\tthe red one"], "the explanation beside it")
tap.equal(ask(["widget", "show", "red", "--", ""]), [":file"], "nothing after --")

BASH = r"""
PS1= PS2= HISTFILE=
bind 'set bell-style none'
source "$SCRIPTS/xenwright.bash"
probe() { _xenwright; printf '%s\n' "${COMPREPLY[@]}" end >"$ANSWER"; }
complete -F probe xenwright
"""

# _describe and _files hand all they find to compadd; -O, -A and -D calls only sort.
ZSH = r"""
PS1= PROMPT_EOL_MARK= fpath=($SCRIPTS $fpath)
autoload -Uz compinit && compinit -u -d "$HOME/dump"
zstyle ':completion:*' list-grouped false
compadd() {
    if [[ ${(j: :)@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a found
    builtin compadd -O found "$@"
    print -rl -- $IPREFIX$^found >>"$HOME/found"
    builtin compadd "$@"
}
probe() {
    : >"$HOME/found"
    zle complete-word
    { cat "$HOME/found"; print end } >"$ANSWER"
}
zle -N probe
bindkey '^I' probe
"""


class Shell:
    """An interactive shell on a terminal; the answers to Tab come through a FIFO."""

    def __init__(self, argv, setup, directory):
        self.answer = directory / "answer"
        os.mkfifo(self.answer)
        # Open for writing as well, the FIFO never looks closed between two answers.
        self.descriptor = os.open(self.answer, os.O_RDWR)
        environment = {"PATH": f"{directory}:{os.environ['PATH']}", "HOME": str(directory),
                       "TERM": "dumb", "SCRIPTS": str(scripts), "ANSWER": str(self.answer),
                       "LC_ALL": "C.UTF-8"}
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                                        cwd=directory, env=environment, start_new_session=True)
        os.close(slave)
        self.echo = b""
        threading.Thread(target=self.drain, daemon=True).start()
        (directory / "setup").write_text(setup)
        self.type(f". {directory}/setup; echo end >$ANSWER\n")
        self.read()

    def drain(self):
        try:
            while chunk := os.read(self.master, 4096):
                self.echo += chunk
        except OSError:  # the shell is gone
            pass

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self):
        text = b""
        while not text.endswith(b"end\n"):
            if not select.select([self.descriptor], [], [], 20)[0]:
                raise TimeoutError(f"the shell does not answer, it wrote {self.echo!r}")
            text += os.read(self.descriptor, 4096)
        return [line for line in text.decode().splitlines()[:-1] if line]

    def tab(self, line):
        self.type(line + "\t")
        found = self.read()
        self.type("\x15")  # Control-U: the line goes
        return found

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.descriptor)


# Lines as typed before Tab; what bash puts in place of its current word; what zsh offers.
LINES = [
    ("xenwright ", ["widget", "help"], None),
    ("xenwright widget s", ["show"], None),
    ("xenwright widget  show   r", ["red", "round"], None),
    ("xenwright widget show --kind ", ["pv", "pvh", "hvm"], None),
    ("xenwright widget show --kind=", ["pv", "pvh", "hvm"],
     ["--kind=pv", "--kind=pvh", "--kind=hvm"]),
    ("xenwright widget show --kind=pv", ["pv", "pvh"], ["--kind=pv", "--kind=pvh"]),
    ("xenwright widget show --co", ["--count", "--color"], None),
    ("xenwright widget show red fi", ["file one", "file*two"], None),
    ("xenwright widget show --into ", ["folder"], ["folder"]),
    ("xenwright widget show --into=fo", ["folder"], ["--into=folder"]),
    ("xenwright widget exec a:b", [], []),
    ("xenwright widget exec a: r", [], []),
    ("xenwright widget show a:x", [], []),
    ("xenwright widget show blue:", ["1", "2"], ["blue:1", "blue:2"]),
    ("xenwright widget show bl", ["blue:1", "blue:2"], None),
]


def prepare(directory):
    """A home with the program in it, and a folder to stand in."""
    (directory / "xenwright").symlink_to(fake)
    work = directory / "work"
    work.mkdir()
    for file in ("file one", "file*two", "other"):
        (work / file).touch()
    (work / "folder").mkdir()
    return work


def drive(name, argv, setup, column):
    if not shutil.which(name):
        tap.skip(f"completion in {name}", f"{name} is not installed")
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        work = prepare(directory)
        shell = Shell(argv, f"{setup}\ncd {work}\n", directory)
        try:
            for line in LINES:
                expected = line[column] if line[column] is not None else line[1]
                found = shell.tab(line[0])
                if column == 2:  # zsh quotes, may find a directory twice, and adds the slash itself
                    found = {f.replace("\\", "") for f in found}
                tap.equal(sorted(found), sorted(expected), f"{name}: {line[0]!r} and Tab")
        finally:
            shell.close()


def drive_fish():
    if not shutil.which("fish"):
        tap.skip("completion in fish", "fish is not installed")
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        work = prepare(directory)
        for line in LINES:
            expected = line[2] if line[2] is not None else line[1]
            done = tap.run(["fish", "--no-config", "-c",
                            "source $argv[1]; complete --do-complete $argv[2]",
                            scripts / "xenwright.fish", line[0]], cwd=work,
                           env={"PATH": f"{directory}:{os.environ['PATH']}",
                                "HOME": str(directory)})
            found = [f.split("\t")[0].rstrip("/") for f in done.stdout.splitlines()]
            tap.equal(sorted(found), sorted(expected), f"fish: {line[0]!r} completed")


drive("bash", ["bash", "--norc", "--noprofile", "-i"], BASH, 1)
drive("zsh", ["zsh", "-f", "-i"], ZSH, 2)
drive_fish()
tap.end()
