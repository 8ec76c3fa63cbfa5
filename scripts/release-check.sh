#!/usr/bin/env bash
# release-check.sh: takes the Go modules as a user would. Their zips are served from a folder; programs in empty folders,
# with no Rust in sight, get them, are built in every way that is promised, and run. What the machine hasn't the tools
# for is told. TOOLCHAINS= names Go versions to build with beside the one that is there.
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/larder-cache/larder/go
version=v$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

(cd tools && go run ./modproxy "$work/proxy" "$version" "$module=../go" \
    "$module/prometheus=../go/prometheus" "$module/otel=../go/otel" \
    "$module/redis=../go/redis")

# What others' modules were downloaded before needn't be again.
export GOPROXY="file://$work/proxy,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)"
export GONOSUMDB=$module GOMODCACHE=$work/modules GOFLAGS=
GOROOT=$(go env GOROOT)
PATH=$GOROOT/bin:/usr/bin:/bin
if command -v cargo > /dev/null; then echo "release-check.sh: cargo is in $PATH" >&2; exit 1; fi

program() {
    cat << GO
package main

import (
	"fmt"
	"os"
	"time"

	larder "$module"
$1
)

func main() {
	cache, err := larder.New(larder.Options{MaxBytes: 8 << 20, DefaultTTL: time.Hour})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer cache.Close()
	for i := range 50_000 {
		key := fmt.Appendf(nil, "key %d", i)
		if err := cache.Set(key, key); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if value, ok := cache.Get(nil, key); !ok || string(value) != string(key) {
			fmt.Printf("%q: %q %v\n", key, value, ok)
			os.Exit(1)
		}
	}
$2
	fmt.Println("well:", larder.Build().FastDoor)
}
GO
}

# consumer NAME IMPORTS WORDS MODULES...: a program in a folder of its own, which gets MODULES.
consumer() {
    mkdir "$work/$1" && cd "$work/$1"
    program "$2" "$3" > main.go
    go mod init "example.org/$1" > /dev/null 2>&1
    go get "${@:4}" > get.txt 2>&1 || { cat get.txt; exit 1; }
    go mod tidy > get.txt 2>&1 || { cat get.txt; exit 1; }
}

# ran WHAT COMMAND...: runs what `go build -o program` left.
ran() {
    local said
    said=$("${@:2}" ./program) || { echo "release-check: $1: $said"; exit 1; }
    case $said in
    "well: "*) echo "release-check: $1: builds and runs (calls on the goroutine's stack: ${said#well: })" ;;
    *) echo "release-check: $1: said $said"; exit 1 ;;
    esac
    rm program
}

consumer plain "" "" "$module@$version"
go build -o program . && ran plain
go build -race -o program . && ran race
go build -buildmode=pie -o program . && ran pie
go build -ldflags '-linkmode=external -extldflags=-static' -o program . && ran "static, glibc"
if command -v musl-gcc > /dev/null; then
    CC=musl-gcc go build -tags musl -ldflags '-linkmode=external -extldflags=-static' -o program . && ran "static, musl"
else
    echo "release-check: static, musl: skipped, there is no musl-gcc"
fi
if command -v aarch64-linux-gnu-gcc > /dev/null && command -v qemu-aarch64 > /dev/null; then
    CC=aarch64-linux-gnu-gcc CGO_ENABLED=1 GOARCH=arm64 go build -o program . &&
        ran "arm64, emulated" qemu-aarch64 -L /usr/aarch64-linux-gnu
else
    echo "release-check: arm64: skipped, there is no cross compiler or emulator"
fi
if CGO_ENABLED=0 go build -o program . 2> refused.txt; then
    ran "without cgo"
elif grep -q package_larder_needs_cgo refused.txt; then
    echo "release-check: without cgo: refused, in words"
else
    cat refused.txt; exit 1
fi
go mod vendor && go build -mod=vendor -o program . && ran vendored
for toolchain in ${TOOLCHAINS:-}; do
    rm -rf vendor
    GOTOOLCHAIN=$toolchain go mod edit -go="$(sed -n 's/^go //p' "$GOMODCACHE/$module@$version/go.mod")" -toolchain=none
    GOTOOLCHAIN=$toolchain go build -o program . && ran "$toolchain"
done

consumer prometheus "	lp \"$module/prometheus\"" "	_ = lp.NewCollector(cache)" \
    "$module@$version" "$module/prometheus@$version"
go build -o program . && ran prometheus
consumer otel "	_ \"$module/otel\"" "" "$module@$version" "$module/otel@$version"
go build -o program . && ran otel
consumer redis "	_ \"$module/redis/goredisx\"
	_ \"$module/redis/rueidisx\"
	_ \"$module/redis/valkeyx\"" "" "$module@$version" "$module/redis@$version"
go build -o program . && ran redis
