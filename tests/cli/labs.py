# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labs made by hand, as docs/formats/lab-cache.md has them: those that do not run need no QEMU."""
import json
import time


def record(name, number, pid):
    """lab.json as docs/formats/lab-cache.md describes it."""
    return {
        "format": 1, "name": name, "number": number, "pid": pid, "started": int(time.time()) - 100,
        "release": "trixie", "image": "trixie-0123456789ab", "state": "trixie-ba9876543210", "tag": "",
        "qemu": "/usr/bin/qemu-system-x86_64", "qemu_version": "7.2.0", "gdb": False,
        "mac": "52:54:00:01:02:03", "disk": 1, "chain": [0, 1], "disks": [],
        "links": [{"network": "blue", "slot": 16, "mac": "52:54:77:01:02:03",
                   "address": "10.77.1.1/24"}],
        "machine": {"cpus": 3, "memory": 2048, "accel": "tcg", "icount": False, "xen": "", "kernel": "",
                    "initrd": "", "xen_args": "", "dom0_args": ""},
    }


def make_lab(cache, content):
    folder = cache / "labs" / content["name"]
    folder.mkdir(parents=True)
    (folder / "lab.json").write_text(json.dumps(content))
    return folder


def make_save(folder, content, tag, created):
    save = folder / "saves" / tag
    save.mkdir(parents=True)
    (save / "state").write_bytes(b"x" * 10000)
    manifest = {"format": 1, "kind": "save", "created": created, "lab": dict(content, chain=[0]),
                "files": {"state": {"size": 10000, "mtime": 0, "hash": "0" * 32}}}
    (save / "manifest.json").write_text(json.dumps(manifest))
    return manifest
