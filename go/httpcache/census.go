package httpcache

import (
	"encoding/binary"
	"iter"
)

// A purge marks what it selects without looking at it, so to tell how many
// responses it has touched, all are looked at afterwards, and judged by the marks
// there were before and by those there are now.

// walker is what a store needs besides so that its entries can be counted.
type walker interface {
	All() iter.Seq2[[]byte, []byte]
}

// census counts the responses that purges touch from when it is made until count.
// One that is nil counts nothing. Purges by others in between are counted too.
type census struct {
	c      *Cache
	walk   walker
	before *purges
	n      int
	gone   map[string]bool // indexes that were removed, by the beginning of their variants' keys
}

// newCensus returns a census, or nil if the store cannot be walked.
func (c *Cache) newCensus() *census {
	w, ok := c.store.(walker)
	if !ok {
		return nil
	}
	return &census{c: c, walk: w, before: c.shared.purges.snapshot(), gone: map[string]bool{}}
}

// removed counts what is about to be removed of a URI.
func (n *census) removed(primary []byte, mode PurgeMode) {
	if n == nil {
		return
	}
	st := n.c.store
	if raw, ok := st.Get(nil, partKey(nil, primary)); ok {
		n.n += n.usable(raw, primary)
	}
	if mode == Soft {
		return // the rest stays
	}
	raw, ok := st.Get(nil, primary)
	var x index
	switch {
	case !ok:
	case x.decode(raw):
		n.gone[string(variantPrefix(primary, x.epoch))] = true
	default:
		n.n += n.usable(raw, primary)
	}
}

// usable returns 1 if an envelope could be used before the purge, or else 0.
func (n *census) usable(raw, primary []byte) int {
	var e entry
	if e.decode(raw) != nil || n.before.check(&e, primary) == hardPurged {
		return 0
	}
	return 1
}

// count returns how many responses have been touched. It costs a look at all.
func (n *census) count() (int, bool) {
	if n == nil {
		return 0, false
	}
	var e entry
	for key, value := range n.walk.All() {
		primary, live := n.locate(key)
		if live && e.decode(value) == nil &&
			n.c.shared.purges.check(&e, primary) > n.before.check(&e, primary) {
			n.n++
		}
	}
	return n.n, true
}

// locate returns the primary key in the key of a response, and whether requests
// find it, or did before the purge.
func (n *census) locate(key []byte) (primary []byte, live bool) {
	if len(key) == 0 {
		return nil, false
	}
	switch key[0] {
	case 'h':
		return key, true
	case 'p':
		if inner, _ := cutKey(key); inner != nil {
			return n.locate(inner)
		}
	case 'v':
		primary, rest := cutKey(key)
		if primary == nil || len(rest) < 8 {
			return nil, false
		}
		epoch := binary.LittleEndian.Uint64(rest)
		if n.gone[string(variantPrefix(primary, epoch))] {
			return primary, true
		}
		var x index
		raw, ok := n.c.store.Get(nil, primary)
		return primary, ok && x.decode(raw) && x.epoch == epoch
	}
	return nil, false
}

// cutKey takes the key out of one that holds another.
func cutKey(key []byte) (inner, rest []byte) {
	n, size := binary.Uvarint(key[1:])
	if size <= 0 || n > uint64(len(key)-1-size) {
		return nil, nil
	}
	return key[1+size : 1+size+int(n)], key[1+size+int(n):]
}

// variantPrefix returns what the keys of all variants under an index begin with.
func variantPrefix(primary []byte, epoch uint64) []byte {
	dst := binary.AppendUvarint([]byte{'v'}, uint64(len(primary)))
	return binary.LittleEndian.AppendUint64(append(dst, primary...), epoch)
}
