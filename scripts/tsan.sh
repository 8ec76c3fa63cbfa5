#!/usr/bin/env bash
# tsan.sh [SECONDS]: runs tests/concurrent.rs under ThreadSanitizer, with the nightly toolchain. Each test takes about
# SECONDS (default 5). Exits with 1 if a race was reported.
#
# With the component rust-src the standard library is built for ThreadSanitizer too; without it scripts/tsan.supp says
# what its prebuilt code hides.
set -euo pipefail
cd "$(dirname "$0")/.."

toolchain=${TSAN_TOOLCHAIN:-nightly}
if ! sysroot=$(rustc "+$toolchain" --print sysroot 2>/dev/null); then
    echo "tsan.sh: ThreadSanitizer needs a nightly toolchain: rustup toolchain install nightly" >&2
    exit 1
fi
host=$(rustc "+$toolchain" -vV | sed -n 's/^host: //p')
export LARDER_STRESS_SECONDS=${1:-5}
export RUSTFLAGS="-Zsanitizer=thread --cfg larder_tsan"
export TSAN_OPTIONS="halt_on_error=0 exitcode=66 history_size=5 ${TSAN_OPTIONS:-}"
build_std=()
if [ -d "$sysroot/lib/rustlib/src/rust/library" ]; then
    build_std=(-Zbuild-std)
else
    RUSTFLAGS+=" -Cunsafe-allow-abi-mismatch=sanitizer"
    TSAN_OPTIONS+=" suppressions=$PWD/scripts/tsan.supp"
fi
# A directory of its own: every crate is built with other flags.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/tsan
exec cargo "+$toolchain" test --target "$host" "${build_std[@]}" --test concurrent -- --test-threads=1
