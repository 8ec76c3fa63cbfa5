#!/usr/bin/env bash
# A value that is too large to be stored leaves the key's OLD value to be served, in fastcache
# without any word, in theine behind a false that reads like "not now".
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/VictoriaMetrics/fastcache@v1.13.0 \
	github.com/Yiling-J/theine-go@v0.6.3 <<'GO'
package main

import (
	"fmt"

	"github.com/VictoriaMetrics/fastcache"
	"github.com/Yiling-J/theine-go"
)

func main() {
	fast := fastcache.New(32 << 20)
	fast.Set([]byte("k"), []byte("old"))
	fast.Set([]byte("k"), make([]byte, 70_000))
	fmt.Printf("fastcache %q; ", fast.Get(nil, []byte("k")))

	tiny, err := theine.NewBuilder[string, string](100).Build()
	if err != nil {
		panic(err)
	}
	defer tiny.Close()
	tiny.Set("k", "old", 1)
	stored := tiny.Set("k", "new", 1000)
	value, _ := tiny.Get("k")
	fmt.Printf("theine %v %q\n", stored, value)
}
GO
)
report 'VictoriaMetrics/fastcache v1.13.0, Yiling-J/theine-go v0.6.3' \
	'the old value gone (or an error): the caller has just said that it is out of date' \
	'fastcache "old"; theine false "old"' "$now"
