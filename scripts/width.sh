#!/usr/bin/env bash
# width.sh COLUMNS ALLOWED FILE...: fails if more than ALLOWED lines of the files are wider than COLUMNS, and shows the first
# of them. ALLOWED only ever goes down.
set -euo pipefail

columns=$1
allowed=$2
shift 2
# In characters, whatever the awk: a byte that goes on with a character (10xxxxxx) isn't one.
wide=$(LC_ALL=C awk -v columns="$columns" '{
        text = $0
        gsub(/[\200-\277]/, "", text)
        if (length(text) > columns) printf "%s:%d: %d columns\n", FILENAME, FNR, length(text)
    }' "$@")
count=$(printf '%s' "$wide" | grep -c . || true)
if [ "$count" -gt "$allowed" ]; then
    printf '%s\n' "$wide" | head -n 20
    echo "$count lines are wider than $columns columns ($allowed are allowed)"
    exit 1
fi
