package larder

import (
	"fmt"
	"time"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Options say how a cache is to be. MaxBytes is required; the zero value of every other
// field is a good choice.
type Options struct {
	// MaxBytes is the budget, in bytes, for everything the cache keeps: keys, values,
	// some 30 bytes of header and index for an entry, and space between entries. It is
	// never exceeded. 256 KiB is the least, 256 GiB the most. The memory is taken from
	// the system as it is needed.
	MaxBytes int64

	// MaxEntries bounds the number of entries as well. 0: only MaxBytes does.
	MaxEntries int64

	// DefaultTTL is the time to live of entries stored without one of their own, rounded up
	// to whole milliseconds. 0 and NoExpiry: they don't expire.
	DefaultTTL time.Duration

	// DefaultStaleAfter is SetOptions.StaleAfter of entries stored without one, except those
	// that expire before. It makes every set cost a call through cgo, and 8 bytes with the
	// entry. 0 and NoExpiry: entries are fresh until they expire.
	DefaultStaleAfter time.Duration

	// AbsentTTL is the time to live of the news that a loader has found no value
	// (LoadedValue.Absent), if the loader doesn't say. 0: ten seconds, or DefaultTTL if that is
	// less. NoExpiry: it doesn't expire.
	AbsentTTL time.Duration

	// TTLJitter shortens each time to live by a random part of it, up to this share of
	// the whole, so that what was stored together doesn't expire together. 0: not at
	// all; 0.1: by up to a tenth; 1 is the most.
	TTLJitter float64

	// Sliding lets all times to live begin again at each read. SetOptions.Sliding does
	// so for one entry.
	Sliding bool

	// MaxRefreshes bounds what Load has running at once without anybody who waits for it:
	// refreshes of stale entries, and as many loads again that all their callers have left.
	// Beyond it, Load returns the stale value and starts no refresh, and a load that was left
	// ends. 0: 64.
	MaxRefreshes int

	// LoadTimeout bounds each call of a loader: its context ends then. 0: loaders that
	// somebody waits for have no bound but their callers' patience, refreshes one minute.
	LoadTimeout time.Duration

	// LoadGrace is the time, from its begin, that a load goes on for although nobody waits for
	// it any more: so callers that have less time each than the load takes find its value
	// all the same. (LoadTimeout ends it earlier.) 0: ten seconds.
	LoadGrace time.Duration

	// StaleIfError is the last part of a stale entry's life, before it expires, in which
	// Load returns its value only if the loader fails. See Load. 0: there is none.
	StaleIfError time.Duration

	// OnRefreshError, if not nil, is called when a load in the background has failed: with
	// a *PanicError if its loader panicked. Also when a loader panics that all its callers
	// have left. It runs on the load's goroutine. If it is nil, errors are dropped and
	// panics are logged by package log/slog, and so is a panic of OnRefreshError itself.
	OnRefreshError func(key []byte, err error)

	// Clock is where the cache takes the time from; for tests. nil: the system's clock,
	// CLOCK_MONOTONIC_COARSE, in steps of 1 to 4 milliseconds, which stands still while the
	// system is suspended.
	Clock Clock

	// Policy decides which entries make room for new ones.
	Policy Policy

	// Stripes is the number of parts with a lock of their own for writers, a power of
	// two up to 256. 0: chosen from the number of cores and the budget. It doesn't
	// divide the budget.
	Stripes int

	// EventBytes is memory, in bytes, for events that nobody has taken yet; see
	// [Cache.Events]. It comes out of MaxBytes, of which it may be an eighth, and is
	// divided over the stripes in whole pages of 4 KiB. An event takes 12 bytes and its
	// key; what finds no room is dropped and counted. 0: there are no events, and they
	// cost nothing.
	EventBytes int64

	// Events says which events are wanted: EventEvicted, EventExpired and so on,
	// combined by |. 0, with EventBytes: evicted, expired and rejected, which is what
	// happens without the caller's doing.
	Events EventReason
}

// Policy is an eviction policy.
type Policy uint32

const (
	// DefaultPolicy is the one recommended at present.
	DefaultPolicy Policy = 0
	// LRU evicts what was read or written least recently, nearly: an entry that was
	// read since it was written, or since it last had the choice, goes around once
	// more.
	LRU Policy = 1
	// S3FIFO lets entries pass through a small queue first, so that those that are
	// read only once don't displace those that are read again.
	S3FIFO Policy = 2
	// Cellar is larder's own: two queues that learn, from what was evicted too early,
	// how to share the room.
	Cellar Policy = 3
)

func (p Policy) String() string {
	switch p {
	case DefaultPolicy:
		return "default"
	case LRU:
		return "lru"
	case S3FIFO:
		return "s3fifo"
	case Cellar:
		return "cellar"
	}
	return fmt.Sprintf("Policy(%d)", uint32(p))
}

// defaultAbsentTTL is Options.AbsentTTL if it is 0.
const defaultAbsentTTL = 10 * time.Second

func (o *Options) absentTTL() time.Duration {
	switch {
	case o.AbsentTTL != 0:
		return o.AbsentTTL
	case o.DefaultTTL > 0:
		return min(o.DefaultTTL, defaultAbsentTTL)
	}
	return defaultAbsentTTL
}

// check finds what the core would refuse, or can't know.
func (o *Options) check() error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrInvalidOptions}, args...)...)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"DefaultTTL", o.DefaultTTL},
		{"DefaultStaleAfter", o.DefaultStaleAfter},
		{"AbsentTTL", o.AbsentTTL},
	} {
		if d.value < NoExpiry {
			return invalid("%s is %v, and must be positive, 0 or NoExpiry", d.name, d.value)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"LoadTimeout", o.LoadTimeout}, {"LoadGrace", o.LoadGrace}, {"StaleIfError", o.StaleIfError}} {
		if d.value < 0 {
			return invalid("%s is %v, and must not be negative", d.name, d.value)
		}
	}
	switch {
	case o.MaxBytes < minBudget || o.MaxBytes > maxBudget:
		return invalid("MaxBytes is %d, and must be from 256 KiB (%d) to 256 GiB (%d)",
			o.MaxBytes, int64(minBudget), int64(maxBudget))
	case o.MaxEntries < 0:
		return invalid("MaxEntries is %d, and must not be negative", o.MaxEntries)
	case o.DefaultTTL > 0 && o.DefaultStaleAfter > o.DefaultTTL:
		return invalid("DefaultStaleAfter is %v, longer than DefaultTTL, %v", o.DefaultStaleAfter, o.DefaultTTL)
	case !(o.TTLJitter >= 0 && o.TTLJitter <= 1):
		return invalid("TTLJitter is %v, and must be from 0 to 1", o.TTLJitter)
	case o.MaxRefreshes < 0:
		return invalid("MaxRefreshes is %d, and must not be negative", o.MaxRefreshes)
	case o.Stripes < 0 || o.Stripes > 256 || o.Stripes&(o.Stripes-1) != 0:
		return invalid("Stripes is %d, and must be 0 or a power of two up to 256", o.Stripes)
	case o.Policy > Cellar:
		return invalid("there is no %v", o.Policy)
	case o.EventBytes < 0 || o.EventBytes > o.MaxBytes/8:
		return invalid("EventBytes is %d, and must be from 0 to an eighth of MaxBytes, %d",
			o.EventBytes, o.MaxBytes/8)
	case o.Events&^allEvents != 0:
		return invalid("there is no %v", o.Events&^allEvents)
	case o.Events != 0 && o.EventBytes == 0:
		return invalid("Events are wanted, but EventBytes is 0")
	}
	return nil
}

// The range of MaxBytes.
const (
	minBudget = 256 << 10
	maxBudget = 256 << 30
)

// core is the options as the core takes them.
func (o *Options) core(clock *follower) *capi.Options {
	options := &capi.Options{
		MaxBytes:     uint64(o.MaxBytes),
		MaxEntries:   uint64(o.MaxEntries),
		DefaultTTLMS: millis(max(o.DefaultTTL, 0)),
		Policy:       uint32(o.Policy),
		Stripes:      uint32(o.Stripes),
		EventBytes:   uint64(o.EventBytes),
		Events:       uint64(o.Events),
		TTLJitter:    o.TTLJitter,
		Sliding:      o.Sliding,
	}
	if clock != nil {
		options.Clock = clock.mock
	}
	return options
}

// millis rounds up, so that a positive time to live never becomes "for ever".
func millis(d time.Duration) uint64 {
	ms := d / time.Millisecond
	if d%time.Millisecond > 0 {
		ms++
	}
	return uint64(ms)
}
