# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the tests of labs share: TAP, and the ends of labs and files.
#
# A script sources this, makes its points by 'ok' and 'skip', and ends with 'finish'. A point is a
# command, as a rule a function of the script; it fails with the first command in it that fails. What
# it printed is shown then. FULL is 'yes' in a full run, else empty.

set -u
FULL=${FULL:-}
COUNT=0
FAILED=0
WORK=$(mktemp -d)
OUT=$WORK/out
ERR=$WORK/err
LABS=$XENWRIGHT_CACHE/labs
# The messages that are looked for are the untranslated ones.
export LC_ALL=C

# clean_labs CACHE: a lab with saved states outlives 'down'.
clean_labs() {
    local name
    export XENWRIGHT_CACHE=$1
    xenwright lab down --all
    for name in "$1"/labs/*/; do
        [ ! -d "$name" ] || xenwright lab forget "$(basename "$name")" --all
    done
}

clean_up() {
    local cache
    for cache in "$XENWRIGHT_CACHE" "$WORK"/caches/*; do
        [ ! -d "$cache/labs" ] || (clean_labs "$cache") >/dev/null 2>&1
    done
    rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

ok() {
    local name=$1 status
    shift
    COUNT=$((COUNT + 1))
    (
        trap - EXIT
        set -e
        "$@"
    ) >"$WORK/said" 2>&1
    status=$?
    if [ "$status" -eq 0 ]; then
        echo "ok $COUNT - $name"
        return
    fi
    echo "not ok $COUNT - $name"
    FAILED=$((FAILED + 1))
    {
        circumstances
        tail -n 25 "$WORK/said"
    } | sed 's/^/# /'
}

# What may have to do with a failure: how busy the machine is, and what the labs' QEMUs and consoles
# said last.
circumstances() {
    local file
    echo "load $(cut -d' ' -f 1-3 /proc/loadavg), $(grep MemAvailable /proc/meminfo | tr -s ' ')"
    for file in "$LABS"/*/{qemu.log,crash.json,console.log}; do
        [ -s "$file" ] || continue
        echo "$(basename "$(dirname "$file")")/$(basename "$file"):"
        tail -n 5 "$file" | tr -d '\r' | cut -c 1-300 | sed 's/^/  /'
    done
}

# skip NAME REASON
skip() {
    COUNT=$((COUNT + 1))
    echo "ok $COUNT - $1 # SKIP $2"
}

give_up() {
    echo "Bail out! $*"
    exit 1
}

finish() {
    echo "1..$COUNT"
    [ "$FAILED" -eq 0 ]
    exit
}

lab() {
    xenwright lab "$@"
}

# own_cache NAME [FOLDER…]: what follows in this point uses a cache of its own, which shares all but
# the labs and the FOLDERs. These are copies, of links to the files: to change a file, replace it.
own_cache() {
    local of=$XENWRIGHT_CACHE part
    XENWRIGHT_CACHE=$WORK/caches/$1
    LABS=$XENWRIGHT_CACHE/labs
    (umask 077 && mkdir -p "$XENWRIGHT_CACHE")
    for part in images states packages package roots ssh accel.json qemu.json; do
        if [[ " $* " == *" $part "* ]]; then
            cp -rL --preserve=all --link "$of/$part/" "$XENWRIGHT_CACHE/$part" 2>/dev/null ||
                cp -rL --preserve=all "$of/$part" "$XENWRIGHT_CACHE/"
        else
            ln -s "$of/$part" "$XENWRIGHT_CACHE/$part"
        fi
    done
}

# exits STATUS COMMAND…: what it writes goes to $OUT and $ERR.
exits() {
    local wanted=$1 got=0
    shift
    "$@" >"$OUT" 2>"$ERR" || got=$?
    [ "$got" -eq "$wanted" ] && return
    echo "status $got, not $wanted: $*"
    cat "$OUT" "$ERR"
    return 1
}

# says TEXT…: each of them is in what the last command of 'exits' wrote.
says() {
    local text
    for text; do
        grep -qF -- "$text" "$OUT" "$ERR" && continue
        echo "nothing says '$text':"
        cat "$OUT" "$ERR"
        return 1
    done
}

# The last command of 'exits' complained in one line, and wrote nothing else.
one_complaint() {
    [ "$(grep -c '' "$ERR")" -eq 1 ] && grep -q '^xenwright: ' "$ERR" && [ ! -s "$OUT" ] && return
    echo "not one line of complaint:"
    cat "$OUT" "$ERR"
    return 1
}

quiet() {
    [ ! -s "$ERR" ] && return
    echo "there is something on stderr:"
    cat "$ERR"
    return 1
}

# same WANTED GOT
same() {
    [ "$1" = "$2" ] && return
    printf 'wanted: %s\n   got: %s\n' "$1" "$2"
    return 1
}

# refuse COMMAND…: it fails, as it should.
refuse() {
    if "$@"; then
        echo "went well, but should not: $*"
        return 1
    fi
}

# up NAME [OPTION…]: a lab that the points of the script need.
up() {
    ok "up $*" exits 0 lab up "$@"
    [ "$(status_of "$1")" = running ] || give_up "there is no lab to test with"
}

# member NAME KEY: of 'lab list --json'; nothing where there is none.
member() {
    lab list --json 2>/dev/null | python3 -c '
import json, sys
for row in json.load(sys.stdin):
    if row["name"] == sys.argv[1]:
        print(row.get(sys.argv[2], ""))' "$1" "$2"
}

status_of() {
    member "$1" status
}

pid_of() {
    member "$1" pid
}

# alive PID: one that has ended, and was not waited for yet by its parent, is not; but its first thread
# may have ended before the others, and its files are open until they all have.
alive() {
    grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" && return
    [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | grep -c .)" -gt 1 ]
}

# wait_end PID [SECONDS]
wait_end() {
    local deadline=$((SECONDS + ${2:-10}))
    while alive "$1"; do
        [ "$SECONDS" -lt "$deadline" ] || {
            echo "process $1 does not end"
            return 1
        }
        timeout 0.05 tail --pid="$1" -f /dev/null || true
    done
}

# wait_line TEXT FILE [SECONDS]: until the file has such a line.
wait_line() {
    timeout "${3:-30}" grep -qF -m 1 -- "$1" < <(exec tail -s 0.05 -n +1 -F "$2" 2>/dev/null) && return
    echo "no line '$1' in $2:"
    cat "$2"
    return 1
}

# The processes that run in a folder of labs, or have a file of it open: "PID COMMAND" lines.
processes_in() {
    local pid
    find /proc/[0-9]*/cwd /proc/[0-9]*/fd \( -lname "$1" -o -lname "$1/*" \) 2>/dev/null |
        cut -d/ -f3 | sort -un | while read -r pid; do
        echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c 1-100)"
    done
}

# no_processes [PATTERN]: none is left (whose command matches).
no_processes() {
    local left
    left=$(processes_in "$LABS" | grep -e "${1:-}" || true)
    [ -z "$left" ] && return
    echo "still there: $left"
    return 1
}
