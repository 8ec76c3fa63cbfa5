#!/usr/bin/env bash
# parts.sh TARGET...: makes each target, goes on after a failure, and ends with a table and a count.
# Exits with 1 if any failed. MAKE says what make is.
set -uo pipefail

make=${MAKE:-make}
passed=0
failed=0
table=""
for part in "$@"; do
    printf '\n──── make %s ────\n' "$part"
    start=$(date +%s)
    if "$make" --no-print-directory "$part"; then
        passed=$((passed + 1))
        result=ok
    else
        failed=$((failed + 1))
        result=FAILED
    fi
    table+=$(printf '%-16s %-7s %4d s' "$part" "$result" $(($(date +%s) - start)))$'\n'
done
printf '\n──── summary ────\n%s\n%d passed, %d failed\n' "$table" "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
