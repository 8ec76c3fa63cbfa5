#!/usr/bin/env bash
# sources.sh: the SHA-256 of all that an archive is built from.
set -euo pipefail
cd "$(dirname "$0")/.."
{
    find src include -type f
    printf '%s\n' Cargo.toml Cargo.lock build.rs rust-toolchain.toml scripts/archive.sh scripts/ar.rs
} | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d ' ' -f 1
