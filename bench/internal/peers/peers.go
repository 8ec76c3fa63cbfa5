// Package peers puts larder and the other Go caches behind one interface: byte keys to byte values, copied in and
// copied out, as a service uses a cache. One file a cache; each is configured as its documentation recommends for the
// capacity asked for, and nothing else.
package peers

import (
	"fmt"
	"time"
	"unsafe"
)

// Cache is what every cache can do.
type Cache interface {
	// Get appends the value of key to dst.
	Get(dst, key []byte) ([]byte, bool)
	// Set stores a copy of key and value, and tells whether the cache took it. Both slices are the caller's again
	// when it returns.
	Set(key, value []byte) bool
	Close()
}

// Waiter is a cache that works on sets after Set returned.
type Waiter interface {
	// Wait returns when the sets made so far have been decided on.
	Wait()
}

// ManyGetter is a cache that looks up many keys at once.
type ManyGetter interface {
	// NewBatch makes what one goroutine needs for it.
	NewBatch() Batch
}

// Batch is keys looked up together, and their values. It belongs to one goroutine.
type Batch interface {
	// Get looks up the keys.
	Get(keys [][]byte)
	// Value is the value of key i, valid until the next Get.
	Value(i int) ([]byte, bool)
}

// AsyncSetter is a cache that decides on a new key after Set returned: it must be waited for before the key is read.
type AsyncSetter interface {
	SetsLater() bool
}

// TTLSetter is a cache with a lifetime per entry.
type TTLSetter interface {
	SetTTL(key, value []byte, ttl time.Duration) bool
}

// Deleter is a cache that can delete.
type Deleter interface {
	Delete(key []byte)
}

// Config is the capacity that is asked of a cache. Exactly one of Entries and Bytes is set.
type Config struct {
	// Entries is the capacity in entries. Caches bounded by bytes get Entries x (EntrySize + Overhead) bytes.
	Entries int
	// EntrySize is the mean size of key and value, in bytes.
	EntrySize int
	// Bytes is the capacity in bytes. Caches bounded by entries weigh an entry by its key and value; those that
	// can't weigh are left out.
	Bytes int64
	// ExactEntries asks larder to bound the number of entries (MaxEntries) instead of the bytes.
	ExactEntries bool
	// Policy is larder's policy: "", "lru", "s3fifo" or another that its package names.
	Policy string
	// Synchronous asks for maintenance inside the call where the cache offers the choice, so that a replayed trace
	// gives the same result each time.
	Synchronous bool
	// LargeValues says that values of 64 KiB and more occur.
	LargeValues bool
	// TTL says that SetTTL will be called; some caches must know beforehand.
	TTL bool
}

// Overhead is what a cache bounded by bytes is granted for an entry over its key and value, in bytes.
const Overhead = 32

func (c Config) bytes() int64 {
	if c.Bytes > 0 {
		return c.Bytes
	}
	return int64(c.Entries) * int64(c.EntrySize+Overhead)
}

// Bound says by what a cache limits itself.
type Bound int

const (
	ByEntries Bound = iota
	ByBytes
	Unbounded // not a cache, but a reference: it never evicts
)

// Peer is one cache that can be made.
type Peer struct {
	Name  string
	Bound Bound
	// Weighs: bounded by entries, but also by bytes if asked.
	Weighs bool
	// Admits: a new entry may be refused, or be evicted before older ones, because it isn't popular enough.
	Admits bool
	New    func(Config) (Cache, error)
}

// All is every cache, larder first.
var All = []Peer{
	{Name: "larder", Bound: ByBytes, Weighs: true, New: newLarder},
	{Name: "otter", Bound: ByEntries, Weighs: true, Admits: true, New: newOtter},
	{Name: "ristretto", Bound: ByEntries, Weighs: true, Admits: true, New: newRistretto},
	{Name: "theine", Bound: ByEntries, Weighs: true, Admits: true, New: newTheine},
	{Name: "golang-lru", Bound: ByEntries, New: newGolangLRU},
	{Name: "golang-lru-2q", Bound: ByEntries, New: newGolangLRU2Q},
	{Name: "ttlcache", Bound: ByEntries, New: newTTLCache},
	{Name: "fastcache", Bound: ByBytes, Weighs: true, New: newFastcache},
	{Name: "freecache", Bound: ByBytes, Weighs: true, New: newFreecache},
	{Name: "bigcache", Bound: ByBytes, Weighs: true, New: newBigcache},
	{Name: "map", Bound: Unbounded, New: newMap},
}

// byEntries is larder bounded by MaxEntries: found by its name, and not among All, since elsewhere it is the same cache.
var byEntries = Peer{Name: "larder-entries", Bound: ByEntries, New: func(c Config) (Cache, error) {
	c.ExactEntries = true
	return newLarder(c)
}}

// Find returns the cache of that name, "larder-entries" among them.
func Find(name string) (Peer, error) {
	if name == byEntries.Name {
		return byEntries, nil
	}
	for _, p := range All {
		if p.Name == name {
			return p, nil
		}
	}
	return Peer{}, fmt.Errorf("no cache is called %q", name)
}

// Names is the names of All.
func Names() []string {
	var names []string
	for _, p := range All {
		names = append(names, p.Name)
	}
	return names
}

// view makes a string of b without copying, for lookups only: the string must not outlive the call.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// clone copies a value for a cache that keeps what it is given.
func clone(b []byte) []byte {
	c := make([]byte, len(b))
	copy(c, b)
	return c
}

// weight is an entry's size for caches that weigh.
func weight(key string, value []byte) int { return len(key) + len(value) }
