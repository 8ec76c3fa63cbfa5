#!/usr/bin/env bash
# Append to an entry past its life joins the new bytes to the dead ones, and all of it is alive
# again.
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
	config := bigcache.DefaultConfig(time.Second)
	config.Shards, config.CleanWindow, config.Verbose = 1, 0, false
	cache, err := bigcache.New(context.Background(), config)
	if err != nil {
		panic(err)
	}
	_ = cache.Append("log", []byte("yesterday "))
	info := bigcache.Response{}
	for info.EntryStatus != bigcache.Expired {
		time.Sleep(100 * time.Millisecond)
		_, info, _ = cache.GetWithInfo("log")
	}
	_ = cache.Append("log", []byte("today"))
	value, info, _ := cache.GetWithInfo("log")
	fmt.Printf("%q, expired: %v\n", value, info.EntryStatus == bigcache.Expired)
}
GO
)
report 'allegro/bigcache/v3 v3.1.0' \
	'"today": what has expired is absent, and appending to an absent key begins anew' \
	'"yesterday today", expired: false' "$now"
