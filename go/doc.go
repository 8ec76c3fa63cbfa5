// Package larder is an in-process cache of bytes: byte keys to byte values, in
// memory that the garbage collector never sees, inside one budget of bytes that
// holds for keys, values and all bookkeeping together.
//
//	cache, err := larder.New(larder.Options{MaxBytes: 256 << 20, DefaultTTL: time.Minute})
//	if err != nil {
//		return err
//	}
//	defer cache.Close()
//
//	err = cache.Set([]byte("soup"), []byte("tomato"))
//	value, ok := cache.Get(nil, []byte("soup"))
//
// # What it promises
//
// A value that was set is seen by every Get that starts after Set returned, until
// it is overwritten, deleted, evicted or expired; a Set that can't be carried out
// returns an error and leaves the old value in place. Nothing expired is ever
// returned: a deadline is kept to a step of the kernel's coarse clock, 1 to 4 ms.
// Keys are compared whole, and hashed with a seed that differs from cache to cache.
//
// Any entry may be evicted at any time: nothing that exists only in a cache is safe.
//
// # Loading
//
// [Cache.Load] gets what the cache doesn't have from a loader: once, however many callers
// want it, and without ever storing over what was set or deleted meanwhile. It keeps
// the news that a value doesn't exist, returns stale values while they are refreshed in the
// background, or for as long as the loader fails. A load goes on when those who wait for it
// have left, for a while, so that impatient callers find its value. [Cache.LoadMany] does so
// for many keys by one call, and [Typed] for values that are not bytes.
//
// [SetOptions] say when an entry is stale, and what tags it has, for
// [Cache.InvalidateTag]. [Cache.Add], [Cache.CompareAndSwap] and [Cache.Increment] change
// an entry depending on what it is.
//
// # Time
//
// Zero as a time to live is the cache's default ([Options.DefaultTTL], of a namespace its own or
// the cache's), [NoExpiry] is never, and any other negative duration is an error: in
// [Cache.SetTTL], [Cache.SetManyTTL], [SetOptions], [Cache.Touch] and options alike. Tests hold
// the clock: see [Clock] and [NewMockClock].
//
// # Limits
//
// Keys have 0 bytes to 64 KiB, values 0 bytes to a quarter of [Options.MaxBytes] (and
// less than 2 GiB). Both are copied in and out: the cache keeps no reference to a
// caller's slice, and a caller may write to any slice it got. [Cache.View] is the exception:
// it shows a large value where it lies.
//
// # Concurrency
//
// Every method of [Cache] may be called from any number of goroutines at once,
// Close included. Reads take no lock. Writes of one key are seen in one order by
// all goroutines.
//
// # Cost
//
// Below the surface the package is written in Rust. [Cache.Get], [Cache.Set] and
// [Cache.Delete] enter that code on the goroutine's own stack in about 2 ns where
// that is possible (Linux on x86-64), and through cgo in about 30 ns otherwise. [FastDoor]
// tells which, when not, and how to switch it off. A hit of [Cache.Load], and a
// [Cache.SetWith] with no more than a time to live, go that way too. Everything else goes
// through cgo. Nothing is allocated on the Go heap, but for the
// growth of the slice that a Get appends to, and for loads. [Batch] gets, sets or deletes
// many keys at once, for less.
//
// The package needs cgo, and the library that make lib puts under lib/.
package larder
