#!/usr/bin/env bash
# smoke.sh MODULE: a program in an empty folder that uses the Go package as somebody else's would, with the archive that lies
# in MODULE (this repository's go/). Exits with 1 if it doesn't build, link and answer.
set -euo pipefail

module=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > go.mod << EOF
module smoke

go $(sed -n 's/^go //p' "$module/go.mod")

require github.com/larder-cache/larder/go v0.0.0

replace github.com/larder-cache/larder/go => $module
EOF
cat > main.go << 'EOF'
package main

import (
	"fmt"
	"os"

	larder "github.com/larder-cache/larder/go"
)

func main() {
	cache, err := larder.New(larder.Options{MaxBytes: 1 << 20})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer cache.Close()
	if err := cache.Set([]byte("key"), []byte("value")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	value, ok := cache.Get(nil, []byte("key"))
	fmt.Printf("%s %v\n", value, ok)
}
EOF
said=$(GOFLAGS=-mod=mod go run .)
[ "$said" = "value true" ] || { echo "smoke.sh: the program said: $said"; exit 1; }
echo "smoke: a program elsewhere builds, links and gets what it set"
