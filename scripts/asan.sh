#!/usr/bin/env bash
# asan.sh [SECONDS]: runs the Rust integration tests under AddressSanitizer and LeakSanitizer, with the nightly
# toolchain. The stress tests take about SECONDS each (default 2). Exits with 1 on a bad access or a leak.
#
# The cache's own memory is one mapping, in which AddressSanitizer can't see one entry running into the next (values
# carry checksums for that); it sees everything on the heap, and any access to a mapping that was given back.
set -euo pipefail
cd "$(dirname "$0")/.."

toolchain=${ASAN_TOOLCHAIN:-nightly}
if ! rustc "+$toolchain" --version >/dev/null 2>&1; then
    echo "asan.sh: AddressSanitizer needs a nightly toolchain: rustup toolchain install nightly" >&2
    exit 1
fi
host=$(rustc "+$toolchain" -vV | sed -n 's/^host: //p')
export LARDER_STRESS_SECONDS=${1:-2}
export RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer"
export ASAN_OPTIONS="detect_leaks=1 detect_stack_use_after_return=1 ${ASAN_OPTIONS:-}"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/asan
exec cargo "+$toolchain" test --target "$host" --test concurrent --test bounds --test lru --test model -- --test-threads=1
