# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Where this machine gets Debian from (read from apt's own configuration, whatever form that has),
# and how a directory is filled from there. Uses say.sh, namespace.sh, and what release.sh reads:
# RELEASE, OUTPUT and MIRROR (an address given by the user, or nothing).

# URI SUITE of each configured archive with a 'main' of Debian. Before the first 'apt-get update'
# nobody has said whose archive it is, and the suite's name has to do.
debian_archives() {
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) [$(ORIGIN)]' \
        'Created-By: Packages' 2>/dev/null |
        awk -v known='^(bookworm|trixie|forky|sid|(old)*stable|testing|unstable)(-|$)' '
            $3 == "main" && ($4 == "[Debian]" || ($4 == "[]" && $2 ~ known)) { print $1, $2 }'
}

# The lines of a sources.list for one release of Debian, from the mirrors that this machine uses.
debian_sources() {
    local release=$1 archives main security
    archives=$(debian_archives)
    main=${MIRROR:-$(awk '$2 !~ /-security$/ { print $1; exit }' <<<"$archives")}
    security=$(awk '$2 ~ /-security$/ { print $1; exit }' <<<"$archives")
    [ -n "$main" ] ||
        die "apt on this machine knows no mirror of Debian; name one with --mirror URL"
    echo "deb $main $release main"
    echo "deb $main $release-updates main"
    if [ -n "$security" ] && [ -z "$MIRROR" ]; then
        echo "deb $security $release-security main"
    fi
}

# How this machine reaches its mirrors (proxies, certificates), as lines 'NAME "VALUE";'.
apt_transport_options() {
    apt-config dump | grep -E '^Acquire::(https?|ftp)::|^Acquire::Check-' | grep -v '""' || true
}

# bootstrap WHAT MMDEBSTRAP-ARGUMENT…: runs mmdebstrap for RELEASE into OUTPUT.new, with its words
# in OUTPUT.log; ends the script with what was wrong if that fails. Uses namespace.sh.
bootstrap() {
    local what=$1 log=$OUTPUT.log sources transport
    shift
    sources=$(debian_sources "$RELEASE")
    mapfile -t transport < <(apt_transport_options)
    in_namespace rm -rf "$OUTPUT.new" "$OUTPUT.tmp"
    mkdir -p "$OUTPUT.new" "$OUTPUT.tmp"
    if TMPDIR=$OUTPUT.tmp in_namespace mmdebstrap --mode=root --format=directory \
        --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
        "${transport[@]/#/--aptopt=}" --customize-hook="$HOOK_ALL_ROOTS" \
        "$@" "$RELEASE" "$OUTPUT.new" - <<<"$sources" >"$log" 2>&1; then
        rm -rf "$OUTPUT.tmp"
        return
    fi
    in_namespace rm -rf "$OUTPUT.new" "$OUTPUT.tmp"
    die_of_mirror "$what" "$log"
}

# Ends the script because of the failure of apt that is in a log.
die_of_mirror() {
    local what=$1 log=$2 file
    file=$(sed -nE 's/^(E: Failed to fetch|Err:[0-9]+) //p' "$log" | head -n 1 | tr -s ' ' |
        cut -c 1-300)
    if [ -n "$file" ]; then
        die "$what: the mirror does not give $file; 'apt-get update' and another try may help," \
            "or another mirror with --mirror URL (all of it: $log)"
    fi
    die_with_log "$what failed" "$log" 15
}
