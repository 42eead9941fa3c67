# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion: the program itself knows what can stand next (xenwright __complete).

function __xenwright_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --current-token --cut-at-cursor)
    # Of --option=value, fish wants the whole word back.
    set -l before (string match --regex '^--[^=]*=' -- "$current")
    set -l path (string replace -- "$before" '' "$current")

    for candidate in ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        switch $candidate
            case ':file'
                __fish_complete_path "$path" | string replace --regex -- '^' "$before"
            case ':directory'
                __fish_complete_directories "$path" | string replace --regex -- '^' "$before"
            case '*'
                printf '%s\n' $candidate
        end
    end
end

complete --command xenwright --no-files --arguments '(__xenwright_complete)'
