# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of `xenwright snapshot` at every point (base/killpoint.h) that a command passes.

Right after the kill, before anything else runs, the disks hold what they should: a VM could be started. The
next command then finishes or undoes the operation: all snapshots that are listed have their content, and no
file is left that nobody owns. In the normal run one of PARTS points is taken, others each hour of the day;
with FULL=yes all of them are.
"""
import collections
import copy
import os
import time

import tap
from vms import quick_content

full = bool(os.environ.get("FULL"))
PARTS = 5


def is_chosen(number):
    return full or number % PARTS == int(time.time() // 3600) % PARTS


def points_of(vm, words):
    """The points that an undisturbed run passes, in order: POINT:N for the N-th passing."""
    file = vm.folder / "points"
    done = vm.run(*words, XENWRIGHT_KILL_LIST=str(file))
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr}")
    passed = collections.Counter()
    points = []
    for line in file.read_text().split():
        passed[line] += 1
        points.append(f"{line}:{passed[line]}")
    return points


def is_right_at_once(vm, may_be):
    """Each disk has one of the contents that it may have at this moment."""
    return [f"{vdev} is {quick_content(path, vm.form)}" for vdev, path in vm.disks.items()
            if quick_content(path, vm.form) not in [state[vdev] for state in may_be]]


def settle(vm, number, outcomes):
    """Run the next command, find out which of the outcomes it is, and look at everything."""
    wrong = []
    if number % 2:
        done = vm.run("recover")
        if done.returncode or "1 interrupted" not in done.stdout and "nothing was" not in done.stdout:
            wrong.append(f"recover: {done.returncode}, {done.stdout}{done.stderr}")
    else:
        done = vm.run("list")
        if done.returncode or done.stderr:
            wrong.append(f"list: {done.returncode}, {done.stderr}")
        done = vm.run("create", vm.config, "after")
        if done.returncode or done.stderr:
            wrong.append(f"create: {done.returncode}, {done.stderr}")
        for outcome in outcomes:
            outcome[0]["after"] = copy.deepcopy(outcome[1])
    failures = []
    for kept, present in outcomes:
        vm.kept, vm.present = kept, present
        problems = vm.problems()
        if not problems:
            break
        failures.append("\n".join(problems))
    else:
        wrong += [f"it is none of the outcomes that may be; of {len(failures)}:", *failures]
    done = vm.run("recover")
    if done.stdout != "nothing was interrupted\n":
        wrong.append(f"recover then: {done.stdout}{done.stderr}")
    return wrong


def runs_meanwhile(vm, outcomes):
    """Before anybody looks after what was interrupted, the VM is started, writes, and ends."""
    vm.present = {vdev: quick_content(path, vm.form) for vdev, path in vm.disks.items()}
    vm.write()
    return [(kept, copy.deepcopy(vm.present)) for kept, _ in outcomes]


def walk(vm, name, words, outcomes, template, runs=False):
    """
    outcomes: [(snapshots, present state)], before and after; also what may be between. Every disk has a
    content of one of them at each moment. runs: the VM runs between the kill and the next command.
    """
    outcomes = [copy.deepcopy(outcome) for outcome in outcomes]
    vm.save(template)
    points = points_of(vm, words)
    operation = words[0]
    tap.result(f"{operation}/begin:1" in points and f"{operation}/done:1" in points and len(points) > 8,
               f"{name}: it has points", points)
    chosen = [(number, point) for number, point in enumerate(points) if is_chosen(number)]
    for number, point in chosen:
        vm.restore(template)
        status = vm.run(*words, XENWRIGHT_KILL_AT=point).returncode
        wrong = [] if status == -9 else [f"this point was not passed: status {status}"]
        wrong += is_right_at_once(vm, [present for _, present in outcomes])
        ends = [copy.deepcopy(outcome) for outcome in outcomes]
        if runs and not wrong:
            ends = runs_meanwhile(vm, ends)
        wrong += settle(vm, number if full else number // PARTS, ends)
        tap.result(not wrong, f"{name}, killed at {point}", "\n".join(wrong))
    vm.restore(template)
    vm.kept, vm.present = outcomes[0]


def walk_recovery(vm, name, words, first, outcomes, template):
    """Killed at `first`, then each time again at a point of the recovery, then recovered."""
    outcomes = [copy.deepcopy(outcome) for outcome in outcomes]
    vm.save(template)
    halfway = template.with_name(template.name + "-2")
    if vm.run(*words, XENWRIGHT_KILL_AT=first).returncode != -9:
        raise RuntimeError(f"{words}: {first} is not passed")
    vm.save(halfway)
    points = points_of(vm, ["recover"])
    tap.result(points, f"{name}, killed at {first}: the recovery has points", points)
    for number, point in enumerate(points):
        if not is_chosen(number):
            continue
        vm.restore(halfway)
        status = vm.run("recover", XENWRIGHT_KILL_AT=point).returncode
        wrong = [] if status == -9 else [f"this point was not passed: status {status}"]
        wrong += is_right_at_once(vm, [present for _, present in outcomes])
        wrong += settle(vm, number if full else number // PARTS, [copy.deepcopy(outcome) for outcome in outcomes])
        tap.result(not wrong, f"{name}, killed at {first}, and then at {point}", "\n".join(wrong))
    vm.restore(template)
    vm.kept, vm.present = outcomes[0]


def snapshots(vm):
    """(kept, present), as copies."""
    return copy.deepcopy((vm.kept, vm.present))


def without(state, *names):
    return {name: disks for name, disks in state[0].items() if name not in names}, state[1]


def with_one(state, name):
    return {**state[0], name: state[1]}, state[1]


def reverted(state, name):
    return dict(state[0]), {**state[1], **state[0][name]}


def walk_linear(vm, prefix, template, content=quick_content):
    """The operations on a VM without branches; it is left with the snapshots s1 and s2."""
    vm.content = content
    vm.write()
    start = snapshots(vm)
    walk(vm, prefix + "the first snapshot", ["create", vm.config, "s1"], [start, with_one(start, "s1")], template)
    vm.create("s1")
    vm.write()
    vm.create("s2")
    vm.write()
    start = snapshots(vm)
    walk(vm, prefix + "another snapshot", ["create", vm.config, "s3"], [start, with_one(start, "s3")], template)
    kept = with_one(start, "before-revert-1")
    walk(vm, prefix + "revert, the present state kept", ["revert", vm.config, "s1"],
         [start, kept, reverted(kept, "s1")], template)
    walk(vm, prefix + "revert, the present state discarded", ["revert", vm.config, "s1", "--discard-current"],
         [start, reverted(start, "s1")], template)
    walk(vm, prefix + "delete, into the present state", ["delete", vm.config, "s2"],
         [start, without(start, "s2")], template)
