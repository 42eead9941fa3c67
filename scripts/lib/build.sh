# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Building in this checkout: one at a time, quietly, and from a build directory in whatever shape.
# Uses XENWRIGHT_SOURCE and VERBOSE (yes or no) of the script that reads this file, and say.sh.

# Two runs at once would configure and compile over each other. The lock is file descriptor 9.
lock_checkout() {
    local lock=$XENWRIGHT_SOURCE/build/.run/lock
    mkdir -p "${lock%/*}"
    exec 9>>"$lock"
    if ! flock -n 9; then
        say "waiting for another ./run in this checkout (process $(tail -n 1 "$lock"))"
        flock 9
    fi
    echo "$$" >"$lock"
}

# Also what keeps the descriptor from programs that outlive this one.
unlock_checkout() {
    exec 9>&-
}

# Runs a step of the build; its output goes to the log, and to the terminal with --verbose.
logged() {
    local log=$1
    shift
    if [ "$VERBOSE" = yes ]; then
        "$@" 2>&1 9>&- | tee -a "$log" >&2
    else
        "$@" >>"$log" 2>&1 9>&-
    fi
}

# A fresh configuration, over whatever is there. Hidden entries (.run) stay.
configure() {
    local dir=$1 log=$2
    shift 2
    mkdir -p "$dir"
    rm -rf "${dir:?}"/*
    say "configuring ${dir##*/}/"
    if ! logged "$log" meson setup "$@" "$dir" "$XENWRIGHT_SOURCE"; then
        die_with_log "${dir##*/}/ could not be configured" "$log"
    fi
}

# build_in DIR [MESON-ARGUMENT…] [-- TARGET…]: configures DIR where needed, then compiles.
# CC and CFLAGS of the environment count as arguments: a directory made with others is made anew.
build_in() {
    local dir=$XENWRIGHT_SOURCE/$1 log made_with before arguments=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        arguments+=("$1")
        shift
    done
    [ $# -eq 0 ] || shift
    mkdir -p "$dir/.run"
    log=$dir/.run/build.log
    made_with="$XENWRIGHT_SOURCE ${CC:-} ${CFLAGS:-} ${arguments[*]:-}"
    : >"$log"
    before=$(cat "$dir/.run/made-with" 2>/dev/null || true)
    if [ ! -f "$dir/build.ninja" ] || [ "$before" != "$made_with" ]; then
        configure "$dir" "$log" ${arguments[@]+"${arguments[@]}"}
        echo "$made_with" >"$dir/.run/made-with"
    fi
    if logged "$log" ninja -C "$dir" -j "$(nproc)" "$@"; then
        return
    fi
    # A compiler's complaint stands; a build directory that ninja or meson cannot use is made anew.
    if grep -qE '^ninja: error: |^FAILED: build\.ninja|^ninja: fatal' "$log"; then
        say "${dir##*/}/ cannot be used as it is; making it anew"
        configure "$dir" "$log" ${arguments[@]+"${arguments[@]}"}
        logged "$log" ninja -C "$dir" -j "$(nproc)" "$@" && return
    fi
    die_with_log "the build failed" "$log"
}
