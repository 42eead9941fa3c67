#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The numbers that the last line of './run check' gives.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/run/tap.sh
. "$HERE/tap.sh"
SUMMARY=$HERE/../../scripts/test-summary

# summary STATUS LAST-LINE FILE…
summary() {
    local wanted=$1 last=$2
    shift 2
    status "$wanted" "$SUMMARY" "$@"
    same "$last" "$(tail -n 1 <<<"$OUTPUT")"
}

test_counts_each_line_of_tap() {
    printf '%s\n' 1..4 'ok 1 - one' 'ok 2 two' '# ok 9 - a comment' \
        'ok 3 - three # SKIP no disk' 'ok 4' >a.tap
    summary 0 '3 passed, 0 failed, 1 skipped' a.tap
    has "$OUTPUT" 'skipped: a: three (no disk)'
}

test_names_what_failed() {
    printf 'ok 1 - one\nnot ok 2 - two\n1..2\n' >a.tap
    summary 1 '1 passed, 1 failed, 0 skipped' a.tap
    has "$OUTPUT" 'failed: a: two'
}

test_tells_what_a_failure_says_of_itself() {
    printf '%s\n' 1..3 'not ok 1 - one' '# 3 is not 4' 'not ok 2 - two' '# a' '# b' 'ok 3' '# c' \
        >a.tap
    summary 1 '1 passed, 2 failed, 0 skipped' a.tap
    same 'failed: a: one (3 is not 4)
failed: a: two
    a
    b' "$(head -n 4 <<<"$OUTPUT")"
}

test_counts_an_early_end_as_a_failure() {
    printf '1..3\nok 1 - one\n' >a.tap
    summary 1 '1 passed, 1 failed, 0 skipped' a.tap
    has "$OUTPUT" 'ended after 1 of 3 tests'
}

test_counts_a_missing_plan_as_a_failure() {
    printf 'ok 1 - one\n' >a.tap
    summary 1 '1 passed, 1 failed, 0 skipped' a.tap
}

test_counts_giving_up_as_a_failure() {
    printf '1..3\nok 1 - one\nBail out! no Xen\n' >a.tap
    summary 1 '1 passed, 1 failed, 0 skipped' a.tap
    has "$OUTPUT" 'gave up: no Xen'
}

test_counts_a_silent_file_as_a_failure() {
    : >a.tap
    summary 1 '0 passed, 1 failed, 0 skipped' a.tap
    summary 1 '0 passed, 1 failed, 0 skipped' absent.json
    : >b.json
    summary 1 '0 passed, 1 failed, 0 skipped' b.json
    echo '{"name": ' >c.json
    summary 1 '0 passed, 1 failed, 0 skipped' c.json
}

test_counts_a_program_skipped_as_a_whole() {
    echo '1..0 # SKIP no qemu here' >a.tap
    summary 0 '0 passed, 0 failed, 1 skipped' a.tap
    has "$OUTPUT" 'no qemu here'
}

test_takes_what_is_known_to_fail_as_passed() {
    printf '1..1\nnot ok 1 - later # TODO not there yet\n' >a.tap
    summary 0 '1 passed, 0 failed, 0 skipped' a.tap
}

test_reads_the_tap_in_a_meson_log() {
    cat >unit.json <<'END'
{"name": "buffer", "result": "OK", "stdout": "1..2\nok 1 - a\nok 2 - b\n"}
{"name": "header", "result": "OK", "stdout": ""}
{"name": "zsh", "result": "SKIP", "stdout": ""}
{"name": "slow", "result": "TIMEOUT", "stdout": "1..2\nok 1 - a\n"}
{"name": "leak", "result": "FAIL", "stdout": "1..1\nok 1 - a\n"}
END
    summary 1 '5 passed, 2 failed, 1 skipped' unit.json
    has "$OUTPUT" 'failed: unit: slow (ended after 1 of 2 tests)'
    has "$OUTPUT" 'failed: unit: leak (FAIL though no test in it failed)'
}

test_adds_up_several_files() {
    printf '1..1\nok 1 - a\n' >a.tap
    printf '1..1\nok 1 - b # skip why not\n' >b.tap
    summary 0 '1 passed, 0 failed, 1 skipped' a.tap b.tap
}

test_wants_a_file() {
    status 2 "$SUMMARY"
}

run_tests
