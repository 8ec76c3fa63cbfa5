package larder

import (
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/capi"
)

// A namespace is a cache of its own within the budget of another: for parts of a program
// that must not displace one another's entries as they please, or that need different
// times to live, bounds or policies, without dividing the memory among them beforehand.
// Whoever holds less than an equal part of the memory, and needs more, takes it from
// the one that holds most. So a small namespace keeps what it has beside a busy large
// one, and what nobody else asks for may be held by one alone.

// NamespaceOptions say how a namespace is to be. The zero value is a good choice.
type NamespaceOptions struct {
	// MaxBytes bounds what the namespace may hold of the cache's budget, bookkeeping
	// included. 0: no bound but the budget. It has to be at least 2*Stripes + 6
	// segments, of which a budget has about 2,048.
	MaxBytes int64

	// MaxEntries bounds the number of entries as well. 0: only memory does.
	MaxEntries int64

	// DefaultTTL is as in Options. 0: as in the cache. NoExpiry: entries don't expire.
	DefaultTTL time.Duration

	// Policy decides which entries make room for new ones. DefaultPolicy: that of the
	// cache.
	Policy Policy

	// Stripes is as in Options, chosen by MaxBytes if it is 0.
	Stripes int
}

// maxName is the length of the longest name of a namespace.
const maxName = 255

// Namespace returns the namespace of the cache with this name, of 1 to 255 bytes: a Cache
// with entries, statistics and options of its own, on the budget of this one. It is
// made if it isn't there; otherwise options that are not zero must be those it has. A
// cache has at most 256 namespaces, and they have none.
//
// A namespace lives until it is closed, or its cache is; nobody need hold on to it: asked
// for by its name again, it is the same Cache. Close closes it for all that use it, and
// gives its memory to the others. Resize gives it another bound. It keeps no events. What
// NamespaceOptions don't have, options for loads and the clock among it, is as in the cache.
// Everything else is as for any Cache, and costs the same.
//
// Errors: one that wraps ErrInvalidOptions, also for a budget with too few segments for
// one more namespace; ErrFull, ErrNoMemory, ErrClosed.
func (c *Cache) Namespace(name string, o NamespaceOptions) (*Cache, error) {
	if len(name) == 0 || len(name) > maxName {
		return nil, fmt.Errorf("%w: a namespace's name of %d bytes, not 1 to %d", ErrInvalidOptions, len(name), maxName)
	}
	if o.MaxBytes < 0 {
		return nil, fmt.Errorf("%w: MaxBytes is %d, and must not be negative", ErrInvalidOptions, o.MaxBytes)
	}
	others := Options{
		MaxBytes:   minBudget,
		MaxEntries: o.MaxEntries,
		DefaultTTL: o.DefaultTTL,
		Policy:     o.Policy,
		Stripes:    o.Stripes,
	}
	if err := others.check(); err != nil {
		return nil, err
	}
	if c.parent != nil {
		return nil, fmt.Errorf("%w: %q is a namespace, and can't have namespaces", ErrInvalidOptions, c.name)
	}
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	if c.core == nil || c.members.closed {
		return nil, ErrClosed
	}
	h, there, err := c.openNamespace(name, &o)
	if there != nil || err != nil {
		return there, err
	}
	k := newCore(h, c.core.clock)
	m := &Cache{
		handle:     k.fast(),
		core:       k,
		defaultTTL: max(o.DefaultTTL, 0),
		staleAfter: c.staleAfter,
		absentTTL:  c.absentTTL,
		loads:      c.loads.another(),
		refusals:   new(refusals),
		name:       strings.Clone(name), // strings of callers may be parts of large ones
		parent:     c,
	}
	if c.members.named == nil {
		c.members.named = map[string]*Cache{}
	}
	c.members.named[m.name] = m
	return m, nil
}

// openNamespace opens a namespace in the core: one that is there already, or a new one, for
// which o is completed then. members.mu is held.
func (c *Cache) openNamespace(name string, o *NamespaceOptions) (h handle, there *Cache, err error) {
	there = c.members.named[name]
	asked := *o
	if there == nil && o.DefaultTTL == 0 {
		o.DefaultTTL = c.defaultTTL
	}
	h, why, st := c.through().Namespace(unsafe.StringData(name), len(name), &capi.Options{
		MaxBytes:     uint64(o.MaxBytes),
		MaxEntries:   uint64(o.MaxEntries),
		DefaultTTLMS: millis(max(o.DefaultTTL, 0)),
		Policy:       uint32(o.Policy),
		Stripes:      uint32(o.Stripes),
	})
	runtime.KeepAlive(c)
	switch {
	case st == capi.StatusInvalidArgument:
		return h, nil, fmt.Errorf("%w: namespace %q: %s "+
			"(MaxBytes is %d, MaxEntries %d, DefaultTTL %v, Policy %v, Stripes %d)",
			ErrInvalidOptions, name, why, o.MaxBytes, o.MaxEntries, o.DefaultTTL, o.Policy, o.Stripes)
	case st != capi.StatusOK:
		return h, nil, errOf(st)
	case there == nil:
		return h, nil, nil
	case there.core.handle == h:
		h.Free() // it has a count of its own
		if o.DefaultTTL == NoExpiry && there.defaultTTL != 0 {
			return h, nil, fmt.Errorf("%w: namespace %q: it exists, with a DefaultTTL of %v",
				ErrInvalidOptions, name, there.defaultTTL)
		}
		return h, there, nil
	}
	// It is being closed, and this is another, made without what a new one inherits.
	h.Close()
	h.Free()
	delete(c.members.named, name)
	*o = asked
	return c.openNamespace(name, o)
}

// Namespaces iterates over the namespaces that the cache has when the loop begins, in the
// order of their names.
func (c *Cache) Namespaces() iter.Seq2[string, *Cache] {
	return func(yield func(name string, namespace *Cache) bool) {
		c.members.mu.Lock()
		named := maps.Clone(c.members.named)
		c.members.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(named)) {
			if !yield(name, named[name]) {
				return
			}
		}
	}
}

// members are the namespaces of a cache that were not closed. There is one Cache for each,
// so that all who use it wait for the same loads.
type members struct {
	mu     sync.Mutex
	named  map[string]*Cache
	closed bool
}

// closeMembers lets no more namespaces be made, and tells the loads of those that are
// there. The core closes them with the cache.
func (c *Cache) closeMembers() map[string]*Cache {
	c.members.mu.Lock()
	named := c.members.named
	c.members.named, c.members.closed = nil, true
	c.members.mu.Unlock()
	for _, m := range named {
		reportHeldViews(m.core.handle)
		m.loads.close()
	}
	return named
}

// forget takes a namespace out that was closed.
func (c *Cache) forget(m *Cache) {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	if c.members.named[m.name] == m {
		delete(c.members.named, m.name)
	}
}
