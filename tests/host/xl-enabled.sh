#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Xenwright's verbs in the xl of a real dom0: what reaches the real xl is as without them, Debian's own scripts
# go on with it, and it stays and goes as packages are upgraded and removed by dpkg.

# shellcheck source=tests/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

GUEST=web

in_dom0() {
    lab exec x -- "$@"
}

# sh_dom0 LINE [NAME [ARGUMENT…]]: for a shell there.
sh_dom0() {
    lab exec x -- sh -c "$@"
}

in_guest() {
    lab guest-exec x "$GUEST" -- "$@"
}

# xen-utils-common again as a package, of the next version, from what is installed of it.
repacked() {
    lab cp "$WORK/repack" x:/root/repack
    exits 0 in_dom0 sh /root/repack xen-utils-common
    says "building package 'xen-utils-common'"
}

cat >"$WORK/repack" <<'END'
set -e
tree=$(mktemp -d)
chmod 755 "$tree"
mkdir "$tree/DEBIAN"
dpkg-query -L "$1" | while read -r path; do
    if [ -L "$path" ] || [ -f "$path" ]; then
        echo "$path"
    fi
done | tar -cf - --no-recursion -T - 2>/dev/null | tar -C "$tree" -xf -
dpkg-query -s "$1" | grep -vE '^(Status|Conffiles| /)' | sed 's/^\(Version: .*\)/\1+xw1/' >"$tree/DEBIAN/control"
for part in conffiles preinst postinst prerm postrm; do
    [ ! -e "/var/lib/dpkg/info/$1.$part" ] || cp "/var/lib/dpkg/info/$1.$part" "$tree/DEBIAN/"
done
dpkg-deb --root-owner-group -Znone --build "$tree" "/root/$1.deb" | sed "s/dpkg-deb: //"
END

# The package by dpkg, where the lab has it by tar.
installed() {
    lab cp "$(echo "$XENWRIGHT_CACHE/packages/$RELEASE"-*/xenwright_*.deb)" x:/root/xenwright.deb
    exits 0 in_dom0 dpkg -i /root/xenwright.deb
}

what_xl_is() {
    in_dom0 stat -c '%N %u:%g %a %h' /usr/sbin/xl
}

enabled() {
    what_xl_is >"$WORK/before"
    exits 0 in_dom0 xenwright xl status
    says "disabled: xl is as its own package has it"
    exits 1 in_dom0 xl snapshot-list
    exits 0 in_dom0 xenwright xl enable
    exits 0 in_dom0 xenwright xl status --json
    says '"state": "enabled"' '"diverted_by": "xenwright"' '"real": "/usr/libexec/xl"'
}

# The same words to ours and to the real one, in the real one's place: output and status.
as_before() {
    exits 0 sh_dom0 '
        compare() {
            xl "$@" >/tmp/ours 2>&1; ours=$?
            /usr/libexec/xl "$@" >/tmp/theirs 2>&1; theirs=$?
            [ "$ours" = "$theirs" ] && cmp /tmp/ours /tmp/theirs && echo "$ours: $*"
        }
        compare domid Domain-0 && compare info -n && compare list nosuch && compare vncviewer nosuch &&
            compare -vN create /nosuch && compare console nosuch && compare nosuch && compare -x list &&
            compare && compare --help && compare help create && compare -N list && compare lis -l nosuch'
    says "0: domid Domain-0" "1: -N list"
}

listed() {
    exits 0 in_dom0 xl list
    says Domain-0 "$GUEST"
    exits 0 sh_dom0 '(echo one; xl help | sed 1,4d | awk "/^ [^ ]/ {print \$1}") | grep -c -x -e create -e snapshot-create'
    same 2 "$(cat "$OUT")"
}

# What is started is the real one in the end, which a signal to its process reaches.
signalled() {
    # shellcheck disable=SC2016 # of the shell there
    exits 0 sh_dom0 'mkfifo /tmp/quiet
        end_of() {
            "$1" console "$3" <>/tmp/quiet >/dev/null 2>&1 & pid=$!
            for i in $(seq 300); do
                ! grep -q xenconsole "/proc/$pid/cmdline" || break
                sleep 0.1
            done
            kill "-$2" "$pid"
            wait "$pid"
            echo "$2: $?"
        }
        for signal in TERM KILL; do
            [ "$(end_of xl $signal "$0")" = "$(end_of /usr/libexec/xl $signal "$0")" ] && end_of xl $signal "$0"
        done' "$GUEST"
    says "TERM: " "KILL: 137"
}

started() {
    exits 0 sh_dom0 'mkdir -p /srv && rm -f /srv/* && qemu-img create -q -f qcow2 /srv/a 64M'
    exits 0 lab guest x "$GUEST" --type pv --disk format=qcow2,vdev=xvda,target=/srv/a
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=1 --size=4M
}

snapshots() {
    exits 0 in_dom0 xl -N snapshot-create "$GUEST" one
    says "would make snapshot 'one'"
    exits 0 in_dom0 xl snapshot-create "$GUEST" one
    says "snapshot 'one' of '$GUEST' is made"
    exits 0 in_guest xw-test pattern write /dev/xvda --seed=2 --size=4M
    exits 0 in_dom0 xl snapshot-list "$GUEST"
    says one
    exits 1 in_dom0 xl snapshot-create "$GUEST" one
    one_complaint
    exits 0 in_dom0 xl snapshot-revert "$GUEST" one --restart --discard-current
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=1 --size=4M
    exits 0 in_dom0 xl help snapshot-delete
    says "usage: xenwright snapshot delete"
}

# Debian's init script runs 'xen', which runs xl: the guest is saved as for a shutdown of the host, and comes back.
xendomains() {
    exits 0 sh_dom0 'ls -d /var/lib/xen/save; /etc/init.d/xendomains stop </dev/null; xl list'
    refuse grep -qw "$GUEST" "$OUT"
    exits 0 sh_dom0 'ls /var/lib/xen/save'
    says "$GUEST"
    exits 0 sh_dom0 '/etc/init.d/xendomains start </dev/null; xl list'
    says "$GUEST"
    exits 0 in_guest xw-test pattern verify /dev/xvda --seed=1 --size=4M
}

upgraded() {
    exits 0 in_dom0 dpkg -i /root/xen-utils-common.deb
    says "+xw1"
    exits 0 in_dom0 xenwright xl status
    says "enabled:"
    exits 0 in_dom0 xl snapshot-list "$GUEST"
    says one
    exits 0 in_dom0 xl list "$GUEST"
    exits 0 in_dom0 dpkg --verify xen-utils-common
    refuse grep -F sbin/xl "$OUT"
}

disabled() {
    exits 0 in_dom0 xenwright xl disable
    same "$(cat "$WORK/before")" "$(what_xl_is)"
    exits 0 in_dom0 dpkg -S /usr/sbin/xl
    same "xen-utils-common: /usr/sbin/xl" "$(cat "$OUT")"
    exits 2 in_dom0 ls /usr/libexec/xl
    exits 0 in_dom0 xl list
    exits 1 in_dom0 xl snapshot-list
}

purged() {
    exits 0 in_dom0 xenwright xl enable
    exits 0 in_dom0 dpkg --purge xenwright
    same "$(cat "$WORK/before")" "$(what_xl_is)"
    exits 0 in_dom0 xl list
    exits 0 in_dom0 dpkg-divert --list xenwright
    same "" "$(cat "$OUT")"
    exits 2 in_dom0 ls /usr/libexec/xl
}

for RELEASE in trixie ${FULL:+bookworm}; do
    up x --cpus 1 --release "$RELEASE"
    ok "$RELEASE: xen-utils-common as a package" repacked
    ok "$RELEASE: the package xenwright by dpkg" installed
    ok "$RELEASE: enable" enabled
    ok "$RELEASE: a guest, by the lab's own use of xl" started
    ok "$RELEASE: what the real xl says, and how it ends" as_before
    ok "$RELEASE: xl list, and the words that completion takes" listed
    ok "$RELEASE: signals" signalled
    ok "$RELEASE: snapshots by xl" snapshots
    ok "$RELEASE: xendomains saves and restores" xendomains
    ok "$RELEASE: an upgrade of xen-utils-common keeps it" upgraded
    ok "$RELEASE: disable restores the link" disabled
    ok "$RELEASE: the removal of xenwright while it is enabled" purged
    lab down x
done
finish
