#!/usr/bin/env bash
# DeleteAll empties the cache and keeps its cost: what comes after has less room, for good.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/jellydator/ttlcache/v3@v3.4.1 <<'GO'
package main

import (
	"fmt"
	"time"

	"github.com/jellydator/ttlcache/v3"
)

func main() {
	one := func(ttlcache.CostItem[int, string]) uint64 { return 1 }
	cache := ttlcache.New(ttlcache.WithMaxCost(10, one))
	for i := range 6 {
		cache.Set(i, "value", time.Hour)
	}
	before := cache.Len()
	cache.DeleteAll()
	for i := range 6 {
		cache.Set(i, "value", time.Hour)
	}
	fmt.Println(before, "of 6 stored, after DeleteAll", cache.Len())
}
GO
)
report 'jellydator/ttlcache/v3 v3.4.1' '6 of 6 both times: the maximum is 10' \
	'6 of 6 stored, after DeleteAll 4' "$now"
