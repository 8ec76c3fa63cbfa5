package httpcache

import (
	"encoding/binary"
	"encoding/hex"
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
// The reverse holds for purges by URL: what is made anew from stored parts would be
// as old as they are. So the sources that responses of a URI have named are purged
// with it. They stand in its response; those of variants, which cannot be found
// without the requests that select them, are kept under a key of their own.

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

// sourcesOf returns the sources that responses of the URI have named.
func (c *Cache) sourcesOf(primary []byte) []uint64 {
	var tags []uint64
	var e entry
	if raw, ok := c.store.Get(nil, primary); ok && e.decode(raw) == nil {
		tags = e.sources()
	}
	raw, _ := c.store.Get(nil, sourcesKey(primary))
	for ; len(raw) >= 8; raw = raw[8:] {
		tags = append(tags, binary.LittleEndian.Uint64(raw))
	}
	return tags
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
