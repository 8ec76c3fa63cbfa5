#!/usr/bin/env bash
# parts.sh FIRST -- PART...: makes the targets, goes on after a failure, and ends with a table and a count.
# Exits with 1 if any failed.
#
# FIRST are made one after the other. If they succeed, PREBUILT=1 tells the rest not to build the library again: so the PARTs
# can run side by side, JOBS at a time (as many as there are processors, up to 4; JOBS=1 for one after the other, with its
# output as it comes). Their output is shown part by part, each when it has ended. MAKE says what make is.
set -uo pipefail

make=${MAKE:-make}
processors=$(nproc 2>/dev/null || echo 1)
jobs=${JOBS:-$((processors < 4 ? processors : 4))}
work=$(mktemp -d)
order=()
for part in "$@"; do [ "$part" = -- ] || order+=("$part"); done
declare -A running=()

# A run that is broken off shows what it has: the part that hangs is the one of interest.
broken_off() {
    for pid in "${!running[@]}"; do
        kill -- "-$pid" 2>/dev/null
        show "${running[$pid]}" "broken off"
    done
    rm -rf "$work"
    exit 1
}
trap broken_off INT TERM
trap 'rm -rf "$work"' EXIT

# make_part PART: leaves "ok" or "FAILED", and the seconds.
make_part() {
    local start result
    start=$(date +%s)
    result=FAILED
    "$make" --no-print-directory "$1" && result=ok
    echo "$result $(($(date +%s) - start))" > "$work/$1.result"
    [ "$result" = ok ]
}

# show PART STATE
show() {
    printf '\n──── make %s: %s ────\n' "$1" "$2"
    cat "$work/$1.out"
}

# One after the other, with the output as it comes.
alone() {
    printf '\n──── make %s ────\n' "$1"
    make_part "$1"
}

await_one() {
    local pid part
    wait -n -p pid "${!running[@]}"
    part=${running[$pid]}
    unset "running[$pid]"
    show "$part" "$(cut -d' ' -f1 "$work/$part.result" 2>/dev/null || echo FAILED)"
}

prebuilt=1
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    alone "$1" || prebuilt=
    shift
done
shift
if [ -n "$prebuilt" ]; then
    export PREBUILT=1
else
    # Each part would build the library for itself, all in one place.
    jobs=1
fi

for part in "$@"; do
    if [ "$jobs" -le 1 ]; then
        alone "$part"
        continue
    fi
    while [ ${#running[@]} -ge "$jobs" ]; do await_one; done
    printf '──── make %s: begins ────\n' "$part"
    # In a process group of its own, which can be ended as a whole.
    set -m
    make_part "$part" > "$work/$part.out" 2>&1 &
    set +m
    running[$!]=$part
done
while [ ${#running[@]} -gt 0 ]; do await_one; done

passed=0
failed=0
printf '\n──── summary ────\n'
for part in "${order[@]}"; do
    # A part without a result was not made, or died with its shell.
    read -r result seconds 2>/dev/null < "$work/$part.result" || { result=FAILED seconds=0; }
    printf '%-16s %-7s %4d s\n' "$part" "$result" "$seconds"
    if [ "$result" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
