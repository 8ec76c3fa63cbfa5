// Package tiered is a cache of two tiers: larder in the process, and before the origin a
// Valkey, a Redis or a larder-server that many processes have in common. It loads as
// larder.Cache.Load does, but once for the whole fleet.
//
//	server := fleetgoredis.New(&redis.Options{Addr: "valkey:6379"})
//	near, err := larder.New(larder.Options{MaxBytes: 256 << 20})
//	...
//	cache, err := tiered.New(near, server, tiered.Options{Fleet: fleet.Options{Name: "shop"}})
//	...
//	value, err := cache.Load(ctx, nil, []byte("soup"), loader)
//
// # What it promises
//
// One loader runs for a key in the whole fleet at a time. If the process that runs it dies, the
// next that wants the key begins one when the lease is over, Options.Lease later. A loader that
// comes back later than that, or that a Set, Delete or InvalidateTag anywhere has overtaken,
// stores nothing.
//
// What Load returns was, at a moment of the call, not known to be invalid to a process that
// had asked the server at most MaxStaleness ago: so after Set, Delete, InvalidateTag or
// InvalidateAll has returned in any process, no process serves what was before for longer
// than MaxStaleness, come what may, and as a rule for no longer than a millisecond; with
// Options.Strict no longer at all.
//
// When the server is gone, each process loads by itself, at most Options.MaxLoads at once, and
// keeps what it loads for MaxStaleness. docs/fleet.md has all of it in detail.
//
// # What it doesn't promise
//
// The server may evict and lose anything at any time; that costs loads and no more. A change
// of the origin that nobody tells of is seen when times to live say so, as with every cache.
// Two calls of Set for one key at the same time leave one of the two values.
package tiered
