package larder

import (
	"bytes"
	"math"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Reading with more to learn than the value.

// State is how good an entry is.
type State uint64

const (
	// Fresh entries are as they should be.
	Fresh State = 0
	// Stale entries have passed SetOptions.StaleAfter, or were marked as stale, and
	// somebody has the lease to refresh them.
	Stale State = 1
	// Refresh is stale, and the lease is the caller's: nobody else gets it in the next
	// ten seconds, unless the entry is stored anew.
	Refresh State = 2
	// Absent entries say that there is no value: a loader found that out. Get misses
	// them.
	Absent State = 3
)

func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case Refresh:
		return "refresh"
	case Absent:
		return "absent"
	}
	return "unknown"
}

// Info is what is known about an entry beside its value.
type Info struct {
	// Version is the number of this value, of this key: GetVersion tells it, for
	// CompareAndSwap. 0 if it was not asked for.
	Version uint64

	// TTL is the time that is left, in steps of a millisecond; negative (NoExpiry) if the
	// entry doesn't expire.
	TTL time.Duration

	// State is how good the entry is.
	State State
}

// GetWith is Get that tells how good the entry is and how long it has to live. For an
// entry that is Absent it returns dst as it was, and true. With lease, it takes the lease
// of a stale entry that nobody has: State is Refresh then, and the caller should store a
// new value. Without, a stale entry is Stale. It costs a call through cgo.
func (c *Cache) GetWith(dst, key []byte, lease bool) ([]byte, Info, bool) {
	var flags uint64
	if lease {
		flags = capi.GetLease
	}
	return c.getWith(dst, key, flags)
}

// GetVersion is Get that tells the version of the value, for CompareAndSwap. An Absent
// entry is a miss. It costs a call through cgo, and for the first time 8 bytes with the
// entry.
func (c *Cache) GetVersion(dst, key []byte) (value []byte, version uint64, ok bool) {
	value, info, ok := c.getWith(dst, key, capi.GetVersion)
	if !ok || info.State == Absent {
		return dst, 0, false
	}
	return value, info.Version, true
}

func (c *Cache) getWith(dst, key []byte, flags uint64) ([]byte, Info, bool) {
	if overlaps(dst, key) {
		key = bytes.Clone(key)
	}
	a := c.long(key)
	a.Flags = flags
	free := dst[len(dst):cap(dst)]
	a.Buf, a.BufLen = unsafe.SliceData(free), uintptr(len(free))
	st := a.GetWith()
	for st == capi.StatusBufferTooSmall {
		dst = slices.Grow(dst, int(a.OutLen))
		free = dst[len(dst):cap(dst)]
		a.Buf, a.BufLen = unsafe.SliceData(free), uintptr(len(free))
		st = a.GetWith()
	}
	runtime.KeepAlive(c)
	if st != capi.StatusOK {
		return dst, Info{}, false
	}
	raceWrite(a.Buf, int(a.OutLen))
	return dst[:len(dst)+int(a.OutLen)], infoOf(&a), true
}

// info is Info without the value. It is no read.
func (c *Cache) info(key []byte) (Info, bool) {
	a := c.long(key)
	a.Flags = capi.GetQuiet
	st := a.GetWith()
	runtime.KeepAlive(c)
	return infoOf(&a), st == capi.StatusOK || st == capi.StatusBufferTooSmall
}

// info is what getWith reported.
func infoOf(a *longCall) Info {
	info := Info{Version: a.Out, TTL: NoExpiry, State: State(a.State)}
	if a.TTLMS <= math.MaxInt64/uint64(time.Millisecond) {
		info.TTL = time.Duration(a.TTLMS) * time.Millisecond
	}
	return info
}

// lookup is get for Load: it tells the state as well, takes a free lease, and finds
// absent entries. It goes through the fast path.
func (c *Cache) lookup(dst []byte, key *byte, keyLen int) ([]byte, State, bool) {
	var a call
	a.Cache = c.handle
	a.Key, a.KeyLen = key, uintptr(keyLen)
	a.Flags = capi.FlagState
	a.Buf, a.BufLen = room(dst)
	dst, state, ok := c.insist(a, dst, knock(&a))
	runtime.KeepAlive(c)
	return dst, state, ok
}
