# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion: the program itself knows what can stand next (xenwright __complete).

# Sets `words` to what the program would get, up to the cursor, and `current` to the part of the last
# word that bash replaces. Bash splits at = and : as well; only the line tells "a: b" from "a:b".
_xenwright_words() {
    local line=${COMP_LINE:0:COMP_POINT} index word

    words=()
    for ((index = 0; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        # A word goes on where no blank stands before it.
        [[ $index -gt 0 && $line != [[:space:]]* ]] || words+=("")
        line=${line#"${line%%[![:space:]]*}"}
        # The last one ends at the cursor.
        word=${word:0:${#line}}
        words[-1]+=$word
        line=${line#"$word"}
    done
    current=${word##*[=:]}
}

_xenwright() {
    local -a words
    local candidate current before

    _xenwright_words
    before=${words[-1]%"$current"}
    COMPREPLY=()
    while IFS= read -r candidate; do
        candidate=${candidate%%$'\t'*}
        case $candidate in
        :file | :directory)
            compopt -o filenames
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -A "${candidate#:}" -- "$current")
            ;;
        *) COMPREPLY+=("${candidate#"$before"}") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${words[@]:1}" 2>/dev/null)
    # What ends like this goes on.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=/] ]]; then
        compopt -o nospace
    fi
}

complete -F _xenwright xenwright
