# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is for the script that reads this file
#
# The options of the scripts that make something of a Debian release in a directory: RELEASE, OUTPUT
# and MIRROR are set from them. Uses say.sh.

release_usage() {
    echo "usage: ${0##*/} --release bookworm|trixie --output DIRECTORY [--mirror URL]"
}

release_misuse() {
    release_usage >&2
    exit 2
}

read_release_options() {
    RELEASE=
    OUTPUT=
    MIRROR=
    while [ $# -gt 0 ]; do
        if [ "$1" = --help ]; then
            release_usage
            exit 0
        fi
        [ $# -gt 1 ] || release_misuse
        case $1 in
        --release) RELEASE=$2 ;;
        --output) OUTPUT=$2 ;;
        --mirror) MIRROR=$2 ;;
        *) release_misuse ;;
        esac
        shift 2
    done
    if [ -z "$RELEASE" ] || [ -z "$OUTPUT" ]; then
        release_misuse
    fi
    case $RELEASE in
    bookworm | trixie) ;;
    *)
        say "no such release: '$RELEASE'; there are bookworm (Debian 12) and trixie (Debian 13)"
        exit 2
        ;;
    esac
}
