#!/usr/bin/env bash
# version.sh V: makes V the version of the crate, and what the Go modules of this repository require of one another.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:-}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "version.sh: a version such as 1.2.3, not \"$version\"" >&2; exit 1; }
sed -i "0,/^version = .*/s//version = \"$version\"/" Cargo.toml
cargo update --quiet --offline --workspace
for mod in $(git ls-files '*go.mod'); do
    sed -i "s|\(github.com/larder-cache/larder/go[a-z/]*\) v[0-9][^ ]*|\1 v$version|" "$mod"
done
