# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the project's scripts say: on stderr, one line each, with the script's own name first.

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# Shows why something failed: the end of its log, and where the rest is.
die_with_log() {
    local what=$1 log=$2
    tail -n "${3:-30}" "$log" >&2
    die "$what (all of it: $log)"
}

# Whole seconds since the first argument, a value of $SECONDS.
since() {
    printf '%d s' $((SECONDS - $1))
}
