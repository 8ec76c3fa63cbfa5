#!/usr/bin/env bash
# Overwriting one key of 1 KB pushes all the others out of a cache that is nine tenths empty.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/allegro/bigcache/v3@v3.1.0 <<'GO'
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/allegro/bigcache/v3"
)

func main() {
	config := bigcache.DefaultConfig(time.Hour)
	config.Shards, config.HardMaxCacheSize, config.Verbose = 1, 1, false
	cache, err := bigcache.New(context.Background(), config)
	if err != nil {
		panic(err)
	}
	for i := range 100 {
		_ = cache.Set(fmt.Sprint("other", i), make([]byte, 100))
	}
	for range 3000 {
		_ = cache.Set("counter", make([]byte, 1000))
	}
	left := 0
	for i := range 100 {
		if _, err := cache.Get(fmt.Sprint("other", i)); err == nil {
			left++
		}
	}
	fmt.Println(left, "of 100 other keys left")
}
GO
)
report 'allegro/bigcache/v3 v3.1.0' \
	'100 of 100: 11 KB are alive in a megabyte, and an overwritten value makes room for the next' \
	'0 of 100 other keys left' "$now"
