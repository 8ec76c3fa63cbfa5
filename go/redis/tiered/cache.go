package tiered

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
)

// Cache is a cache of two tiers. All methods may be called by any number of goroutines at once.
type Cache struct {
	near     *larder.Cache
	member   *fleet.Member
	options  Options
	prefix   string // of values on the server
	slots    chan struct{}
	counters counters

	noIfEqual atomic.Bool // the server doesn't know SET's IFEQ

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// New makes a cache of a near tier, which may be a namespace that shares its budget with
// others, and a fleet's server. It doesn't wait for the server. What the near cache holds is
// dropped, and nobody else may use it. Neither is closed by Close. Errors wrap ErrInvalidOptions
// or fleet.ErrInvalidOptions.
func New(near *larder.Cache, server fleet.Server, o Options) (*Cache, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	c := &Cache{near: near, options: o, slots: make(chan struct{}, o.MaxLoads)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	near.Clear()
	part := o.Fleet
	part.Apply, part.Forget = c.apply, near.Clear
	member, err := fleet.JoinWith(server, part, o.Faults.Fleet)
	if err != nil {
		return nil, err
	}
	c.member = member
	c.prefix = o.Fleet.Name + ":value:"
	return c, nil
}

// Close ends the membership in the fleet. The near cache is emptied; it and the server are the
// caller's to close. Nothing of the Cache may be called afterwards.
func (c *Cache) Close() error {
	c.cancel()
	err := c.member.Close()
	c.near.Clear()
	c.done.Wait()
	return err
}

// Near is the near tier, for its statistics.
func (c *Cache) Near() *larder.Cache { return c.near }

// Member is the part in the fleet, for its state and statistics.
func (c *Cache) Member() *fleet.Member { return c.member }

// Source is a loader made ready: Load of one allocates nothing for a near hit.
type Source struct {
	cache *Cache
	fetch larder.Loader
}

// From makes a Source of a loader. It is to be kept.
func (c *Cache) From(loader larder.Loader) *Source {
	return &Source{c, func(ctx context.Context, key []byte) (larder.Loaded, error) {
		return c.fetch(ctx, key, loader)
	}}
}

// Load appends the value of key to dst: from the near tier; else from the server; else the
// loader's, which runs for a key once in the fleet. All that is said of larder.Cache.Load holds
// for the fleet, but that of a loader's error those that wait in other processes learn the
// text only, as a *LoadError; and that SetOptions.Sliding is ignored.
//
// A near hit costs that of larder.Cache.Load and a look at the clock.
func (s *Source) Load(ctx context.Context, dst, key []byte) ([]byte, error) {
	if !s.cache.options.Faults.NoTrust {
		s.cache.member.Trusted()
	}
	return s.cache.near.Load(ctx, dst, key, s.fetch)
}

// Load is From(loader).Load, and allocates the Source each time.
func (c *Cache) Load(ctx context.Context, dst, key []byte, loader larder.Loader) ([]byte, error) {
	return c.From(loader).Load(ctx, dst, key)
}

// Get appends the value of key to dst, from the near tier or the server, and reports whether
// there is one; a stale one too. It loads nothing, and what it finds on the server it doesn't
// keep. The error is that of the server, or of ctx.
func (c *Cache) Get(ctx context.Context, dst, key []byte) ([]byte, bool, error) {
	c.member.Trusted()
	if value, ok := c.near.Get(dst, key); ok {
		return value, true, nil
	}
	at, err := c.read(ctx, key)
	if err != nil || at.kind != aValue || at.frame.absent {
		return dst, false, err
	}
	return append(dst, at.frame.value...), true, nil
}

// LoadError is what the loader of another process has failed with.
type LoadError struct{ Text string }

func (e *LoadError) Error() string { return "tiered: loading in another process: " + e.Text }

// apply carries out what another process has ordered.
func (c *Cache) apply(order []byte) {
	switch name := order[1:]; order[0] {
	case orderKey:
		c.near.Delete(name)
	case orderTag:
		c.invalidateNear(string(name))
	}
}

// invalidateNear can't fail half-way: what has no memory for a tag has to forget everything.
func (c *Cache) invalidateNear(tag string) {
	if err := c.near.InvalidateTag(tag); err != nil && !errors.Is(err, larder.ErrClosed) {
		c.near.Clear()
	}
}

// valueKey is where the value of key lies on the server.
func (c *Cache) valueKey(key []byte) string { return c.prefix + string(key) }

func (c *Cache) failureKey(key []byte) string {
	return c.options.Fleet.Name + ":failure:" + string(key)
}

func (c *Cache) refreshKey(key []byte) string {
	return c.options.Fleet.Name + ":refresh:" + string(key)
}

func (c *Cache) tagKey(tag string) string { return c.member.Prefix() + "tag:" + tag }

// newToken is a word that is never used again.
func newToken() string {
	var b [tokenLen / 2]byte
	rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// soon is a StaleAfter for what is stale already.
const soon = time.Millisecond

// keep makes options for the near tier of what was loaded: bounded, as long as orders are not
// heard of, from when it was begun. What is not to be kept is taken off the load instead.
func (c *Cache) keep(key []byte, loaded *larder.Loaded, began time.Time, b bound) {
	o := &loaded.SetOptions
	o.Sliding = false
	if o.TTL == larder.NoExpiry || o.TTL > c.options.MaxTTL {
		o.TTL = c.options.MaxTTL
	}
	if c.options.NearTTL > 0 {
		o.TTL = min(o.TTL, c.options.NearTTL)
	}
	if b.bounded {
		o.TTL = min(o.TTL, b.most-time.Since(began))
	}
	if o.TTL < time.Millisecond {
		c.forgo(key)
		o.TTL = time.Millisecond
	}
	if o.StaleAfter > o.TTL {
		o.StaleAfter = larder.NoExpiry
	}
}

// bound is for how long what is obtained may be kept.
type bound struct {
	most    time.Duration
	bounded bool
}

func (c *Cache) bound() bound {
	most, free := c.member.Bound()
	return bound{most, !free}
}

// forgo lets the near tier's load of the key end without storing anything: those who wait for
// it get its value, and who comes later doesn't.
func (c *Cache) forgo(key []byte) { c.near.Delete(key) }

// resolve fills in what the loader left open.
func (c *Cache) resolve(l *larder.Loaded) error {
	o := &l.SetOptions
	switch {
	case o.TTL < larder.NoExpiry || o.StaleAfter < larder.NoExpiry:
		return larder.ErrInvalidTTL
	case o.TTL == larder.NoExpiry:
		o.TTL = c.options.MaxTTL
	case o.TTL == 0 && l.Absent:
		o.TTL = c.options.AbsentTTL
	case o.TTL == 0:
		o.TTL = c.options.DefaultTTL
	}
	o.TTL = min(max(o.TTL, time.Millisecond), c.options.MaxTTL)
	if o.StaleAfter == 0 || o.StaleAfter > o.TTL {
		o.StaleAfter = larder.NoExpiry
	}
	o.Sliding = false
	if l.Absent {
		l.Value = nil
	}
	l.Value = slices.Clip(l.Value)
	return nil
}
