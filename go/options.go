package larder

import (
	"fmt"
	"time"
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

	// DefaultTTL is the time to live of entries stored by Set and SetString, rounded
	// up to whole milliseconds. 0: they don't expire. SetTTL overrides it.
	DefaultTTL time.Duration

	// TTLJitter shortens each time to live by a random part of it, up to this share of
	// the whole, so that what was stored together doesn't expire together. 0: not at
	// all; 0.1: by up to a tenth; 1 is the most.
	TTLJitter float64

	// Sliding lets all times to live begin again at each read. SetOptions.Sliding does
	// so for one entry.
	Sliding bool

	// MaxRefreshes bounds the refreshes of stale entries that Load has running in the
	// background at once. Beyond it, Load returns the stale value and starts none.
	// 0: 64.
	MaxRefreshes int

	// LoadTimeout bounds each call of a loader: its context ends then. 0: loaders that
	// somebody waits for have no bound but their callers' patience, refreshes one minute.
	LoadTimeout time.Duration

	// StaleIfError is the last part of a stale entry's life, before it expires, in which
	// Load returns its value only if the loader fails. See Load. 0: there is none.
	StaleIfError time.Duration

	// OnRefreshError, if not nil, is called when a refresh in the background has failed;
	// with a *PanicError if its loader panicked. It runs on the refresh's goroutine. If
	// it is nil, errors are dropped, and a panic ends the program.
	OnRefreshError func(key []byte, err error)

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

// check finds what the core would refuse without being able to say why.
func (o *Options) check() error {
	switch {
	case o.MaxBytes <= 0:
		return fmt.Errorf("%w: MaxBytes is %d, and must be positive", ErrInvalidOptions, o.MaxBytes)
	case o.MaxEntries < 0:
		return fmt.Errorf("%w: MaxEntries is %d", ErrInvalidOptions, o.MaxEntries)
	case o.DefaultTTL < 0:
		return fmt.Errorf("%w: DefaultTTL is %v", ErrInvalidOptions, o.DefaultTTL)
	case !(o.TTLJitter >= 0 && o.TTLJitter <= 1):
		return fmt.Errorf("%w: TTLJitter is %v, and must be from 0 to 1", ErrInvalidOptions, o.TTLJitter)
	case o.MaxRefreshes < 0:
		return fmt.Errorf("%w: MaxRefreshes is %d", ErrInvalidOptions, o.MaxRefreshes)
	case o.LoadTimeout < 0:
		return fmt.Errorf("%w: LoadTimeout is %v", ErrInvalidOptions, o.LoadTimeout)
	case o.StaleIfError < 0:
		return fmt.Errorf("%w: StaleIfError is %v", ErrInvalidOptions, o.StaleIfError)
	case o.Stripes < 0 || o.Stripes > 256 || o.Stripes&(o.Stripes-1) != 0:
		return fmt.Errorf("%w: Stripes is %d, and must be a power of two up to 256", ErrInvalidOptions, o.Stripes)
	case o.Policy > Cellar:
		return fmt.Errorf("%w: there is no %v", ErrInvalidOptions, o.Policy)
	case o.EventBytes < 0 || o.EventBytes > o.MaxBytes/8:
		return fmt.Errorf("%w: EventBytes is %d, and may be an eighth of MaxBytes", ErrInvalidOptions, o.EventBytes)
	case o.Events&^allEvents != 0:
		return fmt.Errorf("%w: there is no %v", ErrInvalidOptions, o.Events&^allEvents)
	case o.Events != 0 && o.EventBytes == 0:
		return fmt.Errorf("%w: Events are wanted, but EventBytes is 0", ErrInvalidOptions)
	}
	return nil
}

// millis rounds up, so that a positive time to live never becomes "for ever".
func millis(d time.Duration) uint64 {
	ms := d / time.Millisecond
	if d%time.Millisecond > 0 {
		ms++
	}
	return uint64(ms)
}
