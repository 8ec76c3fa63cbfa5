#!/usr/bin/env bash
# archives.sh table PLATFORM...: writes go/lib/README.md, which says of each archive how it was built.
# archives.sh check PLATFORM...: fails when an archive is another than its archive.go says, or older than the sources.
set -euo pipefail

constant() { sed -n "s/^const $2 = \"\(.*\)\"/\1/p" "go/lib/$1/archive.go"; }

table() {
    cat <<'MD'
# The archives

One for each platform, written by `make archives`: the core, as the Go package links it. `make lib-check` says whether
they are what the sources build. Each is one object, of whose functions only larder_* are global; in those for Linux
they are hidden from the dynamic symbols of what it is linked into.

MD
    echo "Built by $(rustc --version) with its linker; the sources are $(scripts/sources.sh)."
    printf '\n| platform | Rust target | bytes | SHA-256 |\n| --- | --- | ---: | --- |\n'
    for platform in "$@"; do
        echo "| $platform | $(make -s --no-print-directory triple PLATFORM="$platform") |" \
            "$(wc -c < "go/lib/$platform/liblarder.a") | $(constant "$platform" Archive) |"
    done
}

check() {
    sources=$(scripts/sources.sh)
    status=0
    for platform in "$@"; do
        archive=go/lib/$platform/liblarder.a
        if ! [ -f "$archive" ]; then
            echo "$archive is missing: make archives"
            status=1
        elif [ "$(sha256sum < "$archive" | cut -d ' ' -f 1)" != "$(constant "$platform" Archive)" ]; then
            echo "$archive is not what archive.go beside it says"
            status=1
        elif [ "$(constant "$platform" Sources)" != "$sources" ]; then
            echo "$archive is behind the sources: make archives"
            status=1
        fi
    done
    return $status
}

"$@"
