#!/usr/bin/env bash
# The item that Get or Set gave changes in the caller's hand when the key is set again.
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
	cache := ttlcache.New[string, string]()
	cache.Set("k", "before", time.Hour)
	held := cache.Get("k")
	cache.Set("k", "after", time.Hour)
	fmt.Println("held:", held.Value())
	cache.Delete("k")
	cache.Set("k", "last", time.Hour)
	fmt.Println("held after a delete:", held.Value())
}
GO
)
report 'jellydator/ttlcache/v3 v3.4.1' \
	'before: what a get returned is what was there then (docs: the new item overwrites the old)' \
	$'held: after\nheld after a delete: after' "$now"
