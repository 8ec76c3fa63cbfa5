package httpcache

import "strings"

// Numeric directives hold seconds, or one of these.
const (
	absent  int64 = -1 // not given
	invalid int64 = -2 // given, with no usable value
)

// maxDelta is what larger delta-seconds are taken for (RFC 9111, 1.2.2).
const maxDelta int64 = 1 << 31

// responseDirectives are the Cache-Control directives of a response (RFC 9111,
// 5.2.2; RFC 5861), or those of a targeted field.
type responseDirectives struct {
	present         bool // at least one directive, known or not
	malformed       bool // a quoted string does not end: directives may be hidden in it
	noStore         bool
	noCache         bool // without field names
	private         bool // without field names
	public          bool
	mustRevalidate  bool
	proxyRevalidate bool
	mustUnderstand  bool

	maxAge               int64
	sMaxAge              int64
	staleWhileRevalidate int64
	staleIfError         int64

	// unstored names the fields that no-cache="..." and private="..." forbid a
	// shared cache to reuse.
	unstored []string
}

// requestDirectives are those of a request (RFC 9111, 5.2.1; RFC 5861).
type requestDirectives struct {
	noCache      bool
	noStore      bool
	onlyIfCached bool
	maxAge       int64
	minFresh     int64
	maxStale     int64
	staleIfError int64
}

// parseResponseDirectives merges the field lines of one response. Of several
// numeric directives of one name the first counts (RFC 9111, 4.2.1).
func parseResponseDirectives(lines []string) responseDirectives {
	d := responseDirectives{maxAge: absent, sMaxAge: absent, staleWhileRevalidate: absent, staleIfError: absent}
	for _, line := range lines {
		var s directiveScanner
		s.init(line)
		for s.next() {
			d.present = true
			d.apply(&s)
		}
		d.malformed = d.malformed || s.unterminated
	}
	return d
}

func (d *responseDirectives) apply(s *directiveScanner) {
	switch {
	case s.is("no-store"):
		d.noStore = true
	case s.is("no-cache"):
		d.noCache = d.fields(s) || d.noCache
	case s.is("private"):
		d.private = d.fields(s) || d.private
	case s.is("public"):
		d.public = true
	case s.is("must-revalidate"):
		d.mustRevalidate = true
	case s.is("proxy-revalidate"):
		d.proxyRevalidate = true
	case s.is("must-understand"):
		d.mustUnderstand = true
	case s.is("max-age"):
		first(&d.maxAge, s)
	case s.is("s-maxage"):
		first(&d.sMaxAge, s)
	case s.is("stale-while-revalidate"):
		first(&d.staleWhileRevalidate, s)
	case s.is("stale-if-error"):
		first(&d.staleIfError, s)
	}
}

// fields adds the field names of a qualified no-cache or private. It reports
// whether the directive is to be taken as unqualified: also when its value is
// not a list of field names, to be safe.
func (d *responseDirectives) fields(s *directiveScanner) (unqualified bool) {
	if !s.hasValue || s.bad {
		return true
	}
	n := len(d.unstored)
	for name := range strings.SplitSeq(s.value(), ",") {
		name = strings.Trim(name, " \t")
		if name == "" {
			continue
		}
		if !isToken(name) {
			d.unstored = d.unstored[:n]
			return true
		}
		d.unstored = append(d.unstored, name)
	}
	return len(d.unstored) == n
}

// parseRequestDirectives merges the field lines of one request. Directives
// whose values are invalid are ignored: honouring them is optional.
func parseRequestDirectives(lines []string) requestDirectives {
	d := requestDirectives{maxAge: absent, minFresh: absent, maxStale: absent, staleIfError: absent}
	for _, line := range lines {
		var s directiveScanner
		s.init(line)
		for s.next() {
			switch {
			case s.is("no-cache"):
				d.noCache = true
			case s.is("no-store"):
				d.noStore = true
			case s.is("only-if-cached"):
				d.onlyIfCached = true
			case s.is("max-age"):
				first(&d.maxAge, &s)
			case s.is("min-fresh"):
				first(&d.minFresh, &s)
			case s.is("max-stale"):
				if !s.hasValue && !s.bad && d.maxStale == absent {
					d.maxStale = maxDelta // any staleness
				} else {
					first(&d.maxStale, &s)
				}
			case s.is("stale-if-error"):
				first(&d.staleIfError, &s)
			}
		}
	}
	return d
}

// first sets *v from the directive's value unless an earlier one set it.
func first(v *int64, s *directiveScanner) {
	if *v == absent {
		*v = s.seconds()
	}
}

// directiveScanner walks over one Cache-Control field line:
//
//	cache-directive = token [ "=" ( token / quoted-string ) ]
//
// separated by commas, with optional whitespace around them and empty elements
// allowed. It allocates only for quoted strings with escapes.
type directiveScanner struct {
	rest         string
	name         string
	raw          string // the value: a token, or a quoted string without its quotes
	hasValue     bool
	quoted       bool
	escaped      bool // raw holds backslashes
	bad          bool // the directive does not follow the grammar
	unterminated bool // the line ended within a quoted string
}

func (s *directiveScanner) init(line string) { s.rest = line }

// next moves to the next directive that has a name.
func (s *directiveScanner) next() bool {
	for s.rest != "" {
		s.rest = strings.TrimLeft(s.rest, " \t,")
		if s.rest == "" {
			return false
		}
		s.name, s.raw = "", ""
		s.hasValue, s.quoted, s.escaped, s.bad = false, false, false, false
		n := tokenLen(s.rest)
		s.name, s.rest = s.rest[:n], s.rest[n:]
		if strings.HasPrefix(s.rest, "=") {
			s.hasValue = true
			s.rest = s.rest[1:]
			s.scanValue()
		}
		s.skipToComma()
		if s.name != "" {
			return true
		}
	}
	return false
}

func (s *directiveScanner) scanValue() {
	if !strings.HasPrefix(s.rest, `"`) {
		n := tokenLen(s.rest)
		s.raw, s.rest = s.rest[:n], s.rest[n:]
		s.bad = n == 0
		return
	}
	s.quoted = true
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			s.escaped = true
			i++
		case '"':
			s.raw, s.rest = s.rest[1:i], s.rest[i+1:]
			return
		}
	}
	s.bad, s.unterminated = true, true
	s.rest = ""
}

// skipToComma passes over what stands between a directive and the next comma.
// Anything but whitespace there breaks the grammar; quoted strings in it are
// passed over as a whole.
func (s *directiveScanner) skipToComma() {
	for i := 0; i < len(s.rest); i++ {
		switch s.rest[i] {
		case ',':
			s.rest = s.rest[i+1:]
			return
		case ' ', '\t':
		case '"':
			s.bad = true
			end := i + 1
			for end < len(s.rest) && s.rest[end] != '"' {
				if s.rest[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(s.rest) {
				s.unterminated = true
				s.rest = ""
				return
			}
			i = end
		default:
			s.bad = true
		}
	}
	s.rest = ""
}

func (s *directiveScanner) is(name string) bool { return strings.EqualFold(s.name, name) }

// value returns the value with the escapes of a quoted string undone.
func (s *directiveScanner) value() string {
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

// seconds returns the value as delta-seconds, or invalid. Token and
// quoted-string form are both accepted (RFC 9111, 5.2).
func (s *directiveScanner) seconds() int64 {
	if s.bad || !s.hasValue {
		return invalid
	}
	v, ok := parseDelta(s.raw)
	if !ok {
		return invalid
	}
	return v
}

// parseDelta parses delta-seconds (RFC 9111, 1.2.2): digits only; values that
// do not fit are taken for maxDelta.
func parseDelta(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var v int64
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if v < maxDelta {
			v = v*10 + int64(c-'0')
		}
	}
	return min(v, maxDelta), true
}
