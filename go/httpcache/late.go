package httpcache

import (
	"bytes"
	"net/http"
	"slices"
)

// LateFields are request fields that next is sent, and that responses may vary on, but that
// need not be in the header yet when a request comes: those that a proxy makes of what it
// knows anyway, such as X-Forwarded-For or Via. Most requests are answered from responses
// that do not vary on them, and are spared the cost.
//
// What the header of one request is completed to must be a function of that request.
type LateFields struct {
	// Names are the canonical names of all fields that Add may set. Those by which a cache
	// decides whether it has a part in a request at all, such as Authorization, Range, or one
	// of Options.ImpliedVary, may be among them, but then nothing is spared: Add is called
	// before anything else.
	Names []string
	// Add sets the fields in a request's header. It is called by the request's own goroutine,
	// at most once, before the cache compares one of the fields and before next is called.
	Add func(*http.Request)
}

// late is a route's LateFields, prepared.
type late struct {
	LateFields
	filter uint64 // nameBit of every name
	first  bool   // one of them decides more than what is compared
}

func (c *Cache) prepareLate(f LateFields) late {
	l := late{LateFields: f}
	for _, name := range f.Names {
		l.filter |= nameBit(name)
		alone := c.classify(http.Header{name: {"x"}})
		l.first = l.first || alone.has&^c.addedBehind != 0 || alone.implied != 0
	}
	return l
}

// complete adds the route's late fields to the request's header, unless it has done so.
func (t *txn) complete(r *http.Request) {
	if add := t.c.late.Add; add != nil && !t.completed {
		t.completed = true
		add(r)
	}
}

// comparesLate reports whether one of an index's sets of names has a late field.
func (t *txn) comparesLate() bool {
	l := &t.c.late
	if l.filter == 0 {
		return false
	}
	rest := t.x.sets
	for range t.x.n {
		var set []byte
		set, rest = cutSet(rest)
		at := 1
		for range int(set[0]) {
			n := int(set[at])
			name := bytes.TrimSuffix(set[at+1:at+1+n], []byte(":")) // see wholeForwarded
			at += 1 + n
			if l.filter&nameBit(name) != 0 && slices.Contains(l.Names, string(name)) {
				return true
			}
		}
	}
	return false
}
