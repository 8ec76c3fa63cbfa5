package nearcache

import (
	"sync/atomic"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// Table is a larder cache used as the package says. All methods but the puts may be called by any
// number of goroutines at once; the puts of one key one after the other.
type Table struct {
	cache  *larder.Cache
	owners owners

	areas   areas
	sweeper sweeper
	numbers atomic.Uint64
}

// NewTable makes a table of a cache that nobody else uses, as a namespace.
func NewTable(cache *larder.Cache) *Table { return &Table{cache: cache} }

// Cache is the cache below.
func (t *Table) Cache() *larder.Cache { return t.cache }

// NewOwner is a new owner, good until Revoke.
func (t *Table) NewOwner() Owner { return t.owners.take() }

// Revoke makes all that is the owner's worthless, at once, whoever reads it or puts it. Once only.
func (t *Table) Revoke(owner Owner) {
	t.owners.revoke(owner)
	t.sweepSoon()
}

// Good reports whether an owner was not revoked.
func (t *Table) Good(owner Owner) bool { return t.owners.good(owner) }

// Get appends a reply's body to dst and returns it with its mark. What follows the body in the
// slice's spare room is overwritten.
func (t *Table) Get(dst []byte, n *Name) (extended []byte, mark uint64, ok bool) {
	extended, info, ok := t.get(dst, n)
	return extended, info.Mark, ok
}

// Info is what is known about a reply beside its body.
type Info struct {
	Mark  uint64
	Owner Owner
}

func (t *Table) get(dst []byte, n *Name) (extended []byte, info Info, ok bool) {
	var room [nameRoom]byte
	out, ok := t.cache.Get(dst, recordName(room[:0], n.Area, n.Prefix, n.Key))
	if !ok {
		return dst, info, false
	}
	r, ok := parseRecord(out[len(dst):])
	switch {
	case !ok:
		return out[:len(dst)], info, false
	case !r.inline:
		return t.getMember(out[:len(dst)], r.number, n)
	case !r.is(n) || !t.owners.good(r.owner):
		return out[:len(dst)], info, false
	}
	return out[:len(dst)+r.body], Info{r.mark, r.owner}, true
}

func (t *Table) getMember(dst []byte, number uint64, n *Name) (_ []byte, info Info, ok bool) {
	var room [nameRoom]byte
	out, ok := t.cache.Get(dst, memberName(room[:0], n.Area, number, n.Head, n.Tail))
	body := len(out) - memberTrailer
	if !ok || body < len(dst) {
		return dst, info, false
	}
	info.Mark, info.Owner = owned(out[body:])
	return out[:body], info, t.owners.good(info.Owner)
}

// Put stores the reply to a command of one key, for ttl, which is above 0 or larder.NoExpiry. The
// error is larder's; what the key had before is then gone or as it was.
func (t *Table) Put(body []byte, n *Name, mark uint64, owner Owner, ttl time.Duration) error {
	var room [nameRoom]byte
	name := recordName(room[:0], n.Area, n.Prefix, n.Key)
	scratch := borrow()
	defer giveBack(scratch)

	number := uint64(0)
	old, ok := t.cache.Peek(scratch.data[:0], name)
	scratch.keep(old)
	if ok {
		if r, ok := parseRecord(old); ok {
			number = r.number
			if !r.inline || !r.is(n) && t.owners.good(r.owner) {
				return t.putMember(body, name, r, n, mark, owner, ttl)
			}
		}
	}
	if number == 0 {
		number = t.numbers.Add(1)
	}
	if len(n.Head) > longest || len(n.Tail) > longest {
		return t.putMember(body, name, record{number: number, inline: true}, n, mark, owner, ttl)
	}
	entry := appendRecord(scratch.data[:0], body, n, number, mark, owner)
	scratch.keep(entry)
	return t.cache.SetTTL(name, entry, ttl)
}

// putMember stores a reply beside the record, which becomes a number if it wasn't.
func (t *Table) putMember(
	body, name []byte, r record, n *Name, mark uint64, owner Owner, ttl time.Duration,
) error {
	var short [numberTrailer]byte
	if r.inline {
		err := t.cache.SetTTL(name, appendNumber(short[:0], r.number), larder.NoExpiry)
		if err != nil {
			return err
		}
	}
	var room [nameRoom]byte
	scratch := borrow()
	defer giveBack(scratch)
	entry := appendOwned(append(scratch.data[:0], body...), mark, owner)
	scratch.keep(entry)
	return t.cache.SetTTL(memberName(room[:0], n.Area, r.number, n.Head, n.Tail), entry, ttl)
}

// Drop removes all replies that depend on a key, of one key and of several. It reports whether the
// key had a record.
func (t *Table) Drop(area uint32, prefix, key string) bool {
	var room [nameRoom]byte
	return t.cache.Delete(recordName(room[:0], area, prefix, key))
}
