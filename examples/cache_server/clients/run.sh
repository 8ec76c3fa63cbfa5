#!/usr/bin/env bash
# The client libraries of seven languages, pinned, each as it comes, against a running server: HOST RESP_PORT MEMCACHED_PORT.
# What is installed goes to BUILD (default: a new temporary folder). A language that isn't on the machine is named and left out;
# all others must pass. C and Ruby take their libraries from the system (libhiredis-dev, libmemcached-dev, ruby-redis).
set -uo pipefail
[ $# = 3 ] || { echo "usage: $0 HOST RESP_PORT MEMCACHED_PORT" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
host=$1 resp=$2 memcached=$3
build=${BUILD:-$(mktemp -d)}
failed=0

# try NAME COMMAND...: one line with the outcome.
try() {
  local name=$1 log
  shift
  if log=$(timeout 120 "$@" 2>&1); then
    echo "ok    $name"
  else
    echo "FAIL  $name"
    sed 's/^/      /' <<<"$log" | tail -15
    failed=1
  fi
}

# has LANGUAGE COMMAND...: whether the commands that a language needs are there.
has() {
  local language=$1 command
  shift
  for command in "$@"; do
    command -v "$command" >/dev/null || { echo "none  $language: no $command here"; return 1; }
  done
}

if has Python python3; then
  python3 -m venv "$build/python" && "$build/python/bin/pip" -q install -r "$here/python/requirements.txt"
  try "redis-py" "$build/python/bin/python" "$here/python/resp.py" redis "$host" "$resp"
  try "valkey-py" "$build/python/bin/python" "$here/python/resp.py" valkey "$host" "$resp"
  try "pymemcache" "$build/python/bin/python" "$here/python/memcached.py" "$host" "$memcached"
fi
if has JavaScript node npm; then
  mkdir -p "$build/node" && cp "$here"/node/* "$build/node" && (cd "$build/node" && npm install --silent --no-audit --no-fund)
  try "ioredis" node "$build/node/ioredis.js" "$host" "$resp"
  try "node-redis" node "$build/node/redis.js" "$host" "$resp"
fi
if has Go go; then
  (cd "$here/go" && go build -o "$build/clients-go" .)
  try "go-redis" "$build/clients-go" go-redis "$host" "$resp"
  try "rueidis" "$build/clients-go" rueidis "$host" "$resp"
  try "gomemcache" "$build/clients-go" gomemcache "$host" "$memcached"
fi
if has Java mvn javac java; then
  mvn -q -f "$here/java/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DoutputDirectory="$build/java"
  javac -cp "$build/java/*" -d "$build/java" "$here/java/Clients.java"
  try "jedis" java -cp "$build/java:$build/java/*" Clients jedis "$host" "$resp"
  try "lettuce" java -cp "$build/java:$build/java/*" Clients lettuce "$host" "$resp"
fi
if has Rust cargo; then
  cargo build -q --manifest-path "$here/rust/Cargo.toml" --target-dir "$build/rust"
  try "redis-rs" "$build/rust/debug/clients" redis "$host" "$resp"
  try "fred" "$build/rust/debug/clients" fred "$host" "$resp"
fi
if has C cc; then
  cc -Wall -o "$build/hiredis" "$here/c/resp.c" -lhiredis && try "hiredis" "$build/hiredis" "$host" "$resp"
  cc -Wall -o "$build/libmemcached" "$here/c/memcached.c" -lmemcached && try "libmemcached" "$build/libmemcached" "$host" "$memcached"
fi
if has Ruby ruby; then
  try "redis-rb" ruby "$here/ruby/resp.rb" "$host" "$resp"
fi
exit $failed
