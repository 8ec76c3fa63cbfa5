package httpcache

import (
	"hash/maphash"
	"slices"
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

	mu       sync.Mutex // held by who purges
	all      atomic.Pointer[marks]
	prefixes atomic.Pointer[[]prefixPurge]
	buckets  purgeTable
	// Sources (source.go) have a table of their own: every change of a resource
	// purges what was made from it, and there are more of those than of tags.
	sources purgeTable
}

type purgeTable [purgeBuckets]atomic.Pointer[tagBucket]

// bucket returns where the purges of a tag are remembered.
func (p *purges) bucket(tag uint64) *atomic.Pointer[tagBucket] {
	if tag&sourceBit != 0 {
		return &p.sources[tag%purgeBuckets]
	}
	return &p.buckets[tag%purgeBuckets]
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

func hashTag(tag string) uint64 { return maphash.String(tagSeed, tag) &^ sourceBit }

func (p *purges) purgeTag(tag uint64, mode PurgeMode) {
	p.purgeTags([]uint64{tag}, mode)
}

// purgeTags purges tags at one number.
func (p *purges) purgeTags(tags []uint64, mode PurgeMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raiseAll(tags, mode)
}

// raiseAll purges tags at one number, which it returns. p.mu must be held.
func (p *purges) raiseAll(tags []uint64, mode PurgeMode) uint64 {
	seq := p.seq.Load() + 1
	for _, tag := range tags {
		p.raise(tag, seq, mode)
	}
	// Last: who sees the number must see the marks.
	p.seq.Store(seq)
	return seq
}

// raise remembers the purge of a tag. p.mu must be held.
func (p *purges) raise(tag, seq uint64, mode PurgeMode) {
	slot := p.bucket(tag)
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
	worst := p.checkKey(primary, e.seq)
	for i := range e.numTags() {
		worst = max(worst, p.checkTag(e.tag(i), e.seq))
	}
	return worst
}

// checkTag tells what purges make of a response with the tag that was requested at the
// number seq.
func (p *purges) checkTag(tag, seq uint64) purged {
	b := p.bucket(tag).Load()
	if b == nil {
		return notPurged
	}
	worst := b.floor.verdict(seq)
	for j := range b.n {
		if b.tags[j].tag == tag {
			worst = max(worst, b.tags[j].verdict(seq))
		}
	}
	return worst
}

// purgeChanged purges the sources that an unsafe request has changed, at one number, which
// it returns. untouched tells that no purge since the number at which the request was sent has
// touched its URI, those sources or the tags: then the response itself, as of the number
// returned, is as new as can be.
func (p *purges) purgeChanged(
	sources, tags []uint64, primary []byte, since uint64,
) (seq uint64, untouched bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	worst := p.checkKey(primary, since)
	for _, tag := range sources {
		worst = max(worst, p.checkTag(tag, since))
	}
	for _, tag := range tags {
		worst = max(worst, p.checkTag(tag, since))
	}
	return p.raiseAll(sources, Hard), worst == notPurged
}

// checkKey tells what purges that go by the primary key alone make of whatever was
// requested at the number seq.
func (p *purges) checkKey(primary []byte, seq uint64) purged {
	worst := notPurged
	if m := p.all.Load(); m != nil {
		worst = m.verdict(seq)
	}
	if list := p.prefixes.Load(); list != nil {
		for i := range *list {
			f := &(*list)[i]
			if f.newest() > seq && len(primary) >= len(f.prefix) && string(primary[:len(f.prefix)]) == f.prefix {
				worst = max(worst, f.verdict(seq))
			}
		}
	}
	return worst
}

// snapshot returns a copy, by which can be told later what a purge has touched.
func (p *purges) snapshot() *purges {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := newPurges(p.seq.Load())
	s.all.Store(p.all.Load())
	s.prefixes.Store(p.prefixes.Load())
	for i := range purgeBuckets {
		s.buckets[i].Store(p.buckets[i].Load())
		s.sources[i].Store(p.sources[i].Load())
	}
	return s
}

// appendTags appends the hashes of the tags in the lines of a field.
func appendTags(dst []uint64, field string, lines []string) []uint64 {
	if len(lines) == 0 {
		return dst
	}
	for _, tag := range SplitTags(field, lines) {
		dst = append(dst, surrogateTag(tag))
	}
	return dst
}

func surrogateTag(tag string) uint64 { return hashTag("k" + tag) }

// SplitTags returns the tags in the lines of a response field, without duplicates.
//
// Surrogate-Key and Xkey are defined with blanks between tags, Cache-Tag, Edge-Cache-Tag
// and X-Magento-Tags with commas; systems send either in any of them. So tags are what
// stands between commas and blanks; and where a tag by the field's own definition
// holds the other separator, it is there whole as well. A tag too many is at worst
// purged once too often; one too few is never purged.
func SplitTags(field string, lines []string) []string {
	var tags []string
	add := func(tag string) {
		if tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	own, other := isComma, isBlank
	if strings.EqualFold(field, "Surrogate-Key") || strings.EqualFold(field, "Xkey") {
		own, other = isBlank, isComma
	}
	for _, line := range lines {
		for whole := range strings.FieldsFuncSeq(line, own) {
			whole = strings.TrimFunc(whole, func(r rune) bool { return isBlank(r) || isComma(r) })
			add(whole)
			for part := range strings.FieldsFuncSeq(whole, other) {
				add(part)
			}
		}
	}
	return tags
}

func isComma(r rune) bool { return r == ',' }

func isBlank(r rune) bool { return r == ' ' || r == '\t' }
