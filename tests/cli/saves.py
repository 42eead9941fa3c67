# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of 'vm save' made by hand, after docs/formats/vm-save.md, for VMs of vms.py: with no Xen there is no memory
to be saved, but what 'vm restore' looks at before it starts anything can be tested.
"""
import ctypes
import json
import os
import socket
import struct

import tap

MAGIC = b"Xen saved domain, xl format\n \0 \r"
MARKER = b"xenwright-save\n\0"


def xxh3(data):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    return library.XXH3_64bits(data, ctypes.c_size_t(len(data)))


def libxl_json(vm, /, **changes):
    disks = [dict({"pdev_path": str(path), "vdev": vdev, "format": vm.form, "readwrite": 1}, **changes)
             for vdev, path in vm.disks.items()]
    disks.append({"pdev_path": "/nowhere.iso", "vdev": "xvdc", "format": "raw", "is_cdrom": 1})
    return json.dumps({"c_info": {"name": vm.name}, "disks": disks}).encode()


def record(vm, snapshot, /, **changes):
    """Our part of the tail: the snapshot's own record, and which VM and host it was."""
    paths = [path for path in vm.state.glob("*/*/snapshot.json") if json.loads(path.read_text())["name"] == snapshot]
    return dict({"format": 1, "vm": paths[0].parent.parent.name, "name": vm.name, "uuid": "",
                 "host": socket.gethostname(), "snapshot": json.loads(paths[0].read_text())}, **changes)


def head(config, tail):
    data = struct.pack("=I", len(config) + 1) + config + b"\0" + tail
    return MAGIC + struct.pack("=IIII", 0x01020304, 3, 0, len(data)) + data


def make(vm, snapshot, path, /, config=None, memory=bytes(range(256)) * 8192, size=None, **changes):
    text = json.dumps(record(vm, snapshot, **changes)).encode()
    config = config or libxl_json(vm)

    def whole(size, digest):
        return head(config, MARKER + struct.pack("=QQI", size, digest, len(text)) + text) + memory
    blank = whole(0, 0)
    path.write_bytes(whole(len(blank) if size is None else size, xxh3(blank)))
    return path


def restore(vm, *words, **environment):
    return tap.run([vm.program, "vm", "restore", *map(str, words)],
                   env=dict(os.environ, XENWRIGHT_STATE=str(vm.state), **environment))
