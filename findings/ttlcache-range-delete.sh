#!/usr/bin/env bash
# Deleting the visited item inside Range ends the walk after it.
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
	cache := ttlcache.New[int, string]()
	for i := range 10 {
		cache.Set(i, "value", time.Hour)
	}
	visited := 0
	cache.Range(func(item *ttlcache.Item[int, string]) bool {
		visited++
		cache.Delete(item.Key())
		return true
	})
	fmt.Println("visited", visited, "of 10, left", cache.Len())
}
GO
)
report 'jellydator/ttlcache/v3 v3.4.1' \
	'visited 10 of 10, left 0: no lock is held while the function runs, so that it may use the cache' \
	'visited 1 of 10, left 9' "$now"
