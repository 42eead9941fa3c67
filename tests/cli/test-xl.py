#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`xenwright xl` and the program that stands in for xl, in a root folder of their own with a real dpkg: packages
are installed, upgraded and removed in it, and what xl and xenwright are run with is recorded there.

usage: test-xl.py XENWRIGHT STAND_IN PREFIX FORMATS DEBIAN
"""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import tap

program, stand_in, prefix, formats, debian = sys.argv[1:6]
program, stand_in = os.path.abspath(program), os.path.abspath(stand_in)
NEEDED = [name for name in ("dpkg", "dpkg-deb", "dpkg-divert") if not shutil.which(name)]
LINK = "../lib/xen-common/bin/xen-utils-wrapper"

# Stands for the wrapper and for xenwright: writes down what it was run with, and ends as it is told.
RECORDER = """#!/usr/bin/python3
import json, os, signal, sys
words = sys.argv[1:]
said = {"name": os.path.basename(sys.argv[0]), "words": words, "cwd": os.getcwd(), "pid": os.getpid(),
        "fds": sorted(os.listdir("/proc/self/fd"))[:-1], "input": sys.stdin.read(), "mark": os.environ.get("MARK"),
        "environment": dict(os.environ)}
with open(os.environ["RECORD"], "a") as file:
    file.write(json.dumps(said) + "\\n")
if "help" in words:
    print("Usage xl\\n\\nxl full list of subcommands:\\n\\n create              Create a domain")
for word in words:
    if word.startswith("status="):
        sys.exit(int(word[7:]))
    if word.startswith("signal="):
        os.kill(os.getpid(), int(word[7:]))
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Root:
    def __init__(self, scratch):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        self.tree = self.folder / "root"
        self.record = self.folder / "record"
        for name in ("usr/libexec", "usr/bin", "usr/sbin", "var/lib/dpkg/info", "var/lib/dpkg/updates", "tmp"):
            (self.tree / name).mkdir(parents=True)
        (self.tree / "var/lib/dpkg/status").touch()
        self.name, self.real = self.tree / "usr/sbin/xl", self.tree / "usr/libexec/xl"
        self.environment = dict(os.environ, DPKG_ROOT=str(self.tree), RECORD=str(self.record), MARK="kept",
                                PATH=f"{os.path.dirname(program)}:{os.environ['PATH']}:/usr/sbin:/sbin")
        self.install_xen("1")
        self.install_xenwright("1")

    def package(self, name, version, files, scripts=()):
        tree = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        tree.chmod(0o755)
        write(tree / "DEBIAN/control", f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
                                       "Maintainer: nobody <nobody@example.org>\nDescription: test\n")
        for script in scripts:
            text = pathlib.Path(debian, f"{name}.{script}").read_text()
            write(tree / "DEBIAN" / script, text.replace("#DEBHELPER#", ""))
        for path, content in files.items():
            if isinstance(content, str):
                write(tree / path, content)
            elif isinstance(content, pathlib.Path):
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(content, tree / path)
            else:
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).symlink_to(content[0])
        deb = self.folder / f"{name}-{version}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb], check=True,
                       stdout=subprocess.DEVNULL)
        return deb

    def dpkg(self, *words):
        environment = {name: value for name, value in self.environment.items() if name != "DPKG_ROOT"}
        return tap.run(["dpkg", f"--root={self.tree}", f"--log={self.folder}/log", "--force-not-root",
                        "--force-bad-path", "--force-unsafe-io", "--force-script-chrootless", *map(str, words)], env=environment)

    def must(self, *words):
        done = self.dpkg(*words)
        tap.equal(done.returncode, 0, f"dpkg {words[0]} {os.path.basename(str(words[-1]))}")
        if done.returncode:
            print("# " + done.stderr.replace("\n", "\n# "))

    def install_xen(self, version):
        self.must("-i", self.package("xen-utils-common", version, {
            "usr/sbin/xl": (LINK,),
            "usr/lib/xen-common/bin/xen-utils-wrapper": RECORDER + f"# {version}\n"}))

    def xenwright_package(self, version):
        return self.package("xenwright", version, {
            f"{prefix[1:]}/libexec/xenwright/xl": pathlib.Path(stand_in),
            f"{prefix[1:]}/bin/xenwright": RECORDER}, ("prerm", "postrm"))

    def install_xenwright(self, version):
        self.must("-i", self.xenwright_package(version))

    def ours(self, *words, **environment):
        return tap.run([program, "xl", *words], env={**self.environment, **environment})

    def state(self):
        return json.loads(self.ours("status", "--json").stdout)["state"]

    def does(self, *words):
        done = self.ours(*words)
        tap.equal((done.returncode, done.stderr), (0, ""), f"xenwright xl {' '.join(words)}")
        return done.stdout

    def diversions(self):
        file = self.tree / "var/lib/dpkg/diversions"
        return file.read_text() if file.exists() else ""

    def files(self):
        """All that an enable or disable may touch."""
        found = {str(path.relative_to(self.tree)): os.readlink(path) if path.is_symlink() else path.stat().st_size
                 for folder in ("usr/sbin", "usr/libexec") for path in (self.tree / folder).rglob("*")
                 if not path.is_dir()}
        return found, self.diversions()

    def run_xl(self, *words, program=None, **options):
        """How it ends, and what was recorded."""
        self.record.write_text("")
        environment = {**self.environment, **options.pop("environment", {})}
        done = tap.run(["xl", *words], executable=program or self.name, env=environment, **options)
        said = [json.loads(line) for line in self.record.read_text().splitlines()]
        return done, said

    def reaches(self, which, words, *typed):
        done, said = self.run_xl(*typed)
        got = [(run["name"], run["words"]) for run in said]
        tap.equal(got, [(which, list(words))], f"xl {' '.join(typed)}: reaches {which} {' '.join(words)}")
        tap.equal(done.stderr, "", f"xl {' '.join(typed)}: adds nothing")


def life(scratch):
    root = Root(scratch)
    before = root.files()
    tap.equal(root.state(), "disabled", "not before it is asked for")
    root.reaches("xl", ["snapshot-list"], "snapshot-list")
    plan = root.does("enable", "--dry-run").splitlines()
    tap.equal((len(plan), {line.split()[0] for line in plan}), (3, {"would"}), "--dry-run tells the three steps")
    tap.equal(root.files(), before, "--dry-run changes nothing")
    tap.equal(root.does("disable"), "nothing to do: xl is without Xenwright's verbs\n", "nothing to disable")
    seen = os.lstat(root.name)
    tap.equal(root.does("enable"), "xl now has Xenwright's verbs: see 'xl help'\n", "what enable says")
    tap.equal(root.state(), "enabled", "it is enabled")
    tap.equal(os.readlink(root.real), LINK, "the link of xen-utils-common is beside")
    tap.equal(root.does("enable"), "nothing to do: xl has Xenwright's verbs\n", "again: nothing to do")
    root.reaches("xenwright", ["snapshot", "list"], "snapshot-list")
    root.install_xen("2")
    tap.equal((root.state(), os.readlink(root.real)), ("enabled", LINK), "an upgrade of xen-utils-common keeps it")
    done, said = root.run_xl("list")
    tap.equal([run["name"] for run in said], ["xl"], "and the new one is reached")
    root.install_xenwright("2")
    tap.equal(root.state(), "enabled", "an upgrade of xenwright keeps it")
    root.reaches("xenwright", ["snapshot", "list"], "snapshot-list")
    tap.equal(len(root.does("disable", "--dry-run").splitlines()), 3, "disable --dry-run tells the three steps")
    tap.equal(root.state(), "enabled", "and changes nothing")
    tap.equal(root.does("disable"), "xl is again without Xenwright's verbs\n", "what disable says")
    tap.equal(root.files(), (before[0], ""), "all is as it was before")
    after = os.lstat(root.name)
    tap.equal((after.st_mode, after.st_uid, after.st_size), (seen.st_mode, seen.st_uid, seen.st_size),
              "the link is as the package has it")
    tap.equal(root.dpkg("--verify", "xen-utils-common").stdout, "", "dpkg --verify finds nothing")


def goes_through(scratch):
    root = Root(scratch)
    root.does("enable")
    for words in (["list"], ["list", "-l"], ["-v", "create", "/x y", "a=\n", ""], ["-vvN", "create"], ["-T", "list"],
                  ["--", "list"], ["console", "--", "x"], ["save", "d", "f"], ["snapshot"], ["snapshot-c"],
                  ["snapshot-create2"], ["-x", "snapshot-list"], ["--help"], ["-f"], []):
        root.reaches("xl", words, *words)
    reading, writing = os.pipe()
    done, said = root.run_xl("list", cwd=root.folder, pass_fds=(reading, writing), input="typed", stdin=None,
                             environment={"ODD": "a\nb"})
    os.close(reading)
    os.close(writing)
    direct = json.loads(json.dumps(said[0]))
    tap.equal((direct["cwd"], direct["input"], direct["mark"], direct["environment"]["ODD"]),
              (str(root.folder), "typed", "kept", "a\nb"), "folder, input and environment are kept")
    tap.equal({str(reading), str(writing)} <= set(direct["fds"]), True, "descriptors are kept")
    first = {name: value for name, value in root.run_xl("list", program=root.real)[1][0].items() if name != "pid"}
    through = {name: value for name, value in root.run_xl("list")[1][0].items() if name != "pid"}
    tap.equal(through, first, "and all else is as without it")
    for status in (0, 1, 2, 42, 255):
        tap.equal(root.run_xl("list", f"status={status}")[0].returncode, status, f"status {status} comes back")
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        tap.equal(root.run_xl("list", f"signal={int(number)}")[0].returncode, -number, f"signal {number} comes back")
    child = subprocess.Popen([root.name, "list"], env=root.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.close()
    child.wait()
    tap.equal(json.loads(root.record.read_text().splitlines()[-1])["pid"], child.pid, "it is the same process")


def our_verbs(scratch):
    root = Root(scratch)
    root.does("enable")
    for verb in ("create", "list", "revert", "delete"):
        words = ["-d", "a b", "", "--", "x"]
        root.reaches("xenwright", ["snapshot", verb, *words], f"snapshot-{verb}", *words)
        root.reaches("xenwright", ["snapshot", verb, "--help"], f"snapshot-{verb}", "--help")
        root.reaches("xenwright", ["snapshot", verb, "--help"], "help", f"snapshot-{verb}")
    root.reaches("xenwright", ["snapshot", "create", "--dry-run", "web"], "-N", "snapshot-create", "web")
    root.reaches("xenwright", ["snapshot", "create", "--verbose", "--verbose", "--dry-run", "web"], "-vtTf", "-Nv",
                 "snapshot-create", "web")
    done, said = root.run_xl("-N", "snapshot-list")
    tap.equal((done.returncode, done.stderr, said), (1, "xl: snapshot-list does not implement -N (dryrun)\n", []),
              "-N of a verb without --dry-run is refused")
    tap.equal(root.run_xl("snapshot-list", "status=3")[0].returncode, 3, "a status comes back")
    tap.equal(root.run_xl("snapshot-list", "signal=15")[0].returncode, -15, "a signal comes back")
    for words in (["--disks", "web", "f"], ["-c", "--disks", "web", "f"], ["web", "f", "-p", "--disks"]):
        without = [word for word in words if word != "--disks"]
        root.reaches("xenwright", ["vm", "save", *without], "save", *words)
    root.reaches("xenwright", ["vm", "save", "--dry-run", "web", "f"], "-N", "save", "--disks", "web", "f")
    root.reaches("xenwright", ["vm", "save", "--help"], "save", "--disks", "--help")
    root.reaches("xenwright", ["vm", "save", "web", "--", "--disks"], "save", "--disks", "web", "--", "--disks")
    for words in (["save", "web", "f"], ["save", "--", "--disks", "f"], ["sav", "--disks", "web", "f"]):
        root.reaches("xl", words, *words)
    done, said = root.run_xl("help", "save")
    tap.equal(([run["words"] for run in said], "\n--disks                 Save a domain" in done.stdout),
              ([["help", "save"]], True), "xl help save: theirs, then our option")
    listed = json.loads(root.ours("status", "--json").stdout)["verbs"]
    for words in (["help"], ["help", "help"]):
        done, said = root.run_xl(*words)
        tap.equal([run["words"] for run in said], [words], f"xl {' '.join(words)}: asks the real one")
        names = re.findall(r"^ ([a-z-]+(?: --[a-z-]+)?) +[A-Z].*$", done.stdout, re.M)
        wanted = ["create"] + [" ".join(filter(None, (row["verb"], row["option"]))) for row in listed]
        tap.equal(names, wanted, f"xl {' '.join(words)}: has theirs, then ours")
    tap.equal(root.run_xl("help", "create")[0].stdout.count("xenwright"), 0, "help of a verb of theirs is theirs")
    tap.equal(root.run_xl("help", "status=7")[0].returncode, 7, "help ends as the real one's does")
    with open("/dev/full", "w") as full:
        tap.equal(root.run_xl("help", stdout=full)[0].returncode != 0, True, "help that cannot be written fails")


def completion(scratch):
    """What Debian's completion of xl does with `xl help`."""
    root = Root(scratch)
    root.does("enable")
    text = root.run_xl("help")[0].stdout.splitlines()[4:]
    words = [line.split()[0] for line in text if re.match(r" [^ ]", line)]
    tap.equal(words[:2], ["create", "snapshot-create"], "the completion that xl comes with offers our verbs")


def trouble(scratch):
    root = Root(scratch)
    root.does("enable")
    os.rename(root.real, root.folder / "moved")
    tap.equal(root.state(), "no-real-xl", "the real one is gone: status says so")
    done, said = root.run_xl("list")
    tap.equal((done.returncode, done.stderr.count("\n"), "install xen-utils-common" in done.stderr, said),
              (127, 1, True, []), "the real one is gone: xl says so in one line")
    tap.result("the real xl is gone" in root.ours("enable").stderr, "enable says so too")
    os.symlink("../sbin/xl", root.real)
    tap.equal(root.run_xl("list")[0].returncode, 127, "what leads back to ours is not run again")
    root.real.unlink()
    root.real.write_text("x")
    done, said = root.run_xl("list")
    tap.equal((done.returncode, "Permission denied" in done.stderr), (126, True), "a real one that cannot be run")
    root.real.unlink()
    os.rename(root.folder / "moved", root.real)
    (root.tree / prefix[1:] / "bin/xenwright").unlink()
    done, said = root.run_xl("snapshot-list")
    tap.equal((done.returncode, "bin/xenwright: No such file" in done.stderr), (127, True), "xenwright is gone")
    root.reaches("xl", ["list"], "list")
    root.must("-r", "xen-utils-common")
    tap.equal(root.state(), "no-real-xl", "xen-utils-common is removed: status says so")
    root.does("disable")
    tap.equal(root.files(), ({}, ""), "disable leaves nothing then")
    done = root.ours("enable")
    tap.equal((done.returncode, "install xen-utils-common first" in done.stderr), (1, True), "without xl: refused")
    root.install_xen("3")
    root.does("enable")
    root.must("-r", "xen-utils-common")
    root.install_xen("4")
    tap.equal(root.state(), "enabled", "xen-utils-common comes back: all is well again")
    root.does("disable")
    root.ours("enable", XENWRIGHT_KILL_AT="xl/step:2")
    root.name.unlink()
    write(root.name, "of the version before")
    tap.equal(root.state(), "half-made", "an upgrade came in between, of an xl that is no link")
    root.does("disable")
    tap.equal(os.readlink(root.name), LINK, "the one of the upgrade is put back")


def in_the_way(scratch):
    root = Root(scratch)

    def refused(said, name):
        before = root.files()
        done = root.ours("enable")
        tap.equal((done.returncode, done.stderr.count("\n"), said in done.stderr), (1, 1, True), f"{name}: refused")
        tap.equal(root.files(), before, f"{name}: nothing has changed")
        root.reaches("xl", ["list"], "list")

    divert = ["dpkg-divert", "--quiet", "--local", "--divert", "/usr/libexec/other", "--no-rename"]
    subprocess.run([*divert, "--add", "/usr/sbin/xl"], env=root.environment, check=True)
    refused("is diverted by the administrator already", "somebody else's diversion")
    tap.equal(json.loads(root.ours("status", "--json").stdout)["diverted_by"], "LOCAL", "status names who it is")
    root.does("disable")
    tap.equal("other" in root.diversions(), True, "disable leaves it alone")
    subprocess.run([*divert, "--remove", "/usr/sbin/xl"], env=root.environment, check=True)
    root.real.write_text("another program")
    refused("/usr/libexec/xl is in the way", "another file of the name")
    root.does("disable")
    tap.equal(root.real.read_text(), "another program", "disable leaves it alone")
    root.real.unlink()
    (root.tree / "usr/lib/deep").mkdir()
    os.rename(root.name, root.folder / "name")
    os.symlink("sub/../../lib/xen-common/bin/xen-utils-wrapper", root.name)
    (root.tree / "usr/sbin/sub").mkdir()
    refused("leads elsewhere from", "a link that cannot be moved")
    (root.tree / "usr/sbin/sub").rmdir()
    root.name.unlink()
    write(root.name, RECORDER)
    inode = os.lstat(root.name).st_ino
    root.does("enable")
    root.reaches("xl", ["list"], "list")
    root.does("disable")
    tap.equal(os.lstat(root.name).st_ino, inode, "an xl that is no link comes back as the same file")
    (root.tree / prefix[1:] / "libexec/xenwright/xl").unlink()
    refused("which is to stand in for xl", "our program is missing")
    if os.geteuid() == 0:
        os.chmod(root.folder, 0o755)
        os.chmod(scratch, 0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        if subprocess.run(["/usr/bin/test", "-x", program, "-a", "-d", root.tree], check=False, **nobody).returncode:
            tap.skip("another user is told to be root", "another user cannot reach the folders of this test")
            return
        done = tap.run([program, "xl", "enable"], env=root.environment, **nobody)
        tap.equal((done.returncode, done.stderr.count("\n"), "run this as root" in done.stderr), (1, 1, True),
                  "another user is told to be root")
    else:
        tap.skip("another user is told to be root", "needs root, to be another user")


def points_of(root, verb):
    file = root.folder / "points"
    root.ours(verb, XENWRIGHT_KILL_LIST=str(file))
    passed = collections.Counter()
    for line in file.read_text().split():
        passed[line] += 1
        yield f"{line}:{passed[line]}"
    file.unlink()


def killed(scratch):
    """At each point: an xl that works, and a status that says what it is; whatever comes next ends well."""
    root = Root(scratch)
    original = root.files()
    points = [("enable", point) for point in points_of(root, "enable")]
    points += [("disable", point) for point in points_of(root, "disable")]
    tap.equal(len(points), 8, "there are as many points as steps and renames")
    longer = ("upgrade enable", "upgrade disable", "remove")
    chosen = [("enable", "disable", *(longer if os.environ.get("FULL") else [longer[number % len(longer)]]))
              for number in range(len(points))]
    for verb, point, after in [(*point, after) for point, nexts in zip(points, chosen) for after in nexts]:
        name = f"{verb} killed at {point}, then {after}"
        root.ours("disable" if verb == "enable" else "enable")
        done = root.ours(verb, XENWRIGHT_KILL_AT=point)
        problems = []
        if done.returncode != -signal.SIGKILL:
            problems.append(f"not killed: {done.returncode} {done.stderr}")
        ran, said = root.run_xl("list")
        if [run["words"] for run in said] != [["list"]]:
            problems.append(f"xl does not work: {ran.stderr}")
        which = root.run_xl("snapshot-list")[1][0]["name"]
        wanted = {"xl": ("disabled", "half-made"), "xenwright": ("enabled", "half-made")}[which]
        if root.state() not in wanted:
            problems.append(f"status says {root.state()}, and {which} is reached")
        if "upgrade" in after:
            root.install_xen("5")
        last = after.split()[-1]
        if last == "remove":
            root.must("-P", "xenwright")
            root.install_xenwright("1")
        else:
            root.does(last)
        if root.state() != ("enabled" if last == "enable" else "disabled"):
            problems.append(f"then it is {root.state()}")
        if [run["name"] for run in root.run_xl("list")[1]] != ["xl"]:
            problems.append("then xl does not work")
        root.does("disable")
        if root.files() != (original[0], ""):
            problems.append(f"something is left: {root.files()}")
        tap.result(not problems, name, "\n".join(problems))


def removed(scratch):
    """The maintainer scripts of the package."""
    for how in ("-r", "-P"):
        root = Root(scratch)
        before = root.files()[0]
        root.does("enable")
        root.must(how, "xenwright")
        left = {name: what for name, what in before.items() if "xenwright" not in name}
        tap.equal(root.files(), (left, ""), f"dpkg {how} xenwright puts the real xl back")
        root.reaches("xl", ["list"], "list")
    root = Root(scratch)
    root.does("enable")
    root.must("--unpack", root.xenwright_package("3"))
    root.must("-r", "xenwright")
    tap.equal((root.files()[1], os.readlink(root.name)), ("", LINK), "also one that was unpacked only")
    tap.equal(os.path.lexists(root.real), False, "and nothing is left there")
    root = Root(scratch)
    root.must("-r", "xenwright")
    tap.equal(os.readlink(root.name), LINK, "removed without having been enabled")


def documented(scratch):
    root = Root(scratch)
    page = pathlib.Path(formats, "xl-json.md").read_text()
    members = set(re.findall(r"^\| `([a-z_]+)`", page, re.M))
    for verb in ("status", "enable"):
        root.ours(verb)
        shown = json.loads(root.ours("status", "--json").stdout)
        tap.equal(set(shown) | set(shown["verbs"][0]), members, f"xl-json.md: the members, after {verb}")


if NEEDED:
    tap.skip("xenwright xl", f"{', '.join(NEEDED)} not installed")
else:
    with tempfile.TemporaryDirectory() as scratch:
        for test in (life, goes_through, our_verbs, completion, trouble, in_the_way, killed, removed, documented):
            if len(sys.argv) < 7 or test.__name__ in sys.argv[6:]:
                test(scratch)
tap.end()
