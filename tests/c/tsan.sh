#!/usr/bin/env bash
# tsan.sh DIRECTORY: the threads program and the library, both under ThreadSanitizer. Needs a nightly toolchain, for its
# -Zsanitizer and the runtime that comes with it.
set -euo pipefail

dir=$1
runs=${TSAN_RUNS:-5}
target=x86_64-unknown-linux-gnu
mkdir -p "$dir"

# larder_tsan: ThreadSanitizer knows no fences, so what they order is ordered another way in this build.
RUSTFLAGS="-Zsanitizer=thread --cfg larder_tsan -Cunsafe-allow-abi-mismatch=sanitizer" \
    cargo +nightly rustc --quiet --release --lib --crate-type staticlib --target $target --target-dir "$dir/cargo"
runtime=$(find "$(rustc +nightly --print sysroot)" -name 'librustc-*_rt.tsan.a')

"${CC:-cc}" -std=c11 -g -O1 -fsanitize=thread -Iinclude -Itests/c -c tests/c/threads.c -o "$dir/threads.o"
"${CXX:-c++}" "$dir/threads.o" "$dir/cargo/$target/release/liblarder.a" \
    -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive -o "$dir/threads" -pthread -ldl -lm -lrt -lresolv

export TSAN_OPTIONS="suppressions=$PWD/tests/c/tsan.supp ${TSAN_OPTIONS:-}"
for run in $(seq "$runs"); do
    printf 'run %d: ' "$run"
    "$dir/threads"
done
