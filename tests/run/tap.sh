# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# TAP for tests in bash. Each test is a function test_NAME, run in a subshell with -e in a directory
# of its own; what it prints is shown when it fails. 'skip REASON' ends one without a verdict.

SKIPPED=77

skip() {
    echo "$*" >"$TEST_DIRECTORY/skip"
    exit "$SKIPPED"
}

# same WANTED GOT
same() {
    [ "$1" = "$2" ] && return
    printf 'wanted: %s\n   got: %s\n' "$1" "$2"
    return 1
}

# has TEXT PART
has() {
    [[ $1 == *"$2"* ]] && return
    printf 'no "%s" in: %s\n' "$2" "$1"
    return 1
}

# status WANTED COMMAND…: runs it with its output in $OUTPUT, and looks at its exit status.
status() {
    local wanted=$1 got=0
    shift
    OUTPUT=$("$@" 2>&1 </dev/null) || got=$?
    same "$wanted" "$got" || {
        echo "$OUTPUT"
        return 1
    }
}

run_tests() {
    local names name number=0 failed=0 got
    TOP=$(mktemp -d)
    trap 'rm -rf "$TOP"' EXIT
    mapfile -t names < <(compgen -A function test_)
    echo "1..${#names[@]}"
    for name in "${names[@]}"; do
        number=$((number + 1))
        TEST_DIRECTORY=$TOP/$number
        mkdir "$TEST_DIRECTORY"
        (
            set -e
            cd "$TEST_DIRECTORY"
            "$name"
        ) >"$TOP/output" 2>&1
        got=$?
        name=${name#test_}
        name=${name//_/ }
        if [ "$got" -eq 0 ]; then
            echo "ok $number - $name"
        elif [ "$got" -eq "$SKIPPED" ]; then
            echo "ok $number - $name # SKIP $(cat "$TEST_DIRECTORY/skip")"
        else
            echo "not ok $number - $name"
            sed 's/^/# /' "$TOP/output"
            failed=1
        fi
    done
    return "$failed"
}
