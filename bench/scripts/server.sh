#!/usr/bin/env bash
# larder-server beside other servers, by redis-benchmark, in turns: requests a second, p99, and the server's CPU time a request, since
# client and server share the cores. Then resident memory for a million entries.
#
# server.sh NAME=COMMAND...: a COMMAND must take "--port N" and serve RESP there. For instance
#   server.sh larder="target/release/larder-server --maxmemory 256mb" valkey="valkey-server --save '' --io-threads 2"
# ROUNDS (3) are interleaved; medians are for the reader to take from the rows.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command -v redis-benchmark > /dev/null || { echo "redis-benchmark is needed (Debian: redis-tools)" >&2; exit 1; }
rounds=${ROUNDS:-3} keys=${KEYS:-1000000}
pids=() names=() ports=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
port=27000
# start SERVER...
start() {
    pids=() names=() ports=()
    for server in "$@"; do
        port=$((port + 1))
        (eval "exec ${server#*=} --port $port") > /dev/null 2>&1 &
        pids+=($!) names+=("${server%%=*}") ports+=("$port")
    done
    sleep 1.5
}
start "$@"

# The CPU time of a process so far, in microseconds.
cpu() { awk -v tick="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000000 / tick) }' "/proc/$1/stat"; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

# row SERVER LABEL REQUESTS ARGUMENTS...
row() {
    local i=$1 label=$2 requests=$3 before after line
    shift 3
    before=$(cpu "${pids[i]}")
    line=$(redis-benchmark -p "${ports[i]}" -n "$requests" --csv "$@" 2> /dev/null | tail -n 1 | tr -d '"')
    after=$(cpu "${pids[i]}")
    awk -F, -v name="${names[i]}" -v label="$label" -v cpu=$((after - before)) -v n="$requests" \
        '{ printf "%-10s %-28s %10.0f/s  p99 %7.3f ms  %6.2f us CPU\n", name, label, $2, $7, cpu / n }' <<< "$line"
}

for round in $(seq "$rounds"); do
    for i in "${!pids[@]}"; do
        row "$i" "SET, 16 in a pipeline" 1000000 -P 16 -r "$keys" -d 100 SET key:__rand_int__ "$(printf 'x%.0s' {1..100})"
        row "$i" "GET, 16 in a pipeline" 1000000 -P 16 -r "$keys" GET key:__rand_int__
        row "$i" "SET, 50 connections" 200000 -c 50 -r "$keys" SET key:__rand_int__ "$(printf 'x%.0s' {1..100})"
        row "$i" "GET, 50 connections" 200000 -c 50 -r "$keys" GET key:__rand_int__
        head -c 65536 /dev/zero | redis-cli -p "${ports[i]}" -x set big > /dev/null
        row "$i" "GET of 64 KiB" 50000 -c 50 GET big
    done
done
# Every key once, in a process that has held nothing else.
kill "${pids[@]}"
wait "${pids[@]}" 2> /dev/null || true
start "$@"
for i in "${!pids[@]}"; do
    empty=$(rss "${pids[i]}")
    awk -v keys="$keys" 'BEGIN {
        value = sprintf("%100s", ""); gsub(" ", "x", value)
        for (i = 0; i < keys; i++) printf "SET key:%012d %s EX 100000\r\n", i, value
    }' | redis-cli -p "${ports[i]}" --pipe > /dev/null
    sleep 1
    entries=$(redis-cli -p "${ports[i]}" dbsize)
    printf '%-10s %d entries with a time to live: %d bytes each resident\n' \
        "${names[i]}" "$entries" $((($(rss "${pids[i]}") - empty) * 1024 / entries))
done
