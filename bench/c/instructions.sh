#!/bin/sh
# Instructions a call, by callgrind: bench/c/instructions.sh PROGRAM. One line a case.
set -eu
program=$1
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# name, then the program's arguments
case_of() {
    name=$1
    shift
    said=$(valgrind --tool=callgrind --callgrind-out-file="$out" --collect-atstart=no \
        --toggle-collect=measured "$program" "$@" 2>/dev/null)
    total=$(sed -n 's/^summary: \([0-9]*\).*/\1/p; s/^totals: \([0-9]*\).*/\1/p' "$out" | tail -n 1)
    printf '%-34s %8d   by the slow path: %s\n' "$name" "$((total / $5))" "${said#slow }"
}

case_of 'get, hit, 16 MiB'              get     16777216  100  10000  50000
case_of 'set, overwrites, 16 MiB'       set     16777216  100  10000  50000
case_of 'set, overwrites, 128 MiB'      set     134217728 100  10000  50000
case_of 'set, overwrites, slow path'    slowset 16777216  100  10000  50000
case_of 'set, evicts, 1 MiB'            set     1048576   -64  20000  50000
case_of 'set, evicts, 16 MiB'           set     16777216  -64  250000 50000
case_of 'set, evicts, 64 MiB'           set     67108864  -100 600000 50000
