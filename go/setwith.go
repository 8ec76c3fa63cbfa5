package larder

import (
	"runtime"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Storing with more to say than a time to live. All of it goes with the entry: it costs
// 8 to 24 bytes in the cache for an entry that uses any of it, and nothing for others.

// NoExpiry as a time to live means that the entry doesn't expire; as SetOptions.StaleAfter,
// that it doesn't become stale. Zero is the cache's default, everywhere, and any other
// negative duration is an error.
const NoExpiry time.Duration = -1

// What the core takes: so many tags for one entry, and keys (and tags) of so many bytes.
const (
	maxTags = 64
	maxKey  = 64 << 10
)

// SetOptions say more about an entry that is stored. The zero value says nothing: such an
// entry is as Set stores it.
type SetOptions struct {
	// TTL is the entry's time to live, rounded up to a whole millisecond. 0: the cache's
	// Options.DefaultTTL (for what a loader calls Absent, Options.AbsentTTL). NoExpiry: it
	// doesn't expire. Any other negative value is ErrInvalidTTL.
	TTL time.Duration

	// StaleAfter is the time after which the entry is stale: reads return it still, until
	// TTL has passed, but GetWith says so, and Load refreshes it. 0: the cache's
	// Options.DefaultStaleAfter. NoExpiry: it is fresh until it expires. Any other negative
	// value is ErrInvalidTTL, and one longer than the time to live ErrStaleBeyondTTL.
	StaleAfter time.Duration

	// Sliding puts the deadline off at each read, to TTL from then. StaleAfter doesn't
	// move.
	Sliding bool

	// Tags name groups that the entry is in, for InvalidateTag. At most 64, else
	// ErrTooManyTags, of at most 64 KiB each, else ErrKeyTooLarge. They are copied.
	Tags []string
}

// tagRoom is where tags are packed: on the stack of the caller, if they are few and short.
type tagRoom struct {
	ends  [maxTags]uint32
	bytes [192]byte
}

// pack is o as the core takes it, with its tags in room if they fit. It returns what it
// makes, rather than writing it somewhere, so that the compiler sees that room doesn't
// escape.
func (c *Cache) pack(o *SetOptions, room *tagRoom) (entryOptions, error) {
	var e entryOptions
	e.StructSize = unsafe.Sizeof(e)
	var err error
	if e.StaleMS, err = c.staleMillis(o); err != nil {
		return e, err
	}
	if len(o.Tags) > maxTags {
		return e, ErrTooManyTags
	}
	if o.TTL != 0 {
		e.Flags |= capi.OptionTTL
		e.TTLMS = millis(max(o.TTL, 0))
	}
	if o.Sliding {
		e.Flags |= capi.OptionSliding
	}
	if len(o.Tags) > 0 {
		packed := room.bytes[:0]
		for i, tag := range o.Tags {
			if len(tag) > maxKey {
				return e, ErrKeyTooLarge
			}
			packed = append(packed, tag...)
			room.ends[i] = uint32(len(packed))
		}
		e.Tags, e.TagEnds, e.TagCount = unsafe.SliceData(packed), &room.ends[0], uintptr(len(o.Tags))
	}
	return e, nil
}

// staleMillis is the time after which an entry is stale, 0 for never, and the check of the
// durations.
func (c *Cache) staleMillis(o *SetOptions) (uint64, error) {
	if o.TTL < NoExpiry || o.StaleAfter < NoExpiry {
		return 0, ErrInvalidTTL
	}
	ttl := o.TTL
	if ttl == 0 {
		ttl = c.defaultTTL
	}
	switch {
	case o.StaleAfter > 0 && ttl > 0 && o.StaleAfter > ttl:
		return 0, ErrStaleBeyondTTL
	case o.StaleAfter > 0:
		return millis(o.StaleAfter), nil
	case o.StaleAfter == 0 && (ttl <= 0 || c.staleAfter < ttl):
		return millis(c.staleAfter), nil
	}
	return 0, nil // a default beyond this entry's own end is none
}

// SetWith is Set with more to say about the entry. It costs a call through cgo, unless it is
// no more than a time to live; and allocates nothing, unless its tags together are longer
// than 192 bytes. Errors are those of Set, ErrInvalidTTL, ErrStaleBeyondTTL and
// ErrTooManyTags.
func (c *Cache) SetWith(key, value []byte, o SetOptions) error {
	if o.StaleAfter == 0 && c.staleAfter == 0 && !o.Sliding && len(o.Tags) == 0 {
		return c.SetTTL(key, value, o.TTL)
	}
	var room tagRoom
	e, err := c.pack(&o, &room)
	if err != nil {
		return err
	}
	var a call
	a.Cache = c.through()
	a.Key, a.KeyLen = unsafe.SliceData(key), uintptr(len(key))
	a.Buf, a.BufLen = unsafe.SliceData(value), uintptr(len(value))
	a.Options = &e
	raceRead(a.Key, len(key))
	raceRead(a.Buf, len(value))
	st := a.SlowSet()
	runtime.KeepAlive(c)
	if st == capi.StatusOK {
		return nil
	}
	return c.refused(st)
}

// InvalidateTag makes all entries with this tag, of those that are stored when it is
// called, as good as deleted: no read finds them from the time it returns. A Load that
// runs meanwhile doesn't store a value with that tag for later reads. It costs the same
// however many entries there are; their memory comes back as they are met. Errors:
// ErrKeyTooLarge for a tag longer than 64 KiB, ErrNoMemory, ErrClosed.
func (c *Cache) InvalidateTag(tag string) error { return c.invalidateTag(tag, 0) }

// InvalidateTagSoft makes these entries stale rather than gone: Load returns them, and
// refreshes them.
func (c *Cache) InvalidateTagSoft(tag string) error { return c.invalidateTag(tag, 1) }

func (c *Cache) invalidateTag(tag string, soft uint64) error {
	if len(tag) > maxKey {
		return ErrKeyTooLarge
	}
	var a longCall
	a.Cache = c.through()
	a.Key, a.KeyLen = unsafe.StringData(tag), uintptr(len(tag))
	a.Flags = soft
	st := a.InvalidateTag()
	runtime.KeepAlive(c)
	return errOf(st)
}
