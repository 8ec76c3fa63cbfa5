package httpcache

import (
	"bytes"
	"net/http"
	"sync"

	larder "github.com/larder-cache/larder/go"
)

// txn is the state of one request while it looks for a stored response. Txns
// are pooled: nothing of them may be kept after release, entries neither.
type txn struct {
	c    *Cache
	info requestInfo
	now  int64
	key  []byte // the primary key

	completed bool // the header has the route's late fields

	found    bool
	soft     bool // found, and soft-purged
	e        entry
	entryKey []byte // where e lies: key or vkey

	indexed bool // an index lies under the primary key
	x       index

	buf, vbuf, vkey, pkey []byte

	view larder.View // what e lies in, if lent
	lent bool
}

var txns = sync.Pool{New: func() any { return new(txn) }}

// maxPooled bounds the buffers a pooled txn holds on to.
const maxPooled = 4 << 20

func (c *Cache) begin() *txn {
	t := txns.Get().(*txn)
	t.c = c
	t.now = c.now()
	return t
}

// keyed reports whether the request has a key.
func (t *txn) keyed() bool { return len(t.key) > 0 }

func (t *txn) release() {
	if t.lent {
		t.dropView()
	}
	if cap(t.buf) > maxPooled || cap(t.vbuf) > maxPooled {
		t.buf, t.vbuf = nil, nil
		t.e, t.x = entry{}, index{}
	}
	// What else is left points into the txn's own buffers, or to what was lent.
	t.c = nil
	t.completed, t.found, t.soft, t.indexed = false, false, false, false
	txns.Put(t)
}

// lookup finds the stored response that the request selects (RFC 9111, 4),
// fresh or stale, whole. It must have been classified and keyed.
func (t *txn) lookup(r *http.Request) {
	t.found, t.indexed = false, false
	var ok bool
	var raw []byte
	t.buf, raw, ok = t.fetch(t.buf, t.key)
	if !ok || len(raw) == 0 {
		return
	}
	switch raw[0] {
	case kindResponse:
		// It was stored for a request without implied fields.
		if t.info.implied == 0 {
			t.accept(raw, t.key)
		}
	case kindIndex:
		if t.lent { // a large response was replaced by an index
			t.buf = append(t.buf[:0], raw...)
			t.dropView()
			raw = t.buf
		}
		if t.indexed = t.x.decode(raw); t.indexed {
			if t.comparesLate() {
				t.complete(r)
			}
			t.lookupVariant(r.Header)
		}
	}
}

// lookupVariant tries the index's sets of names, newest first.
func (t *txn) lookupVariant(h http.Header) {
	rest := t.x.sets
	for range t.x.n {
		var set []byte
		set, rest = cutSet(rest)
		if t.info.implied != 0 && !t.covers(set) {
			continue
		}
		var ok bool
		if t.vkey, ok = appendVariantKey(t.vkey[:0], t.key, t.x.epoch, set, h, ""); !ok {
			continue
		}
		var raw []byte
		if t.vbuf, raw, ok = t.fetch(t.vbuf, t.vkey); ok && t.accept(raw, t.vkey) {
			return
		}
	}
	if values := h["Accept-Language"]; len(values) > 0 {
		t.lookupLanguage(h, values)
	}
}

// lookupLanguage tries the aliases of variants in the preferred language.
func (t *txn) lookupLanguage(h http.Header, values []string) {
	language := preferredLanguage(values)
	if language == "" {
		return
	}
	rest := t.x.sets
	for range t.x.n {
		var set []byte
		set, rest = cutSet(rest)
		if !bytes.Contains(set, []byte("Accept-Language")) || t.info.implied != 0 && !t.covers(set) {
			continue
		}
		var ok bool
		if t.vkey, ok = appendVariantKey(t.vkey[:0], t.key, t.x.epoch, set, h, language); !ok {
			continue
		}
		if t.vbuf, ok = t.c.store.Get(t.vbuf[:0], t.vkey); !ok || len(t.vbuf) < 1 || t.vbuf[0] != kindAlias {
			continue
		}
		t.vkey = append(t.vkey[:0], t.vbuf[1:]...)
		if t.vbuf, ok = t.c.store.Get(t.vbuf[:0], t.vkey); ok && t.accept(t.vbuf, t.vkey) {
			return
		}
	}
}

// covers reports whether a set names all implied fields the request carries. A
// request with another one might have been answered otherwise.
func (t *txn) covers(set []byte) bool {
	for i, name := range t.c.opt.ImpliedVary {
		if t.info.implied&(1<<i) == 0 {
			continue
		}
		found := false
		at := 1
		for range int(set[0]) {
			n := int(set[at])
			found = found || string(set[at+1:at+1+n]) == name
			at += 1 + n
		}
		if !found {
			return false
		}
	}
	return true
}

// accept takes an envelope as the request's entry unless it has been purged.
func (t *txn) accept(raw, key []byte) bool {
	if t.e.decode(raw) != nil {
		return false
	}
	switch t.c.shared.purges.check(&t.e, t.key) {
	case hardPurged:
		return false
	case softPurged:
		t.soft = true
	default:
		t.soft = t.e.flags&flagSoftPurged != 0 || t.indexed && t.x.soft > t.e.seq
	}
	t.found = true
	t.entryKey = key
	return true
}
