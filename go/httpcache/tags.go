package httpcache

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// Tags, prefixes and purges of everything, by sequence numbers: a purge takes
// the next number and remembers it beside what it purged; a response carries
// the number that was current when its request was sent. A response is purged
// if a number remembered for one of its tags is higher. So a purge costs O(1)
// whatever it selects, takes effect before it returns, and also covers
// responses that were on their way while it happened.
//
// The core has tags too, and cannot take this over: see ARCHITECTURE.md, "Why
// the HTTP cache has flights and tags of its own".

const (
	purgeBuckets    = 8192
	bucketTags      = 8
	maxPrefixPurges = 64
)

var tagSeed = maphash.MakeSeed()

// purged says what a purge made of a response.
type purged uint8

const (
	notPurged purged = iota
	softPurged
	hardPurged
)

// marks are the highest sequence numbers of hard and soft purges.
type marks struct{ hard, soft uint64 }

func (m *marks) raise(seq uint64, mode PurgeMode) {
	if mode == Soft {
		m.soft = max(m.soft, seq)
	} else {
		m.hard = max(m.hard, seq)
	}
}

func (m marks) merge(o marks) marks { return marks{max(m.hard, o.hard), max(m.soft, o.soft)} }

func (m marks) verdict(seq uint64) purged {
	switch {
	case m.hard > seq:
		return hardPurged
	case m.soft > seq:
		return softPurged
	}
	return notPurged
}

// purges is shared by all Caches on one set of responses.
type purges struct {
	seq atomic.Uint64 // the newest purge

	mu       sync.Mutex
	all      atomic.Pointer[marks]
	prefixes atomic.Pointer[[]prefixPurge]
	buckets  [purgeBuckets]atomic.Pointer[tagBucket]
}

// tagBucket is immutable. It remembers the purges of a few tags; when it is
// full, the oldest is merged into floor, which then counts for every tag of
// the bucket. That may purge too much, never too little.
type tagBucket struct {
	floor marks
	n     int
	tags  [bucketTags]struct {
		tag uint64
		marks
	}
}

type prefixPurge struct {
	prefix string // of a primary key
	marks
}

// newPurges starts numbering at start, which must be higher than every number
// in the responses that are already stored.
func newPurges(start uint64) *purges {
	p := new(purges)
	p.seq.Store(start)
	return p
}

// next takes a sequence number that purges nothing by itself.
func (p *purges) next() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seq.Add(1)
}

func hashTag(tag string) uint64 { return maphash.String(tagSeed, tag) }

func (p *purges) purgeTag(tag uint64, mode PurgeMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seq := p.seq.Load() + 1
	slot := &p.buckets[tag%purgeBuckets]
	b := new(tagBucket)
	if old := slot.Load(); old != nil {
		*b = *old
	}
	at := 0
	for at < b.n && b.tags[at].tag != tag {
		at++
	}
	if at == bucketTags {
		at = 0
		for i := range b.tags {
			if b.tags[i].newest() < b.tags[at].newest() {
				at = i
			}
		}
		b.floor = b.floor.merge(b.tags[at].marks)
		b.tags[at].marks = marks{}
	} else if at == b.n {
		b.n++
	}
	b.tags[at].tag = tag
	b.tags[at].raise(seq, mode)
	slot.Store(b)
	// Last: who sees the number must see the mark.
	p.seq.Store(seq)
}

func (m marks) newest() uint64 { return max(m.hard, m.soft) }

// purgePrefix remembers a prefix of primary keys. Only so many are remembered
// one by one; beyond that the two oldest become one: what they have in common.
func (p *purges) purgePrefix(prefix string, mode PurgeMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seq := p.seq.Load() + 1
	var list []prefixPurge
	if old := p.prefixes.Load(); old != nil {
		list = append(list, *old...)
	}
	found := false
	for i := range list {
		if list[i].prefix == prefix {
			list[i].raise(seq, mode)
			found = true
		}
	}
	if !found {
		if len(list) == maxPrefixPurges {
			list[1].prefix = commonPrefix(list[0].prefix, list[1].prefix)
			list[1].marks = list[1].merge(list[0].marks)
			list = list[1:]
		}
		n := prefixPurge{prefix: prefix}
		n.raise(seq, mode)
		list = append(list, n)
	}
	p.prefixes.Store(&list)
	p.seq.Store(seq)
}

func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

func (p *purges) purgeAll(mode PurgeMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seq := p.seq.Load() + 1
	var m marks
	if old := p.all.Load(); old != nil {
		m = *old
	}
	m.raise(seq, mode)
	p.all.Store(&m)
	p.seq.Store(seq)
}

// check tells what purges since its request have made of an entry with this
// primary key. Without any purge since, it costs one atomic load.
func (p *purges) check(e *entry, primary []byte) purged {
	if p.seq.Load() == e.seq {
		return notPurged
	}
	return p.checkAll(e, primary)
}

func (p *purges) checkAll(e *entry, primary []byte) purged {
	worst := notPurged
	if m := p.all.Load(); m != nil {
		worst = m.verdict(e.seq)
	}
	if list := p.prefixes.Load(); list != nil {
		for i := range *list {
			f := &(*list)[i]
			if f.newest() > e.seq && len(primary) >= len(f.prefix) && string(primary[:len(f.prefix)]) == f.prefix {
				worst = max(worst, f.verdict(e.seq))
			}
		}
	}
	for i := range e.numTags() {
		tag := e.tag(i)
		b := p.buckets[tag%purgeBuckets].Load()
		if b == nil {
			continue
		}
		worst = max(worst, b.floor.verdict(e.seq))
		for j := range b.n {
			if b.tags[j].tag == tag {
				worst = max(worst, b.tags[j].verdict(e.seq))
			}
		}
	}
	return worst
}

// appendTags appends the hashes of the space-separated tags in lines.
func appendTags(dst []uint64, lines []string) []uint64 {
	for _, line := range lines {
		for tag := range strings.FieldsSeq(line) {
			dst = append(dst, surrogateTag(tag))
		}
	}
	return dst
}

func surrogateTag(tag string) uint64 { return hashTag("k" + tag) }
