#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `xenwright vm` in a real dom0, beside what xl says of the same domains. Runs as root in a lab;
# prints TAP. Creates one small paused domain after the other and destroys each.

count=0
work=$(mktemp -d) || exit 1
guest=xw-vm-test
loop=

finish() {
    xl destroy "$guest" >/dev/null 2>&1
    [ -z "$loop" ] || losetup -d "$loop"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# report STATUS NAME: one line of TAP; after a failure what the last command printed.
report() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        sed 's/^/# /' "$work/out" "$work/err" 2>/dev/null
    fi
}

skip() {
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

# vm ARGUMENT...: its output to $work/out and $work/err, its status is ours.
vm() {
    xenwright vm "$@" >"$work/out" 2>"$work/err"
}

# has TEXT: is there a line in the last output that contains it?
has() {
    grep -qF -- "$1" "$work/out"
}

# The domains, as "name domid" lines, are those that xl lists.
vm list
report $? "vm list: status 0"
awk 'NR > 1 { print $1, $2 }' "$work/out" >"$work/ours"
xl list | awk 'NR > 1 { print $1, $2 }' >"$work/theirs"
cmp -s "$work/ours" "$work/theirs"
report $? "vm list: the domains of xl list"

vm list --json && has '"domid": 0' && has '"name": "Domain-0"'
report $? "vm list --json: dom0 is in it"

vm show 0 && has "Domain-0" && has "$(printf 'state       running')"
report $? "vm show 0: dom0, running"
vm show Domain-0 --json && has '"domid": 0'
report $? "vm show Domain-0 --json: by its name"

vm show no-such-domain
[ $? -eq 1 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
    grep -q "no domain is called 'no-such-domain'" "$work/err"
report $? "vm show of a name that no domain has: one line, status 1"
vm show 32000
[ $? -eq 1 ] && grep -q "there is no domain 32000" "$work/err"
report $? "vm show of a domid that no domain has"

(cd "$work" && printf 'name = "filed"\n' >filed && vm show filed && has "filed")
report $? "vm show of a file that is named like no domain"

# One paused domain of each type: what Xen alone cannot tell (PVH from HVM), a disk, a vif.
kernel=${XENWRIGHT_TEST_KERNEL:-/boot/vmlinuz-$(uname -r)}
truncate -s 16M "$work/disk" && loop=$(losetup -f --show "$work/disk")

for type in pv pvh; do
    if [ ! -r "$kernel" ]; then
        skip "vm show of a $type domain" "no kernel for it at $kernel (set XENWRIGHT_TEST_KERNEL)"
        continue
    fi
    cat >"$work/$type.cfg" <<END
name = "$guest"
type = "$type"
kernel = "$kernel"
memory = 128
vcpus = 1
maxvcpus = 2
disk = [ "phy:$loop,xvda,r" ]
vif = [ "mac=00:16:3e:12:34:56,script=/bin/true,bridge=none" ]
END
    if ! xl create -p "$work/$type.cfg" >"$work/out" 2>"$work/err"; then
        report 1 "xl create of a paused $type domain"
        continue
    fi
    vm show "$guest" --json
    report $? "vm show of a $type domain: status 0"
    domid=$(xl domid "$guest")
    for text in "\"domid\": $domid" "\"type\": \"$type\"" '"state": "paused"' \
        '"vcpus": 1' '"max_vcpus": 2' '"vdev": "xvda"' \
        '"backend": "phy"' '"format": "raw"' "\"target\": \"$loop\"" '"readonly": true' \
        '"devid": 51712' '"mac": "00:16:3e:12:34:56"' "\"vifname\": \"vif$domid.0\"" \
        '"script": "/bin/true"' '"backend_domid": 0'; do
        has "$text"
        report $? "vm show of a $type domain: $text"
    done
    bytes=$(sed -n 's/^ *"memory": \([0-9]*\),$/\1/p' "$work/out")
    xl list "$guest" | awk -v mib=$((bytes / 1048576)) 'NR == 2 && $3 == mib { found = 1 } END { exit !found }'
    report $? "vm show of a $type domain: the memory of xl list"
    uuid=$(xl list -v "$guest" | grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
    has "\"uuid\": \"$uuid\""
    report $? "vm show of a $type domain: the UUID of xl list -v"
    vm list && grep -qE "^$guest +$domid +$type +[0-9.]+M +1 +paused\$" "$work/out"
    report $? "vm list: the $type domain"
    xl destroy "$guest"
done

vm show "$guest"
[ $? -eq 1 ]
report $? "vm show of a domain that was destroyed"

echo "1..$count"
