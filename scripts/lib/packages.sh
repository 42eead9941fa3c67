# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Debian packages that the project needs: which are missing, and how they come in.
# Uses XENWRIGHT_SOURCE and INSTALL (yes or no) of the script that reads this file, and say.sh.

# The names in the lists given by their short names (build, lab, …), one a line.
listed_packages() {
    local list
    for list; do
        sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' \
            "$XENWRIGHT_SOURCE/packaging/dependencies/$list.txt"
    done
}

missing_packages() {
    local wanted installed
    wanted=$(listed_packages "$@" | sort -u)
    # dpkg-query fails when it does not know one of the names, and still tells about the others.
    # shellcheck disable=SC2086 # a list of words
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
        sed -n 's/^installed //p' | sort -u || true)
    comm -23 <(echo "$wanted") <(echo "$installed")
}

# Differs whenever the lists or the set of installed packages may have changed.
packages_key() {
    listed_packages "$@" | sha256sum
    stat -c '%s %y' "${XENWRIGHT_DPKG_STATUS:-/var/lib/dpkg/status}" 2>/dev/null || true
}

# Runs apt-get as root, with sudo where that is needed.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        die "not root and no sudo here; as root: $*"
    elif [ -t 0 ]; then
        say "asking sudo for: $*"
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

update_lists() {
    say "fetching Debian's package lists"
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update >"$1" 2>&1
}

# Absent, or older than a day: an old list names files that the mirror no longer has.
lists_are_old() {
    local fresh
    fresh=$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 2>/dev/null || true)
    [ -z "$fresh" ]
}

explain_install_failure() {
    local log=$1 name unknown=
    shift
    for name; do
        apt-cache show --no-all-versions "$name" >/dev/null 2>&1 || unknown+=" $name"
    done
    if [ -n "$unknown" ]; then
        die "no Debian package here is called:$unknown; /etc/apt must name Debian 12 or 13, 'main'"
    fi
    grep -E '^(E|W|Err)' "$log" | tail -n 8 >&2
    die "the packages could not be installed; try 'apt-get update', then again (all of it: $log)"
}

install_packages() {
    local log=$XENWRIGHT_SOURCE/build/.run/apt.log
    # Nobody is asked which version of a changed configuration file is to stay: the one that is there.
    local command=(apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300
        -o DPkg::Options::=--force-confdef -o DPkg::Options::=--force-confold install "$@")
    mkdir -p "${log%/*}"
    if lists_are_old && ! update_lists "$log"; then
        grep -E '^(E|W|Err)' "$log" | tail -n 8 >&2
        say "the package lists could not all be fetched; going on with what there is"
    fi
    say "installing $# Debian packages: $*"
    if as_root env DEBIAN_FRONTEND=noninteractive "${command[@]}" >"$log" 2>&1 </dev/null; then
        return
    fi
    # The usual reason is a list that has aged meanwhile.
    if update_lists "$log.update" &&
        as_root env DEBIAN_FRONTEND=noninteractive "${command[@]}" >"$log" 2>&1 </dev/null; then
        return
    fi
    explain_install_failure "$log" "$@"
}

# Makes sure that all packages of the lists named are installed.
need_packages() {
    local stamp key missing
    if ! command -v dpkg-query >/dev/null; then
        say "this is not Debian; going on, as if all that packaging/dependencies names were here"
        return
    fi
    stamp=$XENWRIGHT_SOURCE/build/.run/packages-$(printf %s- "$@")stamp
    key=$(packages_key "$@")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
        return
    fi
    missing=$(missing_packages "$@")
    if [ -n "$missing" ]; then
        if [ "$INSTALL" = no ]; then
            say "packages are missing; install them with this, then try again:"
            # shellcheck disable=SC2086
            echo "apt-get install --no-install-recommends" $missing
            exit 1
        fi
        # shellcheck disable=SC2086
        install_packages $missing
    fi
    mkdir -p "${stamp%/*}"
    packages_key "$@" >"$stamp"
}
