#!/usr/bin/env bash
# A deadline that has passed gives a time to live below zero. Set so over a key that is there, none
# of five caches drops it: ristretto serves the OLD value, the others the new one as if for ever.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/coocood/freecache@v1.2.7 github.com/dgraph-io/ristretto/v2@v2.4.2 \
	github.com/Yiling-J/theine-go@v0.6.3 github.com/jellydator/ttlcache/v3@v3.4.1 \
	github.com/maypok86/otter/v2@v2.4.0 <<'GO'
package main

import (
	"fmt"
	"time"

	"github.com/Yiling-J/theine-go"
	"github.com/coocood/freecache"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/jellydator/ttlcache/v3"
	"github.com/maypok86/otter/v2"
)

func main() {
	const over = -time.Hour
	free := freecache.NewCache(512 << 10)
	_ = free.Set([]byte("k"), []byte("new"), int(over.Seconds()))
	value, _ := free.Get([]byte("k"))
	fmt.Printf("freecache %q, ", value)

	rist, _ := ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 1000, MaxCost: 1000, BufferItems: 64})
	rist.Set("k", "old", 1)
	rist.Wait()
	rist.SetWithTTL("k", "new", 1, over)
	rist.Wait()
	got, _ := rist.Get("k")
	fmt.Printf("ristretto %q, ", got)

	tiny, _ := theine.NewBuilder[string, string](100).Build()
	tiny.Set("k", "old", 1)
	tiny.SetWithTTL("k", "new", 1, over)
	got, _ = tiny.Get("k")
	fmt.Printf("theine %q, ", got)

	ttl := ttlcache.New[string, string]()
	ttl.Set("k", "new", over)
	fmt.Printf("ttlcache %q, ", ttl.Get("k").Value())

	ott := otter.Must(&otter.Options[string, string]{MaximumSize: 100,
		ExpiryCalculator: otter.ExpiryWriting[string, string](time.Hour)})
	ott.Set("k", "new")
	ott.SetExpiresAfter("k", over)
	got, _ = ott.GetIfPresent("k")
	fmt.Printf("otter %q\n", got)
}
GO
)
report 'freecache v1.2.7, ristretto v2.4.2, theine-go v0.6.3, ttlcache v3.4.1, otter v2.4.0' \
	'nothing served, or an error: the deadline is behind us' \
	'freecache "new", ristretto "old", theine "new", ttlcache "new", otter "new"' "$now"
