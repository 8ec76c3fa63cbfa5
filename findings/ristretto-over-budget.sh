#!/usr/bin/env bash
# A value that costs ten times the whole budget is refused for a new key, and taken for an old one.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/dgraph-io/ristretto/v2@v2.4.2 <<'GO'
package main

import (
	"fmt"

	"github.com/dgraph-io/ristretto/v2"
)

func main() {
	cache, err := ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 1000, MaxCost: 100, BufferItems: 64, IgnoreInternalCost: true})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	cache.Set("new key", "huge", 1000)
	cache.Wait()
	_, first := cache.Get("new key")
	cache.Set("old key", "small", 1)
	cache.Wait()
	cache.Set("old key", "huge", 1000)
	cache.Wait()
	value, _ := cache.Get("old key")
	fmt.Println("new key stored:", first, "old key:", value, "room left:", cache.RemainingCost())
}
GO
)
report 'dgraph-io/ristretto/v2 v2.4.2' \
	'both refused: what costs more than the maximum has no place, and room left is never below 0' \
	'new key stored: false old key: huge room left: -900' "$now"
