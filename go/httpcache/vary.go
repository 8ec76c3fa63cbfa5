package httpcache

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9111, 4.1 Calculating Cache Keys with the Vary Header Field.
//
// A response without Vary lies under its primary key. For a URI whose responses
// have Vary, an index lies there instead: the sets of field names that its
// responses vary on, newest first, and an epoch. Each response lies under a
// variant key: the primary key, the epoch, and the request's values of a set's
// fields in normal form. Deleting the index makes all variants unreachable at
// once, since the next index gets another epoch.

const (
	maxVaryNames = 16
	maxVarySets  = 4
	// maxVariantKey bounds variant keys: requests with longer values are not
	// cached.
	maxVariantKey = 16 << 10
)

// wholeForwarded stands for Forwarded where a response names it: then all of it is compared,
// the client's address too. Where it is only implied, appendForwarded tells what is.
const wholeForwarded = "Forwarded:"

// varyNames returns what a response varies on: the fields in Vary, and the
// implied ones that its request carried; sorted. ok is false if no later
// request could match (section 4.1), there are too many, or what the origin was sent is not
// what the cache saw.
//
// What proxies behind the cache remove, such as Te or what Connection names, or add to in the
// same way for all, such as Via, does no harm here: what the origin was sent is a function of
// what the cache compares. (Requests that name more in Connection bypass the cache anyway.)
func (c *Cache) varyNames(x *exchange) (names []string, ok bool) {
	ok = true
	field.SplitList(x.header["Vary"], func(name string) bool {
		if name == "*" || !field.IsToken(name) {
			ok = false
			return false
		}
		name = http.CanonicalHeaderKey(name)
		if ok = !c.unseen(x, name); !ok {
			return false
		}
		if name == "Forwarded" {
			name = wholeForwarded
		}
		names = append(names, name)
		return true
	})
	for _, name := range c.opt.ImpliedVary {
		if len(x.request[name]) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names, ok && len(names) <= maxVaryNames
}

// unseen reports whether the origin may have been sent a field with another value than the
// cache was asked with: since that is known, or else if it is one of Options.AddedBehind.
func (c *Cache) unseen(x *exchange, name string) bool {
	if x.sent != nil {
		return !c.opt.Private && x.sentOther(name)
	}
	return slices.Contains(c.opt.AddedBehind, name)
}

// index is a decoded vary index:
//
//	0   1   kind: kindIndex
//	1   1   number of sets
//	2   6   unused
//	8   8   epoch
//	16  8   sequence number of the last soft purge of the URL
//	24  8   when it expires, ms since 1970
//	32  ..  sets: number of names, then each name's length and the name
type index struct {
	epoch   uint64
	soft    uint64
	expires int64
	n       int
	sets    []byte
}

const indexSize = 32

func (x *index) decode(raw []byte) bool {
	if len(raw) < indexSize || raw[0] != kindIndex {
		return false
	}
	le := binary.LittleEndian
	x.n = int(raw[1])
	x.epoch = le.Uint64(raw[8:])
	x.soft = le.Uint64(raw[16:])
	x.expires = int64(le.Uint64(raw[24:]))
	x.sets = raw[indexSize:]
	return true
}

func (x *index) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, kindIndex, byte(x.n), 0, 0, 0, 0, 0, 0)
	dst = le.AppendUint64(dst, x.epoch)
	dst = le.AppendUint64(dst, x.soft)
	dst = le.AppendUint64(dst, uint64(x.expires))
	return append(dst, x.sets...)
}

// appendSet appends a set of names in the form an index holds.
func appendSet(dst []byte, names []string) []byte {
	dst = append(dst, byte(len(names)))
	for _, n := range names {
		dst = append(dst, byte(len(n)))
		dst = append(dst, n...)
	}
	return dst
}

// cutSet splits off the first set of an index.
func cutSet(sets []byte) (set, rest []byte) {
	at := 1
	for range int(sets[0]) {
		at += 1 + int(sets[at])
	}
	return sets[:at], sets[at:]
}

// add puts a set first. Beyond the limit it drops the last one that has an
// implied name, which any client can bring about, or else the last.
func (x *index) add(set []byte, implied []string) {
	list := [][]byte{set}
	rest := x.sets
	for range x.n {
		var s []byte
		s, rest = cutSet(rest)
		if string(s) != string(set) {
			list = append(list, s)
		}
	}
	if len(list) > maxVarySets {
		drop := len(list) - 1
		for i := drop; i > 0; i-- {
			if setNames(list[i], implied) {
				drop = i
				break
			}
		}
		list = slices.Delete(list, drop, drop+1)
	}
	x.sets, x.n = slices.Concat(list...), len(list)
}

// setNames reports whether a set has one of the names.
func setNames(set []byte, names []string) bool {
	at := 1
	for range int(set[0]) {
		n := int(set[at])
		if slices.Contains(names, string(set[at+1:at+1+n])) {
			return true
		}
		at += 1 + n
	}
	return false
}

func (x *index) hasSet(set []byte) bool {
	rest := x.sets
	for range x.n {
		var s []byte
		s, rest = cutSet(rest)
		if string(s) == string(set) {
			return true
		}
	}
	return false
}

// appendVariantKey appends the key of the variant that a request selects by a
// set of names. ok is false if the key would be too long. A language stands in
// for the value of Accept-Language, for the key of an alias (see language.go).
func appendVariantKey(
	dst, primary []byte, epoch uint64, set []byte, h http.Header, language string,
) (key []byte, ok bool) {
	start := len(dst)
	dst = append(dst, 'v')
	dst = binary.AppendUvarint(dst, uint64(len(primary)))
	dst = append(dst, primary...)
	dst = binary.LittleEndian.AppendUint64(dst, epoch)
	dst = append(dst, set...)
	at := 1
	for range int(set[0]) {
		n := int(set[at])
		name := set[at+1 : at+1+n]
		at += 1 + n
		if language != "" && string(name) == "Accept-Language" {
			dst = append(dst, 2)
			dst = append(dst, language...)
			dst = append(dst, 0)
			continue
		}
		values := h[string(bytes.TrimSuffix(name, []byte(":")))]
		if len(values) == 0 {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		lenAt := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = appendNormal(dst, string(name), values)
		binary.LittleEndian.PutUint32(dst[lenAt:], uint32(len(dst)-lenAt-4))
		if len(dst)-start > maxVariantKey {
			return dst, false
		}
	}
	return dst, true
}

// appendNormal appends the values of a request field in a form that is the same
// for values that mean the same (section 4.1): weighted lists without regard to
// case, order and spelling of weights; other lists without regard to lines and
// whitespace; fields that are no lists as they are, and neither are lists with a quoted
// string that does not end in its line.
func appendNormal(dst []byte, name string, values []string) []byte {
	if slices.ContainsFunc(values, endsQuoted) {
		return appendExact(dst, values)
	}
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
		return appendWeighted(dst, values)
	case "Forwarded":
		return appendForwarded(dst, values)
	case "Authorization", "Cookie", "Origin", "Referer", "User-Agent":
		return appendExact(dst, values)
	}
	first := true
	field.SplitList(values, func(s string) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, s...)
		return true
	})
	return dst
}

// appendExact appends the values as they are. The line feed at their end is not to be found
// in any other form.
func appendExact(dst []byte, values []string) []byte {
	for _, v := range values {
		dst = append(dst, v...)
		dst = append(dst, '\n')
	}
	return dst
}

// endsQuoted reports whether a line ends within a quoted string.
func endsQuoted(line string) bool {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		}
	}
	return quoted
}

// weighted is an element of a list with weights (RFC 9110, 12.4.2).
type weighted struct {
	name   string
	weight int // thousandths
}

const maxWeighted = 32

// parseWeighted collects the elements of a weighted list. Elements whose weight
// is invalid keep it as a part of their name.
func parseWeighted(list []weighted, values []string) ([]weighted, bool) {
	ok := true
	field.SplitList(values, func(s string) bool {
		w := weighted{s, 1000}
		if i := strings.LastIndexByte(s, ';'); i >= 0 {
			if q, valid := parseWeight(field.TrimOWS(s[i+1:])); valid {
				w = weighted{field.TrimOWS(s[:i]), q}
			}
		}
		ok = len(list) < maxWeighted
		list = append(list, w)
		return ok
	})
	return list, ok
}

// parseWeight parses "q=0.5" into thousandths.
func parseWeight(s string) (int, bool) {
	if len(s) < 3 || field.Lower(s[0]) != 'q' || s[1] != '=' || len(s) > 7 {
		return 0, false
	}
	s = s[2:]
	if s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q := int(s[0]-'0') * 1000
	scale := 100
	for i := 2; i < len(s); i++ {
		if !field.IsDigit(s[i]) {
			return 0, false
		}
		q += int(s[i]-'0') * scale
		scale /= 10
	}
	return q, q <= 1000
}

func appendWeighted(dst []byte, values []string) []byte {
	var space [maxWeighted]weighted
	list, ok := parseWeighted(space[:0], values)
	if !ok { // too many to sort
		return appendExact(dst, values)
	}
	slices.SortFunc(list, func(a, b weighted) int {
		if n := compareFold(a.name, b.name); n != 0 {
			return n
		}
		return a.weight - b.weight
	})
	for _, w := range list {
		dst = appendRange(dst, w.name)
		// Control characters cannot occur in field values.
		if w.weight != 1000 {
			dst = append(dst, 1)
			dst = strconv.AppendInt(dst, int64(w.weight), 10)
		}
		dst = append(dst, 2)
	}
	return dst
}

// appendRange appends a language, coding or media range without regard to case and
// whitespace, but for the values of parameters, in which both may mean something.
func appendRange(dst []byte, s string) []byte {
	quoted, value := false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted && c == '\\' && i+1 < len(s):
			dst = append(dst, c)
			i++
			c = s[i]
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ' ' || c == '\t':
			continue
		case c == '=':
			value = true
		case c == ';':
			value = false
		case !value:
			c = field.Lower(c)
		}
		dst = append(dst, c)
	}
	return dst
}

func compareFold(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if x, y := field.Lower(a[i]), field.Lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

// appendForwarded keeps of Forwarded (RFC 7239) what may change the response: all but the
// addresses of clients and proxies, for which for and by are. One that holds another = is kept,
// lest a careless reader find something else in it.
func appendForwarded(dst []byte, values []string) []byte {
	field.SplitList(values, func(element string) bool {
		for pair := range strings.SplitSeq(element, ";") {
			pair = field.TrimOWS(pair)
			name, value, _ := strings.Cut(pair, "=")
			address := strings.EqualFold(name, "for") || strings.EqualFold(name, "by")
			switch {
			case pair == "", address && strings.IndexByte(value, '=') < 0:
				continue
			case strings.EqualFold(name, "host"), strings.EqualFold(name, "proto"):
				dst = field.AppendLower(dst, pair)
			default:
				dst = append(dst, pair...)
			}
			dst = append(dst, ';')
		}
		dst = append(dst, ',')
		return true
	})
	return dst
}
