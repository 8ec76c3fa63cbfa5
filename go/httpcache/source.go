package httpcache

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Some responses are made from others, by handlers between two caches: a selection
// of fields, an aggregate, another coding. And some URIs are spellings of one. When
// the resource changes, or is purged, all of these must go. So every response carries
// beside its tags the hashes of its sources: its own URI, in one spelling for all;
// and the resources that the handler which made it has named (AddSource). They are
// purged like tags.
//
// The reverse holds for purges by URL and by prefix: what is made anew from stored parts
// would be as old as they are. So the sources that responses of a URI have named are purged
// with it. They stand in its response, in whatever partition (partitions.go); those of
// variants, which cannot be found without the requests that select them, are kept under a
// key of their own. For a prefix all that is stored is looked at.

// sourceBit tells hashes of sources from those of tags.
const sourceBit = 1 << 63

// maxSources bounds the sources remembered of one URI.
const maxSources = 256

func hashSource(s string) uint64 { return hashTag(s) | sourceBit }

// ownSource is the source that every response of a URI has.
func (c *Cache) ownSource(primary []byte) uint64 {
	return hashSource("s" + string(c.appendSourceKey(nil, primary)))
}

// appendSourceKey appends what all spellings of a URI have in common: the primary
// key without partition, raw path and parameters that don't count (Options.IgnoreQuery),
// and with the query decoded. That of some URIs
// which an origin may tell apart is the same; one of them is then purged with the
// other.
func (c *Cache) appendSourceKey(dst, primary []byte) []byte {
	n, size := binary.Uvarint(primary[2:])
	path := 2 + size + int(n)
	path += pathEnd(primary[path:])
	rest := primary[path:]
	rest = rest[pathEnd(rest):]
	if len(rest) > 0 && rest[0] == 'p' {
		n, size := binary.Uvarint(rest[1:])
		rest = rest[1+size+int(n):]
	}
	if len(rest) > 0 {
		rest = c.appendQuery(nil, &url.URL{RawQuery: string(rest[1:]), ForceQuery: true})
	}
	return appendUnescaped(append(dst, primary[:path]...), rest)
}

// appendUnescaped appends s with its percent-encoded bytes decoded, and whatever else
// stands after a percent sign as it is.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.AppendDecode(dst, s[i+1:i+3]); err == nil {
				dst, i = b, i+2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

// appendNamed appends the sources that a response names: by an id, or by the primary
// key of what it was made from.
func (c *Cache) appendNamed(dst []uint64, h http.Header) []uint64 {
	if len(h[sourceField]) > 0 && !c.shared.made.Load() {
		c.shared.made.Store(true)
	}
	for _, source := range h[sourceField] {
		if key, ok := strings.CutPrefix(source, "s"); ok {
			dst = append(dst, c.ownSource([]byte(key)))
		} else {
			dst = append(dst, hashSource(source))
		}
	}
	return dst
}

// sourcesKey is the key under which the named sources of a URI's responses lie.
func sourcesKey(primary []byte) []byte {
	bare, _ := withoutPartition(primary)
	return append([]byte{'s'}, bare...)
}

// sourcesOf returns the sources that responses of the URI have named, in the spelling of the
// key or in the usual one.
func (c *Cache) sourcesOf(primary []byte) []uint64 {
	tags := c.sourcesAt(primary)
	bare, _ := withoutPartition(primary)
	tags = c.appendSourcesOf(tags, bare)
	if usual := withoutRawPath(bare); len(usual) != len(bare) {
		tags = c.appendSourcesOf(tags, usual)
	}
	return tags
}

// appendSourcesOf appends those that lie under a primary key, in any partition.
func (c *Cache) appendSourcesOf(tags []uint64, bare []byte) []uint64 {
	tags = append(tags, c.sourcesAt(bare)...)
	for _, name := range c.shared.partitions.all() {
		tags = append(tags, c.sourcesAt(withPartition(bare, name))...)
	}
	raw, _ := c.store.Get(nil, sourcesKey(bare))
	return appendHashes(tags, raw)
}

// sourcesAt returns those of the response that lies under a primary key.
func (c *Cache) sourcesAt(primary []byte) []uint64 {
	var e entry
	if raw, ok := c.store.Get(nil, primary); ok && e.decode(raw) == nil {
		return e.sources()
	}
	return nil
}

// sourcesBelow returns the sources of all responses whose primary keys begin with one of the
// prefixes. It costs a look at all that is stored, unless no response has named any.
func (c *Cache) sourcesBelow(prefixes ...string) []uint64 {
	walk, ok := c.store.(walker)
	if !ok || !c.shared.made.Load() {
		return nil
	}
	found := make(map[uint64]struct{})
	for key, value := range walk.All() {
		primary := primaryIn(key)
		below := func(prefix string) bool { return strings.HasPrefix(string(primary), prefix) }
		if primary == nil || !slices.ContainsFunc(prefixes, below) {
			continue
		}
		var tags []uint64
		var e entry
		if key[0] == 's' {
			tags = appendHashes(nil, value)
		} else if e.decode(value) == nil {
			tags = e.sources()
		}
		for _, tag := range tags {
			found[tag] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(found))
}

// primaryIn returns the primary key that the key of something stored is or holds, or nil.
func primaryIn(key []byte) []byte {
	for len(key) > 0 {
		switch key[0] {
		case 'h':
			return key
		case 's':
			key = key[1:]
		case 'p', 'v':
			key, _ = cutKey(key)
		default:
			return nil
		}
	}
	return nil
}

func appendHashes(dst []uint64, raw []byte) []uint64 {
	for ; len(raw) >= 8; raw = raw[8:] {
		dst = append(dst, binary.LittleEndian.Uint64(raw))
	}
	return dst
}

// sources returns the sources among the entry's tags.
func (e *entry) sources() []uint64 {
	var tags []uint64
	for i := range e.numTags() {
		if tag := e.tag(i); tag&sourceBit != 0 {
			tags = append(tags, tag)
		}
	}
	return tags
}

// rememberSources keeps the sources that a variant to be stored names, for as long
// as it. The URI's stripe must be locked.
func (c *Cache) rememberSources(primary []byte, e *entry, keep time.Duration) {
	tags := e.sources()
	if own := c.ownSource(primary); len(tags) == 0 || len(tags) == 1 && tags[0] == own {
		return
	}
	for _, tag := range c.sourcesOf(primary) {
		if len(tags) < maxSources && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	var raw []byte
	for _, tag := range tags {
		raw = binary.LittleEndian.AppendUint64(raw, tag)
	}
	_ = c.store.SetTTL(sourcesKey(primary), raw, keep) // without it, less is purged by URL
}

// PurgeSource purges every response whose handler has named the resource with
// AddSource.
func (c *Cache) PurgeSource(id string, mode PurgeMode) {
	c.shared.purges.purgeTag(hashSource("i"+id), mode)
}
