#!/usr/bin/env bash
# Runs Valkey's own protocol tests against larder-server. SUITE is a checkout of Valkey with runtest and tests/; tclsh is needed.
# What is left out is in valkey-skip.txt, a reason a line: most for kinds of values that a cache hasn't.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 SUITE PORT [UNIT...]" >&2; exit 2; }
suite=$1 port=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
units=("$@")
[ ${#units[@]} -gt 0 ] || units=(unit/type/string unit/type/incr unit/expire unit/protocol unit/multi unit/tracking unit/quit unit/other)
skip=$(mktemp)
trap 'rm -f "$skip"' EXIT
# The name of a test, and behind a tab why it is left out.
grep -v '^#' "$here/valkey-skip.txt" | cut -f 1 > "$skip"
failed=0
for unit in "${units[@]}"; do
    (cd "$suite" && ./runtest --host 127.0.0.1 --port "$port" --single "$unit" --singledb --ignore-encoding \
        --tags "-needs:repl -needs:debug -needs:save -large-memory -cluster -slow" --skipfile "$skip") || failed=1
done
exit $failed
