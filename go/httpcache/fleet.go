package httpcache

import (
	"errors"
	"fmt"
)

// Purges over several processes. What one cache purges it tells, in an opaque form, to
// whatever SharePurges was given; that brings it to the other caches, which carry it out by
// CarryOut. This package doesn't know how it gets there: package fleet of module go/redis does.
//
// Told are the purges of the API and what a successful unsafe request makes invalid: its URI,
// those in Location and Content-Location, and groups. Not told is what was made from other
// sources than these (AddSource): the others find their own.

// The second byte of an order says what it is about; the first is the mode.
const (
	orderURL    = 'u'
	orderPrefix = 'p'
	orderTag    = 't'
	orderAll    = 'a'
	orderKey    = 'k' // a primary key
	orderGroup  = 'g' // an origin, NUL, a group
)

// ErrOrder is returned by CarryOut for what is no order.
var ErrOrder = errors.New("httpcache: not a purge that a cache has told")

// SharePurges lets the cache, and all that share its responses, tell others of what is purged:
// tell is called with each purge that was carried out here, before the call that purged returns,
// and before the client of an unsafe request sees its response. Its error is that of PurgeURL
// and PurgePrefix, and of the purge API, which answers 202 then: so tell should keep what it
// couldn't say, and say it later. asked is false for an unsafe request, whose client should
// not wait for others. tell is called by many goroutines at once, and may keep the order. nil
// ends it.
func (c *Cache) SharePurges(tell func(order []byte, asked bool) error) {
	if tell == nil {
		c.shared.tell.Store(nil)
		return
	}
	c.shared.tell.Store(&tell)
}

// told tells of a purge.
func (c *Cache) told(kind byte, mode PurgeMode, name string) error {
	tell := c.shared.tell.Load()
	if tell == nil {
		return nil
	}
	order := make([]byte, 0, 2+len(name))
	order = append(order, 'h', kind)
	if mode == Soft {
		order[0] = 's'
	}
	asked := kind != orderKey && kind != orderGroup
	return (*tell)(append(order, name...), asked)
}

// CarryOut purges what another cache has told of, and has done so when it returns. It tells
// nobody. An error wraps ErrOrder: then nothing is purged, and what to do is up to the caller
// (ForgetAll is safe).
func (c *Cache) CarryOut(order []byte) error {
	if len(order) < 2 || order[0] != 'h' && order[0] != 's' {
		return fmt.Errorf("%w: %q", ErrOrder, order)
	}
	mode := Hard
	if order[0] == 's' {
		mode = Soft
	}
	name := string(order[2:])
	switch order[1] {
	case orderURL, orderPrefix:
		u, err := parsePurgeURL(name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrOrder, err)
		}
		if order[1] == orderURL {
			c.purgeURL(u, mode)
		} else {
			c.purgePrefix(u, mode)
		}
	case orderTag:
		c.shared.purges.purgeTag(surrogateTag(name), mode)
	case orderAll:
		c.shared.purges.purgeAll(mode)
	case orderKey:
		if !isPrimaryKey([]byte(name)) {
			return fmt.Errorf("%w: %q", ErrOrder, order)
		}
		c.purgeKey([]byte(name), mode)
	case orderGroup:
		c.shared.purges.purgeTag(hashTag("g"+name), mode)
	default:
		return fmt.Errorf("%w: %q", ErrOrder, order)
	}
	return nil
}

// ForgetAll is PurgeAll(Hard) of which nobody is told: for one who may have missed a purge.
func (c *Cache) ForgetAll() { c.shared.purges.purgeAll(Hard) }
