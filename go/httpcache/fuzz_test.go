package httpcache

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// Fuzz tests. As tests they run their seeds; `make fuzz` lets each look for more.

// lines cuts what a fuzzer made into field lines that net/http would let through.
func lines(s string) []string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		name, value, ok := strings.Cut(line, ":")
		valid := ok && name != "" && !strings.ContainsFunc(name, func(r rune) bool {
			return r > '~' || !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && !('0' <= r && r <= '9') && !('a' <= r|0x20 && r|0x20 <= 'z')
		}) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
		if valid {
			out = append(out, name+": "+strings.Trim(value, " \t"))
		}
	}
	return out
}

// plainDirectives are the directives of a field in which nothing is quoted, nothing has a
// value, and nothing is odd: what this simple reading finds, the cache must have found.
func plainDirectives(values []string) (names []string, plain bool) {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			part = strings.ToLower(strings.Trim(part, " \t"))
			if strings.ContainsFunc(part, func(r rune) bool { return !('a' <= r && r <= 'z') && r != '-' }) {
				return nil, false
			}
			names = append(names, part)
		}
	}
	return names, true
}

// FuzzResponse sends a response with any fields through the cache twice. Whatever they
// are, the second answer is the origin's, or the same bytes from the cache; and it isn't
// from the cache if a plain reading of the fields forbids that.
func FuzzResponse(f *testing.F) {
	f.Add("Cache-Control: max-age=60\nETag: \"a\"", "", "hello")
	f.Add("Cache-Control: no-store", "", "x")
	f.Add("Cache-Control: PRIVATE , public\nExpires: Sun, 01 Mar 2026 12:01:00 GMT", "Cookie: a=b", "x")
	f.Add("Cache-Control: s-maxage=10, foo=\"no-store\"\nVary: Accept-Language, X\nX: y", "Accept-Language: de;q=0.3, en", "")
	f.Add("Vary: *\nCache-Control: max-age=5", "Range: bytes=1-2", "0123456789")
	f.Add("CDN-Cache-Control: max-age=9\nAge: 3\nDate: Sun, 01 Mar 2026 11:59:00 GMT\nSet-Cookie: a=b", "Authorization: x", "x")
	f.Add("Cache-Groups: \"a\", \"b\"\nSurrogate-Key: a b\nCache-Control: max-age=1, stale-while-revalidate=5", "If-None-Match: *", "x")
	f.Add("Content-Length: 3\nTransfer-Encoding: chunked\nConnection: x-a, close\nX-A: 1", "TE: trailers\nConnection: y", "abc")
	f.Fuzz(func(t *testing.T, answer, ask, body string) {
		r := newRig(t, Options{})
		header := lines(answer)
		// The origin of the test would be at fault, not the cache.
		header = slices.DeleteFunc(header, func(line string) bool {
			name, _, _ := strings.Cut(line, ":")
			return strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding") || strings.EqualFold(name, "Content-Encoding") ||
				strings.EqualFold(name, "Trailer") || strings.HasPrefix(http.CanonicalHeaderKey(name), http.TrailerPrefix)
		})
		r.set(reply(200, body, header...))
		first := r.get("/", lines(ask)...)
		asked := r.askedCount()
		second := r.get("/", lines(ask)...)
		if r.askedCount() > asked {
			return
		}
		if asked == 0 {
			if second.Code != http.StatusGatewayTimeout {
				t.Fatalf("nobody was asked, and the answer is %d", second.Code)
			}
			return // only-if-cached
		}
		fields := http.Header{}
		for _, line := range header {
			name, value, _ := strings.Cut(line, ":")
			fields.Add(name, strings.TrimSpace(value))
		}
		names, plain := plainDirectives(fields["Cache-Control"])
		targeted := len(fields["Cdn-Cache-Control"])+len(fields["Larder-Cache-Control"]) > 0
		if plain && !targeted && (slices.Contains(names, "no-store") || slices.Contains(names, "private") || slices.Contains(names, "no-cache")) {
			t.Fatalf("served from the cache in spite of %q", fields["Cache-Control"])
		}
		if slices.Contains(fields["Vary"], "*") {
			t.Fatal("served from the cache in spite of Vary: *")
		}
		if first.Code == 200 && second.Code == 200 && second.Body.String() != body {
			t.Fatalf("first %q, then %q from the cache", body, second.Body)
		}
		for name := range second.Header() {
			if slices.Contains([]string{"Connection", "Keep-Alive", "Te", "Upgrade", "Proxy-Authenticate"}, name) {
				t.Fatalf("%s went through the cache", name)
			}
		}
	})
}

// FuzzRange compares ranges of a stored response with what http.ServeContent makes of them.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-3", "bytes=5-", "bytes=9-3", "bytes=0-1,4-5", "bytes = 1-2", "bytes=-0", "lines=1-2", "bytes=99999999999999999999-", "bytes=+1-2", "bytes=9227000000000000000-"} {
		f.Add(s, uint8(10))
	}
	f.Fuzz(func(t *testing.T, value string, size uint8) {
		value = strings.TrimSpace(value)
		if len(lines("Range:"+value)) != 1 {
			return
		}
		body := strings.Repeat("0123456789abcdef", 16)[:size]
		r := newRig(t, Options{})
		r.set(reply(200, body, "Cache-Control: max-age=60", "Content-Type: text/plain"))
		r.get("/")
		got := r.get("/", "Range: "+value)
		if r.askedCount() != 1 {
			t.Fatal("a stored whole response was asked for again")
		}
		want := httptest.NewRecorder()
		http.ServeContent(want, r.request("", "", []string{"Range: " + value}, ""), "", time.Time{}, strings.NewReader(body))
		switch got.Code {
		case http.StatusOK: // a range may always be ignored
			if got.Body.String() != body {
				t.Fatalf("whole: %q", got.Body)
			}
		case http.StatusPartialContent:
			c, ok := parseContentRange(got.Header()["Content-Range"])
			if !ok || c.total != int64(size) || got.Body.String() != body[c.first:c.last+1] {
				t.Fatalf("%q: %q of %q", got.Header()["Content-Range"], got.Body, body)
			}
			// Blanks in odd places are let through by one and not by the other.
			if want.Code == http.StatusPartialContent && want.Body.String() != got.Body.String() && want.Header().Get("Content-Range") != "" {
				t.Fatalf("%q of %d bytes: %q, ServeContent has %q", value, size, got.Body, want.Body)
			}
		case http.StatusRequestedRangeNotSatisfiable:
			// A suffix of no bytes can't be satisfied (RFC 9110, 14.1.2); ServeContent sends it.
			if want.Code == http.StatusPartialContent && want.Body.Len() > 0 {
				t.Fatalf("%q of %d bytes: 416, ServeContent has %q", value, size, want.Body)
			}
			if got.Header().Get("Content-Range") != "bytes */"+strconv.Itoa(int(size)) {
				t.Fatalf("Content-Range %q", got.Header().Get("Content-Range"))
			}
		default:
			t.Fatalf("status %d", got.Code)
		}
	})
}

// FuzzPart stores what an origin calls a part, and asks for another range: what comes from
// the cache is as long as it says, and within the part.
func FuzzPart(f *testing.F) {
	f.Add("bytes 4-8/10", "45678", "bytes=4-8", "bytes=5-6")
	f.Add("bytes 4-8/*", "45678", "bytes=4-8", "bytes=-1")
	f.Add("bytes 0-1152921504606846976/*", "4", "bytes=0-", "bytes=1-9227000000000000000")
	f.Add("bytes 0-0/1", "00", "bytes=0-0", "bytes=0-")
	f.Fuzz(func(t *testing.T, contentRange, body, ask, again string) {
		for _, s := range []string{contentRange, ask, again} {
			if len(lines("X:"+s)) != 1 {
				return
			}
		}
		r := newRig(t, Options{})
		r.set(reply(206, body, "Cache-Control: max-age=60", "ETag: \"a\"", "Content-Range: "+contentRange))
		r.get("/", "Range: "+ask)
		asked := r.askedCount()
		got := r.get("/", "Range: "+again)
		if r.askedCount() != asked || got.Code != http.StatusPartialContent {
			return
		}
		stored, ok1 := parseContentRange([]string{strings.TrimSpace(contentRange)})
		c, ok2 := parseContentRange(got.Header()["Content-Range"])
		// Where the bytes are not as many as the origin says, they are believed (sealPart).
		last := stored.first + int64(len(body)) - 1
		if !ok1 || !ok2 || c.first < stored.first || c.last > last || got.Body.String() != body[c.first-stored.first:c.last-stored.first+1] {
			t.Fatalf("of %q: %q, %q", contentRange, got.Header()["Content-Range"], got.Body)
		}
	})
}

// FuzzDate compares dates in the format of today with the standard library's reading.
func FuzzDate(f *testing.F) {
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("Sun Nov  6 08:49:37 1994")
	f.Add("Tue, 29 Feb 2028 00:00:60 GMT")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := field.ParseDate(s, 1772366400)
		if !ok || len(s) != 29 || s[23:25] == "60" {
			return
		}
		want, err := http.ParseTime(s[:26] + "GMT")
		if err != nil || want.Unix() != got {
			t.Fatalf("%q: %d, the standard library has %v, %v", s, got, want, err)
		}
	})
}

// FuzzVary answers two requests with the same response, which varies on any fields: the second
// gets it from the cache if it is the same request, and only if it agrees with the first on
// every field in a plain reading of them.
func FuzzVary(f *testing.F) {
	f.Add("Foo", "Foo: 1, 2", "Foo: 1\nFoo: 2")
	f.Add("accept, Bar", "Accept: a/b;q=0.5, c/d;x=\"Y z\"\nBar: \"a, b\"", "Accept: C/d;x=\"Y z\",a/b; q=0.50\nBar: \"a,b\"")
	f.Add("Accept-Language", "Accept-Language: de;q=0.3, en", "Accept-Language: EN, de;q=0.300")
	f.Add("User-Agent, Referer", "User-Agent: a, b", "User-Agent: a,b")
	f.Add("Forwarded", "Forwarded: for=1;proto=https", "Forwarded: for=2;proto=https")
	f.Add("Foo,,Bar ,\tBaz", "Foo: \"\nBar: ,", "Foo: \"\nBar:")
	f.Add("Accept-Encoding", "Accept-Encoding: gzip\nAccept-Encoding: br;q=0", "Accept-Encoding: br;q=0.0,gzip;q=1.000")
	f.Add("X-Forwarded-For", "X-Forwarded-For: 1", "X-Forwarded-For: 1")
	f.Fuzz(func(t *testing.T, vary, one, two string) {
		if strings.ContainsAny(vary, "\r\n") || len(lines("X:"+vary)) != 1 ||
			strings.TrimSpace(vary) != strings.Trim(vary, " \t") { // the harness trims Unicode's spaces, too
			return
		}
		first, second := plainFields(one, vary), plainFields(two, vary)
		r := newRig(t, Options{})
		r.set(reply(200, "one", "Cache-Control: max-age=60", "Vary: "+vary))
		r.get("/", first...)
		r.set(reply(200, "two"))
		hit := r.get("/", second...).Body.String() == "one"
		a, b := headerOf(first), headerOf(second)
		storable := true
		for name := range strings.SplitSeq(vary, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			if name == "" {
				continue
			}
			if name == "*" || name == "X-Forwarded-For" || strings.Contains(name, ":") || len(lines(name+": x")) != 1 ||
				len(name) > 255 { // the index keeps the length of a name in a byte
				storable = false
			}
			if hit && meaning(name, a[name]) != meaning(name, b[name]) {
				t.Fatalf("a hit, though %s: %q is not %q", name, a[name], b[name])
			}
		}
		if hit && !storable {
			t.Fatalf("a hit in spite of Vary: %s", vary)
		}
		if !hit && storable && slices.Equal(first, second) && strings.Count(vary, ",") < maxVaryNames && len(one) < maxVariantKey {
			t.Fatalf("a miss for the same request with Vary: %s and %q", vary, first)
		}
	})
}

// plainFields are the lines of s whose fields have no other part in caching.
func plainFields(s, vary string) []string {
	return slices.DeleteFunc(lines(s), func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(name)
		if name == "Forwarded" {
			return !strings.Contains(strings.ToLower(vary), "forwarded")
		}
		switch name {
		case "Authorization", "Cache-Control", "Pragma", "Range", "Connection", "Upgrade", "Expect", "Cookie":
			return true
		}
		return strings.HasPrefix(name, "If-") || slices.Contains(DefaultImpliedVary, name)
	})
}

func headerOf(lines []string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

// meaning renders the values of a field such that two which may be told apart differ.
func meaning(name string, values []string) string {
	if values == nil {
		return "absent"
	}
	plain := func(s string) (out []string) { // elements of a list
		quoted, start := false, 0
		for i := 0; i <= len(s); i++ {
			if i == len(s) || s[i] == ',' && !quoted {
				if e := strings.Trim(s[start:i], " \t"); e != "" {
					out = append(out, e)
				}
				start = i + 1
			} else if s[i] == '"' {
				quoted = !quoted
			} else if s[i] == '\\' && quoted {
				i++
			}
		}
		if quoted {
			return []string{"unbalanced", s}
		}
		return out
	}
	switch name {
	case "User-Agent", "Referer", "Origin":
		return strings.Join(values, "\n")
	case "Accept", "Accept-Language", "Accept-Charset", "Accept-Encoding":
		var out []string
		for _, v := range values {
			for _, e := range plain(v) {
				q := 1.0
				if i := strings.LastIndex(e, ";"); i >= 0 {
					if w := strings.ToLower(strings.Trim(e[i+1:], " \t")); strings.HasPrefix(w, "q=") {
						if n, err := strconv.ParseFloat(w[2:], 64); err == nil {
							q, e = n, e[:i]
						}
					}
				}
				if !strings.ContainsAny(e, "=\"") { // parameters are compared as they are
					e = strings.ToLower(strings.NewReplacer(" ", "", "\t", "").Replace(e))
				} else {
					e = strings.ToLower(strings.NewReplacer(" ", "", "\t", "").Replace(e[:strings.IndexAny(e, "=\"")]))
				}
				out = append(out, fmt.Sprint(e, " ", q))
			}
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	var out []string
	for _, v := range values {
		out = append(out, plain(v)...)
	}
	return strings.Join(out, "\n")
}

// FuzzEnvelope: what is written is read as it was, before any body; what is cut short is
// refused; and other bytes are refused or not, but do no harm.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("body"), "X-A", "b", int64(7), uint16(flagValidator))
	f.Add([]byte{kindResponse, 0}, "Etag", `"a"`, int64(-1), uint16(0))
	f.Add(appendEnvelope(nil, &meta{status: 200}, []fieldLine{{"Etag", `"a"`}, {"X", "y"}}, []uint64{7}), "", "", int64(1)<<62, ^uint16(0))
	f.Add(make([]byte, fixedSize+20), "Date", "x", int64(0), uint16(1))
	f.Fuzz(func(t *testing.T, raw []byte, name, value string, n int64, flags uint16) {
		var x index
		x.decode(raw)
		var e entry
		_ = e.decode(raw)

		name, value = name[:min(len(name), 1000)], value[:min(len(value), 1000)]
		fields := []fieldLine{{name, value}, {"Etag", value}, {name, name}}
		m := meta{
			flags: flags, status: int(flags) % 1000, responseTime: n, initialAge: ^n, lifetime: n / 2,
			terms: terms{n, n / 3, -n}, seq: uint64(n), date: n * 3, lastModified: noTime, first: n ^ 5, total: -1,
		}
		tags := []uint64{uint64(n), ^uint64(0)}
		head := appendEnvelope(nil, &m, fields, tags)
		if cut := len(raw) % len(head); e.decode(head[:cut]) == nil {
			t.Fatalf("%d of %d bytes were taken for an envelope", cut, len(head))
		}
		if err := e.decode(append(head, raw...)); err != nil {
			t.Fatal(err)
		}
		if string(e.body) != string(raw) || e.meta != m || e.numTags() != 2 || e.tag(0) != tags[0] || e.tag(1) != tags[1] ||
			e.numFields() != 3 || string(e.etag()) != value || string(e.get("Etag")) != value || string(e.get(name)) != value {
			t.Fatalf("%+v came back as %+v", m, e)
		}
		if got := e.header()[name]; name != "Etag" && !slices.Equal(got, []string{value, name}) {
			t.Fatalf("%q: %q", name, got)
		}
	})
}

// FuzzParsers hands any bytes to everything that reads fields: nothing may panic.
func FuzzParsers(f *testing.F) {
	f.Add("bytes 4-8/10")
	f.Add("text/html;q=0.5, */*")
	f.Add(`for="[::1]";host=a, proto=https`)
	f.Fuzz(func(t *testing.T, s string) {
		parseContentRange([]string{s})
		parseWeighted(nil, []string{s})
		appendForwarded(nil, []string{s})
		preferredLanguage([]string{s})
		matchesETag([]string{s}, []byte(s))
		CheckResponse(200, http.Header{s: {s}})
		statusID(s)
	})
}
