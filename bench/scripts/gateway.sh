#!/bin/sh
# The gateway beside a static handler of the same net/http server, and beside nginx:
# scripts/gateway.sh GATEWAY GATEWAYLOAD [bench|soak|nginx]...
# Needs wrk, and nginx for the last. Everything is on loopback, on ports 9100 to 9105.
set -eu
gateway=$1
load=$2
shift 2
rounds=${ROUNDS:-7}
seconds=${SECONDS_EACH:-3}
work=$(mktemp -d)
pids=""
cleanup() {
    # shellcheck disable=SC2086
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
ulimit -n 20000 2>/dev/null || echo "ulimit -n stays at $(ulimit -n): fewer connections will do" >&2

start() { # NAME COMMAND...: runs it in the background, its process in $pid
    name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    pid=$!
    pids="$pids $pid"
}
wait_for() { # URL
    for _ in $(seq 100); do
        if "$load" fill -n 1 -size 0 -target "$1" 2>/dev/null | grep -q ' 0 errors'; then return; fi
        sleep 0.1
    done
    echo "$1 does not answer" >&2
    cat "$work"/*.log >&2
    exit 1
}
median() { sort -n | awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)]}'; }

start origin "$load" origin
wait_for http://127.0.0.1:9100
start serve "$load" serve -max-bytes "${SERVE_BYTES:-67108864}"
serve_pid=$pid
wait_for http://127.0.0.1:9101
start gateway "$gateway" -listen 127.0.0.1:9103 -upstream http://127.0.0.1:9100 -max-bytes "${GATEWAY_BYTES:-64MiB}" -access-log off
gateway_pid=$pid
wait_for http://127.0.0.1:9103

# Requests a second with wrk, in turns, each round compared with its own static handler.
throughput() {
    echo "closed loop, wrk, 32 connections, $rounds rounds of $seconds s in turns; medians"
    for size in 1024 16384; do
        rm -f "$work"/rps.*
        for _ in $(seq "$rounds"); do
            for what in "static 9101/static/$size" "httpcache 9101/$size/x" "gateway 9103/$size/x"; do
                wrk -t1 -c32 "-d${seconds}s" "http://127.0.0.1:${what#* }" |
                    awk '/Requests\/sec/ {print $2}' >>"$work/rps.${what%% *}"
            done
        done
        for name in static httpcache gateway; do
            printf '%6d B  %-10s %8.0f/s  x%.3f\n' $size $name "$(median <"$work/rps.$name")" \
                "$(paste "$work/rps.$name" "$work/rps.static" | awk '{print $1 / $2}' | median)"
        done
    done
}

# What a request costs the server: much steadier than how many there are in a second.
cpu() {
    for size in 1024 16384; do
        "$load" cpu -rounds "${CPU_ROUNDS:-120}" "$serve_pid=http://127.0.0.1:9101/static/$size" \
            "$serve_pid=http://127.0.0.1:9101/$size/x" "$gateway_pid=http://127.0.0.1:9103/$size/x"
    done
}

open_loop() {
    "$load" open -rounds "${OPEN_ROUNDS:-5}" -for "${OPEN_FOR:-5s}" "$@" http://127.0.0.1:9101/static/1024 http://127.0.0.1:9101/1024/x http://127.0.0.1:9103/1024/x
}

# The same while the budget is full and entries expire, as many a second as are stored: a
# million in the time it takes, in the same process.
expiring() {
    start churn "$load" serve -listen 127.0.0.1:9102 -max-bytes "${CHURN_BYTES:-25165824}" -churn "${CHURN:-50000}" -churn-ttl "${CHURN_TTL:-2s}"
    churn_pid=$pid
    wait_for http://127.0.0.1:9102
    sleep "${CHURN_AHEAD:-5}"
    "$load" open -rounds "${OPEN_ROUNDS:-41}" -for "${OPEN_FOR:-500ms}" -rate "${RATE:-3000}" \
        http://127.0.0.1:9102/static/1024 http://127.0.0.1:9102/1024/x
    kill $churn_pid
    grep churn: "$work/churn.log" || true
}

crowds() {
    "$load" crowd -origin http://127.0.0.1:9101 -target http://127.0.0.1:9101
    "$load" crowd -target http://127.0.0.1:9103
}

beside_nginx() {
    files=${NGINX_CACHE:-/dev/shm/larder-nginx-$$}
    cat >"$work/nginx.conf" <<CONF
daemon off;
worker_processes auto;
pid $work/nginx.pid;
error_log $work/nginx.err;
worker_rlimit_nofile 20000;
events { worker_connections 8192; }
http {
    access_log off;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    # On tmpfs where there is one: its pages are the memory that is compared.
    proxy_cache_path $files levels=1:2 keys_zone=c:8m max_size=56m inactive=1h use_temp_path=off;
    keepalive_requests 1000000;
    upstream origin { server 127.0.0.1:9100; keepalive 64; }
    server {
        listen 127.0.0.1:9105 reuseport backlog=8192;
        location / {
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache c;
            proxy_cache_lock on;
        }
    }
}
CONF
    start nginx nginx -c "$work/nginx.conf" -p "$work"
    wait_for http://127.0.0.1:9105
    if [ "${1:-}" != zipf ]; then hot; fi
    echo "20,000 URLs by Zipf, 256 B to 64 KiB, gateway's whole budget ${GATEWAY_BYTES:-64MiB}; nginx 56 MiB of files, 8 MiB of keys (it holds more: see below)"
    echo "| | requests/s | p50 | p99 | hit ratio | resident | errors |"
    echo "|---|---|---|---|---|---|---|"
    for _ in 1 2 3; do
        "$load" zipf -name gateway -pid $gateway_pid -target http://127.0.0.1:9103
        "$load" zipf -name nginx -target http://127.0.0.1:9105
        # Its manager removes what is too much every ten seconds only.
        echo "    nginx's files: $(du -sm "$files" | cut -f 1) MiB" >>"$work/files"
    done
    cat "$work/files"
    rm -rf "$files"
}

hot() {
    echo "one hot URL, wrk, 32 connections, $rounds rounds of $seconds s in turns; medians"
    for size in 1024 16384; do
        rm -f "$work"/hot.*
        for _ in $(seq "$rounds"); do
            for what in "nginx 9105" "gateway 9103"; do
                wrk -t1 -c32 "-d${seconds}s" --latency "http://127.0.0.1:${what#* }/$size/x" >"$work/wrk"
                awk '/Requests\/sec/ {print $2}' "$work/wrk" >>"$work/hot.${what%% *}"
                awk '/99%/ {print $2}' "$work/wrk" >>"$work/hot99.${what%% *}"
            done
        done
        for name in nginx gateway; do
            printf '%6d B  %-8s %8.0f/s  p99 of the rounds: %s\n' $size $name "$(median <"$work/hot.$name")" \
                "$(tail -n "$rounds" "$work/hot99.$name" | paste -s -d ' ' -)"
        done
    done
}

for part in "${@:-bench}"; do
    case $part in
    bench) throughput; cpu; open_loop; expiring ;;
    soak) crowds; "$load" hold -pid $gateway_pid -url http://127.0.0.1:9103/1024/held ;;
    nginx) beside_nginx ;;
    zipf) beside_nginx zipf ;;
    throughput | cpu | open_loop | expiring | crowds) $part ;;
    *) echo "no part $part" >&2; exit 2 ;;
    esac
done
