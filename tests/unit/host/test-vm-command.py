#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`xenwright vm` where no Xen is: configuration files are shown, all else is one clear line.

usage: test-vm-command.py XENWRIGHT
"""
import json
import os
import subprocess
import sys
import tempfile

program = os.path.abspath(sys.argv[1])
count = 0


def check(what, right, details=""):
    global count
    count += 1
    print(f"{'ok' if right else 'not ok'} {count} - {what}")
    if not right:
        print("# " + repr(details))


def run(*words, folder=None):
    return subprocess.run([program, "vm", *words], capture_output=True, text=True, cwd=folder,
                          timeout=60)


CONFIG = """name = "web"
type = "pvh"
memory = 512
vcpus = 2
kernel = "/boot/vmlinuz"
root = "/dev/xvda"
disk = [ "/dev/vg/web,raw,xvda,rw", "/img/a.qcow2,qcow2,xvdb,r" ]
vif = [ "mac=00:16:3e:01:02:03,bridge=xenbr0", "" ]
"""

if os.path.exists("/sys/hypervisor/type"):
    print("1..0 # SKIP this machine runs on a hypervisor that says so")
    sys.exit(0)

for words in ["list"], ["list", "--json"], ["show", "web"], ["show", "3"]:
    got = run(*words)
    check(f"vm {' '.join(words)}: status 1", got.returncode == 1, got)
    check(f"vm {' '.join(words)}: one line on stderr, nothing on stdout",
          got.stdout == "" and got.stderr.count("\n") == 1, got)
    check(f"vm {' '.join(words)}: says what to do",
          "not a Xen dom0" in got.stderr and "'xenwright lab up'" in got.stderr, got.stderr)

with tempfile.TemporaryDirectory() as folder:
    with open(folder + "/web", "w") as file:
        file.write(CONFIG)
    with open(folder + "/bad", "w") as file:
        file.write("name = 'a'\nmemory = 'x'\n")

    got = run("show", folder + "/web", "--json")
    vm = json.loads(got.stdout or "{}")
    check("a file: its fields", (vm.get("name"), vm.get("type"), vm.get("memory"), vm.get("vcpus"),
          vm.get("cmdline"), vm.get("domid"), vm.get("state"), vm.get("uuid"), vm.get("ramdisk"))
          == ("web", "pvh", 512 << 20, 2, "root=/dev/xvda", None, None, None, None), vm)
    check("a file: its disks", [(d["vdev"], d["format"], d["target"], d["readonly"])
          for d in vm.get("disks", [])] == [("xvda", "raw", "/dev/vg/web", False),
          ("xvdb", "qcow2", "/img/a.qcow2", True)], vm)
    check("a file: its vifs", [(v["devid"], v["mac"], v["bridge"]) for v in vm.get("vifs", [])]
          == [(0, "00:16:3e:01:02:03", "xenbr0"), (1, None, None)], vm)

    # Members as docs/formats/vm-json.md has them.
    with open(sys.argv[2]) as file:
        documented = file.read()
    for member in [*vm, *vm["disks"][0], *vm["vifs"][0]]:
        check(f"'{member}' is documented", f"`{member}`" in documented)

    got = run("show", "web", folder=folder)
    check("a name that only a file has", got.returncode == 0 and "512M" in got.stdout
          and "/img/a.qcow2" in got.stdout and "00:16:3e:01:02:03" in got.stdout, got)

    got = run("show", folder + "/bad")
    check("a bad file: status 1 and its line", got.returncode == 1 and got.stderr ==
          f"xenwright: {folder}/bad:2: parameter `memory' is not a valid number\n", got)

got = run("show", "/nowhere/web.cfg")
check("a missing file is named", got.returncode == 1 and "'/nowhere/web.cfg'" in got.stderr, got)
got = run("show")
check("no argument is misuse", got.returncode == 2, got)
print(f"1..{count}")
