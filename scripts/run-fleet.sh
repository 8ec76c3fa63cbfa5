#!/bin/bash
# Three gateways that share their purges by way of a Valkey, each with a load of its own, on the
# loopback interface. Whatever is killed is started again. Ends with Ctrl-C, or after FLEET_TIME
# seconds if that is set.
#
# usage: run-fleet.sh GATEWAY VALKEY-SERVER
#
# LISTEN_PORT is the first of the gateways' three ports, SERVER_PORT the Valkey's.
set -u
gateway=$1
server=$2
first=${LISTEN_PORT:-8081}
port=${SERVER_PORT:-6390}
folder=$(mktemp -d)
keepers=()

# keep NAME COMMAND...: runs the command again whenever it ends.
keep() {
    local name=$1
    shift
    (
        trap 'kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit' TERM
        while :; do
            "$@" >>"$folder/$name.log" 2>&1 &
            child=$!
            echo "$name: process $child"
            wait "$child"
            echo "$name has ended, and is started again"
            sleep 1
        done
    ) &
    keepers+=($!)
}

finish() {
    trap '' INT TERM
    kill "${keepers[@]}" 2>/dev/null
    wait "${keepers[@]}" 2>/dev/null
    rm -rf "$folder"
    exit 0
}
trap finish INT TERM

keep valkey "$server" --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$folder"
for i in 0 1 2; do
    config=$folder/gateway$i.yaml
    {
        echo "listen: 127.0.0.1:$((first + i))"
        echo "fleet: {server: \"127.0.0.1:$port\", max_staleness: 3s, wait: true}"
        cat examples/gateway/demo.yaml
    } >"$config"
    keep "gateway$i" "$gateway" -config "$config"
    echo "dashboard: http://127.0.0.1:$((first + i))/_larder/"
done
echo "logs: $folder; a purge in one dashboard is effective in all; kill -9 what you like"
sleep "${FLEET_TIME:-2147483647}" &
wait $!
finish
