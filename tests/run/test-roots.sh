#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Where build roots and other QEMUs come from, and what is said when they cannot be had.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/run/tap.sh
. "$HERE/tap.sh"
SCRIPTS=$(cd "$HERE/../../scripts" && pwd -P)
# shellcheck source=scripts/lib/say.sh
. "$SCRIPTS/lib/say.sh"
# shellcheck source=scripts/lib/mirror.sh
. "$SCRIPTS/lib/mirror.sh"

# What apt says about its archives: URI SUITE COMPONENT [ORIGIN], a line each.
archives_are() {
    local lines=$1
    mkdir -p bin
    printf '#!/bin/sh\ncat <<END\n%s\nEND\n' "$lines" >bin/apt-get
    chmod +x bin/apt-get
    PATH=$PWD/bin:$PATH
    MIRROR=
}

test_takes_the_mirrors_that_apt_has() {
    archives_are 'http://other/apt bookworm main [Other]
http://m/debian/ bookworm main [Debian]
http://m/debian/ bookworm-updates main [Debian]
http://s/debian-security bookworm-security main [Debian]'
    same 'deb http://m/debian/ trixie main
deb http://m/debian/ trixie-updates main
deb http://s/debian-security trixie-security main' "$(debian_sources trixie)"
}

test_knows_debian_before_the_first_update() {
    archives_are 'http://other/apt stuff main []
http://m/debian trixie main []'
    same 'deb http://m/debian bookworm main
deb http://m/debian bookworm-updates main' "$(debian_sources bookworm)"
}

test_takes_another_mirror_when_told_to() {
    archives_are 'http://m/debian trixie main [Debian]
http://s/debian-security trixie-security main [Debian]'
    MIRROR=http://mine/debian
    same 'deb http://mine/debian trixie main
deb http://mine/debian trixie-updates main' "$(debian_sources trixie)"
}

test_says_when_apt_knows_no_mirror() {
    archives_are 'http://other/apt stuff main [Other]'
    status 1 debian_sources trixie
    has "$OUTPUT" 'knows no mirror of Debian; name one with --mirror URL'
}

test_refuses_a_release_that_does_not_exist() {
    local script
    for script in make-build-root other-qemu; do
        status 2 "$SCRIPTS/$script" --release sarge --output x
        has "$OUTPUT" "$script: no such release: 'sarge'"
        status 2 "$SCRIPTS/$script" --release trixie
        status 2 "$SCRIPTS/$script" --release
    done
}

test_names_the_file_that_a_mirror_does_not_give() {
    local script
    command -v mmdebstrap >/dev/null || skip 'mmdebstrap is not installed'
    unshare --mount --map-root-user true 2>/dev/null || skip 'no user namespaces here'
    mkdir mirror
    for script in make-build-root other-qemu; do
        status 1 "$SCRIPTS/$script" --release trixie --output root --mirror "copy:$PWD/mirror"
        has "$OUTPUT" 'the mirror does not give copy:'
        has "$OUTPUT" "trixie Release"
        has "$OUTPUT" "--mirror URL"
        [ ! -e root ]
        [ ! -e root.new ]
    done
}

test_package_wants_a_build_root() {
    export XENWRIGHT_CACHE=$PWD/cache
    mkdir empty
    status 1 "$SCRIPTS/build-package" --release trixie --root empty --output out
    has "$OUTPUT" 'empty is no build root; make one with scripts/make-build-root'
    status 2 "$SCRIPTS/build-package" --root empty --output out
}

run_tests
