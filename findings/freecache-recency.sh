#!/usr/bin/env bash
# A key read after every single set is evicted all the same: recency is kept in whole seconds.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/coocood/freecache@v1.2.7 <<'GO'
package main

import (
	"fmt"

	"github.com/coocood/freecache"
)

// One second for the whole run, as in any short burst.
type second struct{}

func (second) Now() uint32 { return 1_000_000 }

func main() {
	cache := freecache.NewCacheCustomTimer(512<<10, second{})
	hot := []byte("hot")
	_ = cache.Set(hot, []byte("value"), 0)
	for i := range 100_000 {
		if _, err := cache.Get(hot); err != nil {
			fmt.Println("lost, with a read between any two sets; cache at its budget:", i > 5000)
			return
		}
		_ = cache.Set([]byte(fmt.Sprint(i)), []byte("read by nobody"), 0)
	}
	fmt.Println("kept")
}
GO
)
report 'coocood/freecache v1.2.7' \
	'kept: the least recently used go first, and the hot key is always the most recent' \
	'lost, with a read between any two sets; cache at its budget: true' "$now"
