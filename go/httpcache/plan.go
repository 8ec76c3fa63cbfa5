package httpcache

import (
	"context"
	"encoding/binary"
	"net/http"
	"time"
)

// plan is everything a flight needs to know beyond the request it sends. It
// holds no part of a txn.
type plan struct {
	c   *Cache
	req *http.Request // to be sent
	// original is the client's header, which variants are selected by.
	original http.Header
	info     requestInfo
	primary  []byte
	hash     uint64      // of primary
	indexed  bool        // an index lay under primary when it was looked up
	since    moment      // no later than sentAt
	sentAt   int64       // ms
	sent     http.Header // what the origin was sent in the end, if that is known

	base       *entry // the stored response that the request is about, or nil
	baseKey    []byte
	validating bool   // req carries base's validators
	part       *entry // a stored part that req asks the rest of, or nil
}

// plan prepares to fetch. The txn's entry is copied if there is one.
func (t *txn) plan(r *http.Request, since moment) *plan {
	p := &plan{
		c:       t.c,
		info:    t.info,
		indexed: t.indexed,
		since:   since,
		sentAt:  t.now,
		primary: append([]byte(nil), t.key...),
		hash:    t.c.shared.hash(t.key),
	}
	// The flight may outlive the request and whoever handles it.
	p.req = r.Clone(r.Context())
	p.original = r.Header.Clone()
	if t.found {
		p.base = t.e.clone()
		p.baseKey = append([]byte(nil), t.entryKey...)
		p.validating = addConditions(p.req.Header, p.base)
	} else if !p.ranged() {
		removeConditions(p.req.Header)
	}
	return p
}

// ranged reports whether the request is sent with the client's Range.
func (p *plan) ranged() bool { return p.base == nil && p.info.has&hasRange != 0 }

// exchange describes a response to the planned request.
func (p *plan) exchange(status int, h http.Header, responseTime int64) exchange {
	return exchange{
		method:        p.req.Method,
		authorization: p.info.has&hasAuthorization != 0,
		cookie:        p.info.has&hasCookie != 0,
		ranged:        p.ranged(),
		request:       p.original,
		origin:        origin(p.primary),
		status:        status,
		header:        h,
		requestTime:   p.sentAt,
		responseTime:  responseTime,
		seq:           p.since.seq,
		tags:          p.c.appendNamed([]uint64{p.c.ownSource(p.primary)}, h),
		sent:          sentWith(h, p.sent),
	}
}

// retry makes the request unconditional and complete, after an answer that did
// not fit the conditions it was sent with.
func (p *plan) retry() {
	removeConditions(p.req.Header)
	p.base, p.part, p.validating = nil, nil, false
	p.info.has &^= hasRange | hasIfRange
}

// busy notes whether requests for the key are better not made to wait for each
// other.
func (p *plan) busy(yes bool) {
	switch {
	case p.ranged():
	case yes:
		p.c.shared.busy.mark(p.hash, p.c.now()+busyFor)
	default:
		p.c.shared.busy.clear(p.hash)
	}
}

// withContext gives the request a context that keeps the values of its own but
// is cancelled only by the returned function.
func (p *plan) withContext() context.CancelFunc {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.req.Context()))
	p.req = p.req.WithContext(ctx)
	return cancel
}

// save stores an envelope where requests like the plan's will find it, unless
// the URI or the response has been invalidated since the request was sent. It reports whether
// it did.
func (c *Cache) save(p *plan, v *verdict, response http.Header, value []byte) bool {
	st := c.shared.stripe(p.hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.overtaken(p.hash, p.since.gen) {
		return false
	}
	var e entry
	if e.decode(value) != nil || c.shared.purges.check(&e, p.primary) != notPurged {
		return false // and it might take the place of one that was asked for since
	}
	part := v.flags&flagPart != 0
	if !c.shared.partitions.note(p.primary) {
		c.rememberSources(p.primary, &e, v.keep)
	}
	if len(v.vary) == 0 && !p.indexed {
		key := p.primary
		if part {
			key = partKey(nil, key)
		}
		return c.store.SetTTL(key, value, v.keep) == nil
	}
	c.rememberSources(p.primary, &e, v.keep)
	set := appendSet(nil, v.vary)
	x := c.indexFor(p, v, set, len(response["Vary"]) == 0)
	key, ok := appendVariantKey(nil, p.primary, x.epoch, set, p.original, "")
	if !ok {
		return false
	}
	if language := aliasLanguage(v.vary, response); language != "" && !part {
		if alias, ok := appendVariantKey(nil, p.primary, x.epoch, set, p.original, language); ok {
			c.store.SetTTL(alias, appendAlias(nil, key), v.keep)
		}
	}
	if part {
		key = partKey(nil, key)
	}
	return c.store.SetTTL(key, value, v.keep) == nil
}

// indexFor makes sure that the URI's index has the set, and outlives the
// response. The stripe must be locked.
//
// If it is the first index of the URI, the response that lay there before it is
// kept as its variant without names, provided that the new response varies on
// implied fields only: or else whoever sends one of those could displace what
// everyone else gets.
func (c *Cache) indexFor(p *plan, v *verdict, set []byte, impliedOnly bool) index {
	expires := v.responseTime + v.keep.Milliseconds()
	var x index
	var old entry
	raw, ok := c.store.Get(nil, p.primary)
	switch {
	case ok && x.decode(raw):
		if x.hasSet(set) && x.expires >= expires {
			return x
		}
	case ok && impliedOnly && old.decode(raw) == nil:
		x = index{epoch: c.shared.epoch.Add(1)}
		none := appendSet(nil, nil)
		x.add(none, c.opt.ImpliedVary)
		key, _ := appendVariantKey(nil, p.primary, x.epoch, none, nil, "")
		left := c.remaining(&old, v.responseTime)
		x.expires = v.responseTime + left.Milliseconds()
		c.store.SetTTL(key, raw, left)
		c.rememberSources(p.primary, &old, left)
	default:
		x = index{epoch: c.shared.epoch.Add(1)}
	}
	x.add(set, c.opt.ImpliedVary)
	x.expires = max(x.expires, expires)
	c.store.SetTTL(p.primary, x.append(nil), msDuration(x.expires-v.responseTime))
	return x
}

// everywhere does something to a URI's responses in the partition of a key, and in the one
// without a name. In the others, and under other spellings of the URI, they are purged by
// their source (source.go): where they lie is known to those alone who ask for them.
func (c *Cache) everywhere(primary []byte, do func(primary []byte)) {
	if c.shared.partitioned.Load() {
		if bare, had := withoutPartition(primary); had {
			do(bare)
		}
	}
	do(primary)
}

// remove removes the responses of a URI, and those being fetched, in one partition.
func (c *Cache) remove(primary []byte) {
	hash := c.shared.hash(primary)
	st := c.shared.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.note(hash)
	c.store.Delete(primary)
	c.store.Delete(partKey(nil, primary))
}

// soften marks the responses of a URI as stale, in one partition.
func (c *Cache) soften(primary []byte) {
	hash := c.shared.hash(primary)
	st := c.shared.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.note(hash)
	c.store.Delete(partKey(nil, primary))
	raw, ok := c.store.Get(nil, primary)
	if !ok {
		return
	}
	var x index
	var e entry
	now := c.now()
	switch {
	case x.decode(raw):
		// One more than any number that a request was sent with until now.
		x.soft = c.shared.purges.next()
		c.store.SetTTL(primary, x.append(nil), msDuration(max(x.expires-now, 1)))
	case e.decode(raw) == nil:
		setFlag(raw, flagSoftPurged)
		c.store.SetTTL(primary, raw, c.remaining(&e, now))
	}
}

// remaining returns for how long a stored response is still worth keeping.
func (c *Cache) remaining(e *entry, now int64) time.Duration {
	stale := e.longest()
	if e.flags&flagValidator != 0 {
		stale = max(stale, milliseconds(c.opt.KeepStale))
	}
	return max(msDuration(e.lifetime-e.age(now)+stale), time.Millisecond)
}

func msDuration(ms int64) time.Duration {
	return time.Duration(min(ms, int64(maxWindow/time.Millisecond))) * time.Millisecond
}

// partKey appends the key under which parts of a response lie.
func partKey(dst, key []byte) []byte {
	dst = append(dst, 'p')
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	return append(dst, key...)
}
