package httpcache

import (
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 2: the cache key. The primary key is the target URI, taken as it
// will reach the next handler: nothing is decoded, removed, sorted or folded
// that an origin might tell apart, for every such step is a way to confuse two
// resources. Only the host is compared without regard to case, and a default
// port is dropped (RFC 9110, 4.2.3); and parameters of the query are left out that
// Options.IgnoreQuery names. Methods share a key: HEAD is answered from
// what GET stored.
//
// No two URIs have one key, since every part says where it ends:
//
//	'h', scheme, length of host, host, path 0 0, raw path 0 0,
//	'p', length of the partition, partition (if Options.Partition gives one),
//	'?' and the query (if there is one)
//
// Zero bytes within a path are written 0 1. The raw path is empty unless the
// path is encoded in another way than Go would. The path comes first, so that
// keys can be compared by URL prefix.

// maxKey bounds primary keys; requests with longer ones are not cached.
const maxKey = 8 << 10

const (
	schemeHTTP  = 0
	schemeHTTPS = 1
)

// appendKey appends the primary key of a request. ok is false if it has no
// URI that could be a key.
func (c *Cache) appendKey(dst []byte, r *http.Request) (key []byte, ok bool) {
	u := r.URL
	partition := c.partition(r)
	if u.Opaque != "" || u.Path != "" && u.Path[0] != '/' ||
		len(r.Host)+len(u.Host)+len(u.Path)+len(u.RawPath)+len(u.RawQuery)+len(partition) > maxKey {
		return dst, false
	}
	scheme := byte(schemeHTTP)
	if r.TLS != nil || u.Scheme == "https" {
		scheme = schemeHTTPS
	}
	host := r.Host
	if host == "" {
		host = u.Host
	}
	return c.appendURI(dst, scheme, host, u, partition), true
}

// partition is what keeps the request's responses apart from those of others.
func (c *Cache) partition(r *http.Request) string {
	if c.opt.Partition == nil {
		return ""
	}
	return c.opt.Partition(r)
}

func (c *Cache) appendURI(
	dst []byte, scheme byte, host string, u *url.URL, partition string,
) []byte {
	host = trimPort(host, scheme)
	dst = append(dst, 'h', scheme)
	dst = binary.AppendUvarint(dst, uint64(len(host)))
	dst = field.AppendLower(dst, host)
	if u.Path == "" {
		dst = append(dst, '/')
	}
	dst = appendPath(dst, u.Path)
	dst = append(dst, 0, 0)
	dst = appendPath(dst, u.RawPath)
	dst = append(dst, 0, 0)
	if partition != "" {
		dst = appendPartition(dst, partition)
	}
	return c.appendQuery(dst, u)
}

// appendQuery appends the query without the parameters of Options.IgnoreQuery. A query of
// which nothing is left is none.
func (c *Cache) appendQuery(dst []byte, u *url.URL) []byte {
	if u.RawQuery == "" {
		if u.ForceQuery {
			dst = append(dst, '?')
		}
		return dst
	}
	if len(c.opt.IgnoreQuery) == 0 {
		return append(append(dst, '?'), u.RawQuery...)
	}
	separator := byte('?')
	for rest, more := u.RawQuery, true; more; {
		var parameter string
		parameter, rest, more = strings.Cut(rest, "&")
		if c.ignoresParameter(parameter) {
			continue
		}
		dst = append(append(dst, separator), parameter...)
		separator = '&'
	}
	return dst
}

// ignoresParameter reports whether a parameter of a query is one of Options.IgnoreQuery.
func (c *Cache) ignoresParameter(parameter string) bool {
	name, _, _ := strings.Cut(parameter, "=")
	if name == "" || strings.IndexByte(parameter, ';') >= 0 {
		return false
	}
	for _, ignored := range c.opt.IgnoreQuery {
		prefix, open := strings.CutSuffix(ignored, "*")
		if name == ignored || open && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func appendPath(dst []byte, path string) []byte {
	for {
		zero := strings.IndexByte(path, 0)
		if zero < 0 {
			return append(dst, path...)
		}
		dst = append(dst, path[:zero]...)
		dst = append(dst, 0, 1)
		path = path[zero+1:]
	}
}

// trimPort removes the scheme's default port.
func trimPort(host string, scheme byte) string {
	port := ":80"
	if scheme == schemeHTTPS {
		port = ":443"
	}
	return strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
}

// origin returns the origin of a primary key, for comparing (RFC 9110, 4.3.1).
func origin(key []byte) string {
	n, size := binary.Uvarint(key[2:])
	return string(key[1 : 2+size+int(n)])
}

// uriKey returns the primary key of an absolute URL of the scheme.
func (c *Cache) uriKey(scheme byte, u *url.URL) []byte {
	return c.appendURI(nil, scheme, u.Host, u, "")
}

// withoutPartition returns the primary key of the same URI without a partition, and whether
// key had one.
func withoutPartition(key []byte) (bare []byte, had bool) {
	at, end := partitionIn(key)
	if at == end {
		return key, false
	}
	return append(key[:at:at], key[end:]...), true
}

// withoutRawPath returns the primary key of a URI with its path encoded as Go would.
func withoutRawPath(key []byte) []byte {
	n, size := binary.Uvarint(key[2:])
	at := 2 + size + int(n)
	at += pathEnd(key[at:])
	rest := key[at+pathEnd(key[at:]):]
	return append(append(key[:at:at], 0, 0), rest...)
}

// withPartition returns a primary key that has no partition with one.
func withPartition(bare []byte, name string) []byte {
	at, _ := partitionIn(bare)
	return append(appendPartition(bare[:at:at], name), bare[at:]...)
}

// partitionIn returns where the partition begins and ends in a primary key, which is the
// same place if there is none.
func partitionIn(key []byte) (at, end int) {
	n, size := binary.Uvarint(key[2:])
	at = 2 + size + int(n)
	at += pathEnd(key[at:])
	at += pathEnd(key[at:])
	if at == len(key) || key[at] != 'p' {
		return at, at
	}
	n, size = binary.Uvarint(key[at+1:])
	return at, at + 1 + size + int(n)
}

// isPrimaryKey reports whether bytes from elsewhere have the form of a primary key, so that the
// functions here may be called with them.
func isPrimaryKey(key []byte) bool {
	if len(key) < 3 || key[0] != 'h' || key[1] != schemeHTTP && key[1] != schemeHTTPS {
		return false
	}
	n, size := binary.Uvarint(key[2:])
	if size <= 0 || n > uint64(len(key)) {
		return false
	}
	rest := key[2+size:]
	if uint64(len(rest)) < n {
		return false
	}
	rest = rest[n:]
	for range 2 { // the path, and the path as it was spelt
		end, ok := closedPath(rest)
		if !ok {
			return false
		}
		rest = rest[end:]
	}
	if len(rest) == 0 || rest[0] != 'p' {
		return true
	}
	n, size = binary.Uvarint(rest[1:])
	return size > 0 && n <= uint64(len(rest)-1-size)
}

// closedPath is pathEnd for bytes that may have no end.
func closedPath(key []byte) (end int, ok bool) {
	for i := 0; i+1 < len(key); i++ {
		if key[i] != 0 {
			continue
		}
		if i++; key[i] == 0 {
			return i + 1, true
		}
	}
	return 0, false
}

func appendPartition(dst []byte, name string) []byte {
	dst = append(dst, 'p')
	dst = binary.AppendUvarint(dst, uint64(len(name)))
	return append(dst, name...)
}

// pathEnd returns where what follows a path in a key begins.
func pathEnd(key []byte) int {
	for i := 0; ; i++ {
		if key[i] != 0 {
			continue
		}
		if i++; key[i] == 0 {
			return i + 1
		}
	}
}

// prefixKey returns what the keys of all URLs of the scheme that start with u
// have in common.
func prefixKey(scheme byte, u *url.URL) string {
	host := trimPort(u.Host, scheme)
	dst := []byte{'h', scheme}
	dst = binary.AppendUvarint(dst, uint64(len(host)))
	dst = field.AppendLower(dst, host)
	return string(appendPath(dst, u.Path))
}
