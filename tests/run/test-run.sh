#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ./run in checkouts of its own, with stand-ins for the programs that would change this machine.
# shellcheck disable=SC2016 # the stand-ins' own variables

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/run/tap.sh
. "$HERE/tap.sh"
SOURCE=$(cd "$HERE/../.." && pwd -P)
unset MAKEFLAGS MESON_TEST_ITERATION INSTALL VERBOSE CC CFLAGS

# A checkout with ./run and a program of one file, and a cache; both have a space in their names.
new_checkout() {
    mkdir -p "the checkout/cli" "the checkout/packaging" bin
    cp -r "$SOURCE/run" "$SOURCE/scripts" "the checkout/"
    cp -r "$SOURCE/packaging/dependencies" "the checkout/packaging/"
    cat >"the checkout/meson.build" <<'END'
project('x', 'c')
subdir('cli')
END
    echo "executable('xenwright', 'main.c')" >"the checkout/cli/meson.build"
    cat >"the checkout/cli/main.c" <<'END'
#include <stdio.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("[%s]", argv[i]);
    puts("");
    return argc == 2 ? 7 : 0;
}
END
    RUN=$PWD/"the checkout/run"
    export XENWRIGHT_CACHE=$PWD/"the cache" PATH=$PWD/bin:$PATH
    stand_in dpkg-query 'for p; do echo "installed $p"; done'
    stand_in apt-get 'echo "apt-get $*" >>"$(dirname "$0")/../apt-log"; exit 100'
    stand_in sudo '[ "$1" != -n ] || shift; exec "$@"'
}

# stand_in NAME SHELL-CODE: a program that is found first.
stand_in() {
    printf '#!/bin/sh\n%s\n' "$2" >"bin/$1"
    chmod +x "bin/$1"
}

without_package() {
    stand_in dpkg-query "for p; do [ \$p = $1 ] || echo \"installed \$p\"; done; exit 1"
}

test_refuses_an_unknown_verb() {
    new_checkout
    status 2 "$RUN" frobnicate
    same "run: unknown verb 'frobnicate'; see './run help'" "$OUTPUT"
    status 2 "$RUN" --frob build
    same "run: unknown option '--frob'; see './run help'" "$OUTPUT"
}

test_shows_its_verbs() {
    new_checkout
    status 0 "$RUN" help
    for verb in demo check bench lab shell build package clean; do
        has "$OUTPUT" "  $verb "
    done
    status 2 "$RUN"
}

test_prints_the_apt_command_instead_of_installing() {
    new_checkout
    without_package meson
    status 1 "$RUN" --no-install build
    same 'apt-get install --no-install-recommends meson' "$(tail -n 1 <<<"$OUTPUT")"
    [ ! -e apt-log ]
}

test_installs_what_is_missing() {
    new_checkout
    without_package meson
    stand_in apt-get 'echo "$*" >>"$(dirname "$0")/../apt-log"'
    status 0 "$RUN" build
    has "$(cat apt-log)" 'install meson'
    has "$(cat apt-log)" '--no-install-recommends'
    status 0 "$RUN" build
    same 1 "$(grep -c 'install meson' apt-log)"
}

test_names_a_package_that_cannot_be_had() {
    new_checkout
    without_package meson
    stand_in apt-cache 'exit 100'
    status 1 "$RUN" build
    has "$OUTPUT" 'no Debian package here is called: meson;'
}

test_tells_why_an_installation_failed() {
    new_checkout
    without_package meson
    stand_in apt-get 'echo "E: Failed to fetch http://mirror/meson.deb  404  Not Found"; exit 100'
    stand_in apt-cache 'exit 0'
    status 1 "$RUN" build
    has "$OUTPUT" 'http://mirror/meson.deb  404  Not Found'
    has "$OUTPUT" "try 'apt-get update'"
}

test_passes_arguments_and_status_of_the_program() {
    new_checkout
    status 0 "$RUN" lab exec 'a b' --verbose -- x
    same '[lab][exec][a b][--verbose][--][x]' "$(tail -n 1 <<<"$OUTPUT")"
    status 7 "$RUN" lab
}

test_says_nothing_when_there_is_nothing_to_do() {
    new_checkout
    status 0 "$RUN" build
    status 0 "$RUN" build
    same '' "$OUTPUT"
}

test_compiles_what_changed() {
    new_checkout
    status 0 "$RUN" lab up
    sed -i 's/\[%s\]/<%s>/' "the checkout/cli/main.c"
    status 0 "$RUN" lab up
    same '<lab><up>' "$OUTPUT"
}

test_shows_why_the_build_failed() {
    new_checkout
    echo 'int main(void) { return nothing_of_this_name; }' >"the checkout/cli/main.c"
    status 1 "$RUN" build
    has "$OUTPUT" 'nothing_of_this_name'
    has "$OUTPUT" 'run: the build failed (all of it: '
}

test_shows_why_the_configuration_failed() {
    new_checkout
    echo "executable('xenwright', 'absent.c')" >"the checkout/cli/meson.build"
    status 1 "$RUN" build
    has "$OUTPUT" 'absent.c does not exist'
    has "$OUTPUT" 'run: build/ could not be configured'
}

test_survives_a_broken_build_directory() {
    new_checkout
    mkdir -p "the checkout/build"
    echo garbage >"the checkout/build/build.ninja"
    status 0 "$RUN" lab a
    echo garbage >"the checkout/build/build.ninja"
    status 0 "$RUN" lab b
    has "$OUTPUT" 'making it anew'
    rm -r "the checkout/build/meson-private"
    touch "the checkout/meson.build"
    status 0 "$RUN" lab c
    has "$OUTPUT" '[lab][c]'
}

test_survives_being_moved() {
    new_checkout
    status 0 "$RUN" build
    mv "the checkout" moved
    status 0 moved/run lab a
    has "$OUTPUT" '[lab][a]'
}

test_waits_for_another_run() {
    new_checkout
    mkdir -p "the checkout/build/.run"
    local lock="the checkout/build/.run/lock"
    # Holds the lock until the second run has said that it waits.
    mkfifo held waits
    stand_in flock '/usr/bin/flock "$@" && exit; echo >waits; exit 1'
    (
        exec 9>>"$lock"
        /usr/bin/flock 9
        echo 4711 >"$lock"
        echo >held
        read -r _ <waits
    ) &
    read -r _ <held
    status 0 "$RUN" build
    wait
    has "$OUTPUT" 'waiting for another ./run in this checkout (process 4711)'
}

test_leaves_the_lock_to_nobody() {
    new_checkout
    status 0 "$RUN" shell /bin/sh -c 'ls /proc/self/fd'
    [[ $OUTPUT != *9* ]]
}

test_gives_a_shell_the_program() {
    new_checkout
    status 0 "$RUN" shell xenwright a b
    same '[a][b]' "$(tail -n 1 <<<"$OUTPUT")"
    status 0 "$RUN" shell printenv MANPATH
    has "$OUTPUT" 'the checkout/build/.run/man:'
}

test_cleans_the_checkout_and_not_the_cache() {
    new_checkout
    mkdir "the cache" "the checkout/build-asan"
    status 0 "$RUN" build
    status 0 "$RUN" clean
    [ ! -e "the checkout/build" ]
    [ ! -e "the checkout/build-asan" ]
    [ -e "the cache" ]
}

test_says_what_is_not_in_the_checkout() {
    new_checkout
    status 1 "$RUN" demo
    has "$OUTPUT" 'demo/run is not in this checkout'
}

test_check_refuses_an_unknown_area() {
    new_checkout
    status 2 "$RUN" check nonsense
    has "$OUTPUT" "no stage, area or host test is called 'nonsense'"
}

test_check_counts_a_build_that_fails() {
    new_checkout
    echo 'int main(void) { return nothing_of_this_name; }' >"the checkout/cli/main.c"
    status 1 "$RUN" check unit
    has "$OUTPUT" 'nothing_of_this_name'
    same '0 passed, 1 failed, 0 skipped' "$(tail -n 1 <<<"$OUTPUT")"
}

run_tests
