#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What can be wrong around a lab: full disks, damaged files, mirrors, names, paths, terminals. Each is
# told in one line that names the thing and what to do.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

would() {
    exits 0 lab up "$@" --bare --dry-run
    says "would $WHAT"
}

# refused STATUS TEXT COMMAND…
refused() {
    local status=$1 text=$2
    shift 2
    exits "$status" "$@"
    one_complaint
    says "$text"
}

names() {
    local name long
    long=$(printf '%300s' '' | tr ' ' x)
    for name in a/b 'a b' ../a . .. -- "$long" '' 'ä' '-a'; do
        echo "name '$name'"
        exits 2 lab up "$name" --bare
        one_complaint
    done
    refused 2 "'a/b' is no name for a lab: use letters" lab up a/b
    refused 2 "it has 300 letters" lab up "$long"
    refused 2 "cannot be empty" lab up ''
    refused 125 "no name for a lab" lab exec a/b -- true
    refused 1 "no name for a lab" lab down 'a b'
    refused 1 "no name for a lab" lab log ..
    refused 1 "there is no such lab" lab down nothing
    same "" "$(find "$LABS" -mindepth 1 -maxdepth 1 -not -name '.*')"
}

unknowns() {
    refused 2 "use 'trixie'" lab up a --release sarge
    refused 2 "there are: " lab up a --with nonsense
    refused 1 "/no/such/xen" lab up a --xen /no/such/xen
    refused 1 "/no/such/disk" lab up a --disk /no/such/disk
    refused 1 "install qemu-system-x86" lab up a --bare --qemu /no/such/qemu
    refused 1 "/bin/false" lab up a --bare --qemu /bin/false
    refused 2 "--memory" lab up a --memory 12
    same "" "$(member a status)"
}

deep() {
    local deep=$WORK/caches/deep
    own_cache short
    while [ "${#deep}" -lt 300 ]; do
        deep+=/a-folder-with-quite-a-long-name
    done
    mkdir -p "$(dirname "$deep")"
    mv "$XENWRIGHT_CACHE" "$deep"
    ln -s "$deep" "$WORK/caches/short"
    XENWRIGHT_CACHE=$deep
    LABS=$deep/labs
    exits 0 lab up a-lab-that-has-the-longest-name1 --bare --link net
    exits 0 lab exec a-lab-that-has-the-longest-name1 -- hostname
    says a-lab-that-has-the-longest-name1
    exits 0 lab ssh-config a-lab-that-has-the-longest-name1
    exits 0 lab down --all
    no_labs_run
}

relative() {
    own_cache relative
    cd "$WORK/caches" || return
    XENWRIGHT_CACHE=relative exits 0 lab up r --bare
    exits 0 lab exec r -- true
    XENWRIGHT_CACHE=./relative exits 0 lab down r
    no_labs_run
}

no_cache() {
    XENWRIGHT_CACHE=/dev/null refused 1 "/dev/null" lab list
    XENWRIGHT_CACHE=/proc/none refused 1 "/proc/none" lab up a
}

# The switch waits a while for others to come.
no_labs_run() {
    refuse grep -q qemu <(processes_in "$LABS")
}

detached() {
    exits 0 setsid -w xenwright lab up a --bare </dev/null
    refuse grep -q $'\033' "$OUT" "$ERR"
    quiet
    exits 6 setsid -w xenwright lab exec a -- sh -c 'exit 6' </dev/null
    exits 0 setsid -w xenwright lab exec -t a -- tty </dev/null
    says /dev/pts
}

closed() {
    local status=0
    lab list >&- 2>"$ERR" || status=$?
    same 1 "$status"
    grep -q "standard output" "$ERR"
    status=0
    lab list >/dev/full 2>"$ERR" || status=$?
    same 1 "$status"
    grep -q "standard output: No space left" "$ERR"
    status=0
    lab exec a -- echo text >/dev/full 2>"$ERR" || status=$?
    same 125 "$status"
    same 1 "$(grep -c '' "$ERR")"
    grep -q "standard output" "$ERR"
    lab exec a -- seq 100000 | head -n 1 >"$OUT"
    same 1 "$(cat "$OUT")"
    exits 0 lab exec a -- true
}

damaged_record() {
    echo "{ nonsense" >"$LABS/a/lab.json"
    same damaged "$(status_of a)"
    exits 125 lab exec a -- true
    one_complaint
    says "'a': its record cannot be used" "xenwright lab down a"
    exits 0 lab down a
    same "" "$(status_of a)"
    no_labs_run
}

damaged_journal() {
    exits 0 lab up a --bare
    echo "nonsense" >"$LABS/.journal-a"
    exits 0 lab list
    says "'a': its journal is damaged: it will be taken down"
    same "" "$(status_of a)"
    no_labs_run
    exits 0 lab up a --bare
    exits 0 lab down a
}

# state_file NAME: of the only state of a cache of our own.
state_file() {
    echo "$XENWRIGHT_CACHE"/states/*/"$1"
}

# own_state NAME [FOLDER…]: own_cache, with only the state that is used here: others may be there as well.
own_state() {
    local key
    exits 0 lab up d --bare --dry-run
    key=$(sed -n 's/^would start lab .* from state //p' "$OUT")
    [ -n "$key" ]
    own_cache "$@"
    rm "$XENWRIGHT_CACHE/states"
    mkdir -m 700 "$XENWRIGHT_CACHE/states"
    cp -r --preserve=all --link "$OF/states/$key" "$XENWRIGHT_CACHE/states/" 2>/dev/null ||
        cp -r --preserve=all "$OF/states/$key" "$XENWRIGHT_CACHE/states/"
    WHAT="start lab 'd' from state $key" would d
}
OF=$XENWRIGHT_CACHE

# replaced FILE: so that the file it was linked to stays.
replaced() {
    cp --preserve=all "$1" "$1.new"
    mv "$1.new" "$1"
}

state_truncated() {
    own_state truncated
    replaced "$(state_file device.state)"
    truncate -s 1000 "$(state_file device.state)"
    WHAT="boot image" would d
    says "device.state is damaged: it has 1000 bytes"
}

state_changed() {
    own_state changed
    replaced "$(state_file vmlinuz)"
    printf x | dd of="$(state_file vmlinuz)" bs=1 seek=5000 conv=notrunc status=none
    WHAT="boot image" would d
    says "vmlinuz is damaged: its content has changed"
}

state_missing() {
    own_state missing
    rm "$(state_file disk.qcow2)"
    WHAT="boot image" would d
    says "disk.qcow2"
}

state_undescribed() {
    own_state undescribed
    rm "$(state_file manifest.json)"
    echo nonsense >"$(echo "$XENWRIGHT_CACHE"/states/*)/manifest.json"
    WHAT="boot image" would d
    says "manifest.json"
}

# boots_anew TEXT: 'lab up' says so and begins to boot; it is not waited for.
boots_anew() {
    local pid
    xenwright lab up d --bare >"$OUT" 2>"$ERR" &
    pid=$!
    wait_line "$1" "$ERR" 90
    says "it will be made again"
    until processes_in "$LABS" | grep -q 'xenwright-lab-.state-'; do
        alive "$pid"
    done
    kill -KILL "$pid"
    wait_end "$pid"
}

# Neither size nor time tell: it shows when the state does not wake, and only then all is read.
state_rotten() {
    local file
    own_state rotten
    file=$(state_file device.state)
    cp --preserve=all "$file" "$WORK/like"
    replaced "$file"
    head -c 20000 /dev/urandom | dd of="$file" bs=1000 seek=20 conv=notrunc status=none
    touch -r "$WORK/like" "$file"
    WHAT="start lab 'd' from state" would d
    if [ -n "$FULL" ]; then
        exits 0 lab up d --bare
        says "device.state is damaged: its content has changed; it will be made again" "booted in"
        return
    fi
    boots_anew "device.state is damaged: its content has changed; it will be made again"
}

image_file() {
    echo "$XENWRIGHT_CACHE"/images/trixie-*/"$1"
}

# Images are known by their manifests; those that a state was made of are among them.
image_truncated() {
    local file
    own_cache image images
    for file in $(image_file vmlinuz); do
        replaced "$file"
        truncate -s 1000 "$file"
    done
    WHAT="make an image of trixie" would d
    says "vmlinuz is damaged: it has 1000 bytes"
}

# A saved lab stands on the disk of its state. That is not exchanged for another, and not removed.
base_set_aside() {
    local disk
    own_state base images
    exits 0 lab up s --bare
    exits 0 lab exec s -- sh -c 'echo kept >/root/mark; sync'
    exits 0 lab save s kept
    exits 0 lab down s
    replaced "$(state_file device.state)"
    truncate -s 1000 "$(state_file device.state)"
    boots_anew "device.state is damaged: it has 1000 bytes"
    exits 0 lab prune --all
    exits 0 lab restore s kept
    same kept "$(lab exec s -- cat /root/mark)"
    exits 0 lab down s
    disk=$(state_file disk.qcow2)
    replaced "$disk"
    truncate -s 1000 "$disk"
    exits 1 lab restore s kept
    one_complaint
    says "'kept'" "states/$(basename "$(dirname "$disk")"): disk.qcow2 is damaged" "xenwright lab forget s kept"
    same down "$(status_of s)"
    exits 0 lab forget s kept
}

other_qemu() {
    local known=$XENWRIGHT_CACHE/qemu.json
    exits 0 lab up a --bare
    exits 0 lab save a kept
    cp "$known" "$WORK/known"
    sed -i 's/": "[^"]*"/": "9.9.9"/' "$known"
    WHAT="boot image" would d
    exits 1 lab restore a kept
    one_complaint
    says "belongs to QEMU" "is now 9.9.9" "only the version that saved it" "XENWRIGHT_QEMU"
    same running "$(status_of a)"
    printf '#!/bin/sh\nexec qemu-system-x86_64 "$@"\n' >"$WORK/old-qemu"
    chmod +x "$WORK/old-qemu"
    XENWRIGHT_QEMU=$WORK/old-qemu exits 0 lab restore a kept
    grep -qF "\"qemu\": \"$WORK/old-qemu\"" "$LABS/a/lab.json"
    cp "$WORK/known" "$known"
    exits 0 lab restore a kept
}

saved_damaged() {
    local state=$LABS/a/saves/kept/state
    printf x | dd of="$state" bs=1 seek=100000 conv=notrunc status=none
    exits 1 lab restore a kept
    one_complaint
    says "'kept'" "damaged"
    same running "$(status_of a)"
    exits 0 lab forget a kept
    exits 0 lab down a
}

mirror_without() {
    local port server
    mkdir -p "$WORK/empty"
    python3 -u -m http.server --bind 127.0.0.1 --directory "$WORK/empty" 0 >"$WORK/server" 2>&1 &
    server=$!
    wait_line "Serving HTTP" "$WORK/server"
    port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$WORK/server")
    exits 1 lab build --mirror "http://127.0.0.1:$port/debian"
    kill "$server"
    one_complaint
    says "http://127.0.0.1:$port/debian trixie Release" "404" "--mirror"
    # Nobody listens there any more
    exits 1 lab build --mirror "http://127.0.0.1:$port/debian"
    one_complaint
    says "http://127.0.0.1:$port/debian/dists/trixie/InRelease" "onnect" "--mirror"
    WHAT="start lab 'd'" would d
}

# silent: a mirror that says nothing; its port is in $WORK/silent, its process in $SILENT.
silent() {
    python3 -u - >"$WORK/silent" <<'END' &
import socket, time
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1])
held = []
while True:
    held.append(listener.accept())
END
    SILENT=$!
    wait_line "" "$WORK/silent"
}

mirror_silent() {
    silent
    exits 1 lab build --mirror "http://127.0.0.1:$(cat "$WORK/silent")/debian"
    kill "$SILENT"
    one_complaint
    says "127.0.0.1" "--mirror"
}

# Roots that it works at. (It leaves a folder of gpg's, of 8 KiB, which the next build clears.)
mmdebstrap_folders() {
    find "$XENWRIGHT_CACHE/tmp" -mindepth 1 -maxdepth 1 -type d -name 'mmdebstrap.*' -not -name '*.gpghome.*'
}

# From its image on, a lab that comes up keeps prune away. When it is killed, mmdebstrap clears up.
up_waiting() {
    local pid child
    own_cache waiting images states
    rm -r "$XENWRIGHT_CACHE/images"
    silent
    xenwright lab up w --bare --mirror "http://127.0.0.1:$(cat "$WORK/silent")/debian" 2>/dev/null &
    pid=$!
    until child=$(cat "/proc/$pid/task/$pid/children") && grep -qsx mmdebstrap "/proc/${child% }/comm" &&
        { [ "$(id -u)" -ne 0 ] || [ -n "$(mmdebstrap_folders)" ]; }; do
        alive "$pid"
    done
    refused 1 "a lab is being brought up" lab prune --dry-run
    kill "$SILENT" "$pid"
    wait_end "${child% }" 60
    same "" "$(mmdebstrap_folders)"
}

# on_small SIZE FUNCTION: with labs on a file system of their own, which ends with the function.
on_small() {
    local size=$1
    own_cache "small-$2"
    mkdir -p "$LABS" "$XENWRIGHT_CACHE/tmp"
    # shellcheck disable=SC2016
    FUNCTIONS=$(declare -f) unshare --mount "${MAP[@]}" bash -c '
        set -eu
        eval "$FUNCTIONS"
        mount -t tmpfs -o "size=$1" none "$LABS"
        trap "xenwright lab down --all >/dev/null 2>&1" EXIT
        "$2"' on_small "$size" "$2"
}

full_up() {
    exits 1 lab up f --bare
    one_complaint
    says "No space left"
    same "" "$(status_of f)"
    no_labs_run
}

full_save() {
    exits 0 lab up f --bare
    exits 1 lab save f kept
    one_complaint
    says "lab 'f' cannot be saved" "No space left"
    same running "$(status_of f)"
    exits 0 lab exec f -- true
    same "[]" "$(lab states f --json | tr -d ' \n')"
}

# The snapshot is made, but the record of it cannot be written: the file is a mount point.
record_save() {
    exits 0 lab up f --bare
    mount --bind "$LABS/f/lab.json" "$LABS/f/lab.json"
    exits 1 lab save f kept
    one_complaint
    says "lab 'f' cannot be saved" "not undone" "xenwright lab list"
    exits 0 lab exec f -- sh -c 'echo marked >/root/mark; sync'
    same running "$(status_of f)"
    umount "$LABS/f/lab.json"
    exits 0 lab list
    says "lab 'f' could not be saved: it goes on, without the saved state"
    exits 0 lab list
    quiet
    exits 0 lab save f kept
    exits 0 lab exec f -- rm /root/mark
    exits 0 lab restore f kept
    same marked "$(lab exec f -- cat /root/mark)"
}

ok "names that a lab cannot have" names
ok "a release, layer, file or QEMU that does not exist" unknowns
ok "no cache where it should be" no_cache
ok "a cache at a relative path" relative
ok "a cache so deep that names of sockets overflow" deep
ok "no terminal" detached
ok "standard output closed, full, or left by its reader" closed
ok "a damaged record: listed, told, cleared by down" damaged_record
ok "a damaged journal: told, and the lab taken down" damaged_journal
ok "a state with a file cut off would be made again" state_truncated
ok "a state with a changed file would be made again" state_changed
ok "a state with a missing file would be made again" state_missing
ok "a state without a manifest would be made again" state_undescribed
ok "a state that has rotted unseen is made again" state_rotten
ok "a saved lab outlives that its state is made again, but not the loss of its disk" base_set_aside
ok "an image with a file cut off would be made again" image_truncated
ok "a state of another QEMU is not used, and a saved one says why" other_qemu
ok "a damaged saved state is not restored" saved_damaged

if command -v mmdebstrap >/dev/null; then
    ok "a mirror without the file, and one that is not there" mirror_without
    ok "a lab that waits for its image keeps prune away" up_waiting
    [ -z "$FULL" ] || ok "a mirror that says nothing" mirror_silent
else
    skip "a mirror without the file, and one that is not there" "mmdebstrap is not installed"
fi

MAP=()
[ "$(id -u)" -eq 0 ] || MAP=(--map-root-user)
export OUT ERR WORK LABS XENWRIGHT_CACHE
if unshare --mount "${MAP[@]}" mount -t tmpfs none "$WORK" 2>/dev/null; then
    ok "a full disk: up" on_small 100k full_up
    ok "a full disk: save" on_small 60m full_save
    ok "a save whose record cannot be written is undone by the next command" on_small 1500m record_save
else
    skip "a full disk: up" "no file system can be mounted here"
    skip "a full disk: save" "no file system can be mounted here"
    skip "a save whose record cannot be written is undone by the next command" \
        "no file system can be mounted here"
fi

finish
