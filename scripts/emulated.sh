#!/usr/bin/env bash
# emulated.sh: runs the archives of linux/arm64 under qemu: C programs and the Go package's tests with glibc, a program
# of Rust's with musl. What the machine hasn't the tools for is told.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v qemu-aarch64 > /dev/null || { echo "emulated: skipped, there is no qemu-aarch64"; exit 0; }
if command -v aarch64-linux-gnu-gcc > /dev/null; then
    for program in unwind roundtrip expiry threads; do
        aarch64-linux-gnu-gcc -std=gnu99 -O2 -fno-builtin -pthread -Iinclude -Itests/c "tests/c/$program.c" \
            -o "$work/$program" go/lib/linux_arm64/liblarder.a -ldl -lm
        qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/$program"
    done
    cd go
    CGO_ENABLED=1 GOARCH=arm64 CC=aarch64-linux-gnu-gcc go test -c -o "$work/larder.test" .
    qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/larder.test" -test.timeout 10m
    cd ..
    echo "emulated: linux/arm64, glibc: C programs and all tests of the Go package, in one process"
else
    echo "emulated: glibc is skipped, there is no aarch64-linux-gnu-gcc"
fi
size=$(sed -n 's/^struct larder_options //p' tests/c/abi.txt)
OPTIONS_SIZE=$size rustc --edition 2024 -O --target aarch64-unknown-linux-musl -C linker=rust-lld \
    -C target-feature=+crt-static -L go/lib/linux_arm64_musl tests/c/beside/entries.rs -o "$work/entries"
qemu-aarch64 "$work/entries"
echo "emulated: linux/arm64, musl: a static program"
