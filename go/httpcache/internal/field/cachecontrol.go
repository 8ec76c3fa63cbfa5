// Cache-Control (RFC 9111, 5.2; RFC 5861). This is the only reading of it in the repository.
//
// A member that breaks the grammar grants nothing: neither freshness, nor sharing, nor being
// served stale. But what it may have been meant to forbid is forbidden. People write
// "public; no-store" and "no-store max-age=60", and whoever wrote no-store meant it: so every
// token in such a member that is the name of a restriction restricts, also within quotes.

package field

import "strings"

// Numeric directives hold seconds, or one of these.
const (
	Absent  int64 = -1 // not given
	Invalid int64 = -2 // given, with no usable value
)

// MaxDelta is what larger delta-seconds are taken for (RFC 9111, 1.2.2).
const MaxDelta int64 = 1 << 31

// Response holds the directives of a response (RFC 9111, 5.2.2; RFC 5861), or those of a
// targeted field.
type Response struct {
	Present      bool // at least one member, known or not
	Malformed    bool // at least one member breaks the grammar
	Unterminated bool // a quoted string does not end: the rest of the line is in doubt

	NoStore         bool
	NoCache         bool // without field names
	Private         bool // without field names
	Public          bool
	MustRevalidate  bool
	ProxyRevalidate bool
	MustUnderstand  bool

	MaxAge               int64
	SMaxAge              int64
	StaleWhileRevalidate int64
	StaleIfError         int64

	// NoCacheFields and PrivateFields name the fields that no-cache="..." and
	// private="..." forbid a shared cache to reuse.
	NoCacheFields []string
	PrivateFields []string
}

// Request holds those of a request (RFC 9111, 5.2.1; RFC 5861).
type Request struct {
	NoCache      bool
	NoStore      bool
	OnlyIfCached bool
	MaxAge       int64
	MinFresh     int64
	MaxStale     int64
	StaleIfError int64
}

// NoRequest are the directives of a request that states none.
var NoRequest = Request{MaxAge: Absent, MinFresh: Absent, MaxStale: Absent, StaleIfError: Absent}

func noResponse() Response {
	return Response{
		MaxAge: Absent, SMaxAge: Absent, StaleWhileRevalidate: Absent, StaleIfError: Absent,
	}
}

// ParseResponse merges the Cache-Control lines of one response. Of several numeric
// directives of one name the first counts (RFC 9111, 4.2.1).
func ParseResponse(lines []string) Response {
	d := noResponse()
	for _, line := range lines {
		s := scanner{rest: line}
		for s.next() {
			d.Present = true
			if s.bad {
				d.Malformed = true
				d.Restrict(s.text)
			} else {
				d.apply(&s)
			}
		}
		d.Unterminated = d.Unterminated || s.unterminated
	}
	return d
}

func (d *Response) apply(s *scanner) {
	switch {
	case s.is("no-store"):
		d.NoStore = true
	case s.is("no-cache"):
		d.NoCache = fieldNames(&d.NoCacheFields, s.hasValue, s.value()) || d.NoCache
	case s.is("private"):
		d.Private = fieldNames(&d.PrivateFields, s.hasValue, s.value()) || d.Private
	case s.is("public"):
		d.Public = true
	case s.is("must-revalidate"):
		d.MustRevalidate = true
	case s.is("proxy-revalidate"):
		d.ProxyRevalidate = true
	case s.is("must-understand"):
		d.MustUnderstand = true
	case s.is("max-age"):
		first(&d.MaxAge, s)
	case s.is("s-maxage"):
		first(&d.SMaxAge, s)
	case s.is("stale-while-revalidate"):
		first(&d.StaleWhileRevalidate, s)
	case s.is("stale-if-error"):
		first(&d.StaleIfError, s)
	}
}

// Restrict applies the restrictions that text, which could not be parsed, seems to name. A
// lifetime named in it is an unusable one: the response is stale.
func (d *Response) Restrict(text string) {
	tokens(text, func(name string) {
		switch strings.ToLower(name) {
		case "no-store":
			d.NoStore = true
		case "no-cache":
			d.NoCache = true
		case "private":
			d.Private = true
		case "must-revalidate":
			d.MustRevalidate = true
		case "proxy-revalidate":
			d.ProxyRevalidate = true
		case "max-age":
			unusable(&d.MaxAge)
		case "s-maxage":
			unusable(&d.SMaxAge)
		case "stale-while-revalidate":
			unusable(&d.StaleWhileRevalidate)
		case "stale-if-error":
			unusable(&d.StaleIfError)
		}
	})
}

// fieldNames adds the field names of a qualified no-cache or private. It reports
// whether the directive is to be taken as unqualified: also when its value is
// not a list of field names, to be safe.
func fieldNames(names *[]string, hasValue bool, value string) (unqualified bool) {
	if !hasValue {
		return true
	}
	n := len(*names)
	for name := range strings.SplitSeq(value, ",") {
		name = TrimOWS(name)
		if name == "" {
			continue
		}
		if !IsToken(name) {
			*names = (*names)[:n]
			return true
		}
		*names = append(*names, name)
	}
	return len(*names) == n
}

// ParseRequest merges the Cache-Control lines of one request. Directives whose values are
// invalid are ignored: honouring them is optional.
func ParseRequest(lines []string) Request {
	d := NoRequest
	for _, line := range lines {
		s := scanner{rest: line}
		for s.next() {
			if s.bad {
				d.restrict(s.text)
			} else {
				d.apply(&s)
			}
		}
	}
	return d
}

func (d *Request) apply(s *scanner) {
	switch {
	case s.is("no-cache"):
		d.NoCache = true
	case s.is("no-store"):
		d.NoStore = true
	case s.is("only-if-cached"):
		d.OnlyIfCached = true
	case s.is("max-age"):
		first(&d.MaxAge, s)
	case s.is("min-fresh"):
		first(&d.MinFresh, s)
	case s.is("max-stale"):
		if !s.hasValue && d.MaxStale == Absent {
			d.MaxStale = MaxDelta // any staleness
		} else {
			first(&d.MaxStale, s)
		}
	case s.is("stale-if-error"):
		first(&d.StaleIfError, s)
	}
}

func (d *Request) restrict(text string) {
	tokens(text, func(name string) {
		switch strings.ToLower(name) {
		case "no-cache":
			d.NoCache = true
		case "no-store":
			d.NoStore = true
		case "only-if-cached":
			d.OnlyIfCached = true
		case "max-stale":
			unusable(&d.MaxStale)
		case "stale-if-error":
			unusable(&d.StaleIfError)
		}
	})
}

// first sets *v from the directive's value unless an earlier one set it.
func first(v *int64, s *scanner) {
	if *v == Absent {
		*v = s.seconds()
	}
}

func unusable(v *int64) {
	if *v == Absent {
		*v = Invalid
	}
}

// scanner walks over one Cache-Control field line:
//
//	cache-directive = token [ "=" ( token / quoted-string ) ]
//
// separated by commas, with optional whitespace around them and empty elements
// allowed. It allocates only for quoted strings with escapes.
type scanner struct {
	rest         string
	text         string // the whole member
	name         string
	raw          string // the value: a token, or a quoted string without its quotes
	hasValue     bool
	escaped      bool // raw holds backslashes
	bad          bool // the member does not follow the grammar
	unterminated bool // the line ended within a quoted string
}

// next moves to the next member that is not empty.
func (s *scanner) next() bool {
	s.rest = strings.TrimLeft(s.rest, " \t,")
	if s.rest == "" {
		return false
	}
	whole := s.rest
	s.hasValue, s.escaped, s.raw = false, false, ""
	n := TokenLen(s.rest)
	s.name, s.rest = s.rest[:n], s.rest[n:]
	s.bad = n == 0
	if strings.HasPrefix(s.rest, "=") {
		s.hasValue = true
		s.rest = s.rest[1:]
		s.scanValue()
	}
	s.skipToComma()
	s.text = whole[:len(whole)-len(s.rest)]
	return true
}

func (s *scanner) scanValue() {
	if !strings.HasPrefix(s.rest, `"`) {
		n := TokenLen(s.rest)
		s.raw, s.rest = s.rest[:n], s.rest[n:]
		s.bad = s.bad || n == 0
		return
	}
	end := quotedEnd(s.rest)
	if end < 0 {
		s.bad, s.unterminated = true, true
		s.rest = ""
		return
	}
	s.raw, s.rest = s.rest[1:end], s.rest[end+1:]
	s.escaped = strings.IndexByte(s.raw, '\\') >= 0
}

// quotedEnd returns the index of the quote that ends the quoted string which s starts with,
// or -1.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// skipToComma passes over what stands between a directive and the next comma.
// Anything but whitespace there breaks the grammar; quoted strings in it are
// passed over as a whole.
func (s *scanner) skipToComma() {
	for i := 0; i < len(s.rest); i++ {
		switch s.rest[i] {
		case ',':
			s.rest = s.rest[i+1:]
			return
		case ' ', '\t':
		case '"':
			s.bad = true
			end := quotedEnd(s.rest[i:])
			if end < 0 {
				s.unterminated = true
				s.rest = ""
				return
			}
			i += end
		default:
			s.bad = true
		}
	}
	s.rest = ""
}

func (s *scanner) is(name string) bool { return strings.EqualFold(s.name, name) }

// value returns the value with the escapes of a quoted string undone.
func (s *scanner) value() string {
	if !s.escaped {
		return s.raw
	}
	var b strings.Builder
	for i := 0; i < len(s.raw); i++ {
		if s.raw[i] == '\\' && i+1 < len(s.raw) {
			i++
		}
		b.WriteByte(s.raw[i])
	}
	return b.String()
}

// seconds returns the value as delta-seconds, or Invalid. Token and
// quoted-string form are both accepted (RFC 9111, 5.2).
func (s *scanner) seconds() int64 {
	if !s.hasValue {
		return Invalid
	}
	v, ok := ParseDelta(s.raw)
	if !ok {
		return Invalid
	}
	return v
}

// tokens calls f for each token in text, whatever stands between them.
func tokens(text string, f func(string)) {
	for text != "" {
		n := TokenLen(text)
		if n == 0 {
			text = text[1:]
			continue
		}
		f(text[:n])
		text = text[n:]
	}
}

// ParseDelta parses delta-seconds (RFC 9111, 1.2.2): digits only; values that
// do not fit are taken for MaxDelta.
func ParseDelta(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var v int64
	for i := 0; i < len(s); i++ {
		if !IsDigit(s[i]) {
			return 0, false
		}
		if v < MaxDelta {
			v = v*10 + int64(s[i]-'0')
		}
	}
	return min(v, MaxDelta), true
}
