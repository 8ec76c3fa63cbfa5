package httpcache

import "testing"

// RFC 9111, 4.3.

const etag = `Etag: "a"`

func TestConditionalRequestsReceived(t *testing.T) {
	get := func(stored []string, with []string, want string, has ...string) story {
		return story{steps: []step{
			{origin: reply(200, "one", append([]string{fresh, "Date: {0s}"}, stored...)...)},
			{after: sec, with: with, want: want, has: has},
		}}
	}
	l := func(v ...string) []string { return v }
	runStories(t, map[string]story{
		"strong match":         get(l(etag), l(`If-None-Match: "a"`), "304", etag, "Age: 1", "Cache-Control: max-age=60"),
		"weak match":           get(l(`Etag: W/"a"`), l(`If-None-Match: W/"a"`), "304"),
		"weak against strong":  get(l(etag), l(`If-None-Match: W/"a"`), "304"),
		"strong against weak":  get(l(`Etag: W/"a"`), l(`If-None-Match: "a"`), "304"),
		"first of several":     get(l(etag), l(`If-None-Match: "a", "b"`), "304"),
		"last of several":      get(l(etag), l(`If-None-Match: "b", "c,d", "a"`), "304"),
		"in another line":      get(l(etag), l(`If-None-Match: "b"`, `If-None-Match: "a"`), "304"),
		"star":                 get(l(etag), l("If-None-Match: *"), "304"),
		"star without ETag":    get(nil, l("If-None-Match: *"), "304"),
		"no match":             get(l(etag), l(`If-None-Match: "b"`), "200 one"),
		"no ETag":              get(nil, l(`If-None-Match: "a"`), "200 one"),
		"unquoted as they are": get(l("Etag: a"), l("If-None-Match: a"), "304"),
		"If-None-Match first":  get(l(etag, "Last-Modified: {-100s}"), l(`If-None-Match: "b"`, "If-Modified-Since: {0s}"), "200 one"),
		"match despite date":   get(l(etag, "Last-Modified: {-100s}"), l(`If-None-Match: "a"`, "If-Modified-Since: {-500s}"), "304"),
		"date equal":           get(l("Last-Modified: {-100s}"), l("If-Modified-Since: {-101s}"), "304"),
		"date later":           get(l("Last-Modified: {-100s}"), l("If-Modified-Since: {-50s}"), "304"),
		"date earlier":         get(l("Last-Modified: {-100s}"), l("If-Modified-Since: {-150s}"), "200 one"),
		"date invalid":         get(l("Last-Modified: {-100s}"), l("If-Modified-Since: foo"), "200 one"),
		"date against Date":    get(nil, l("If-Modified-Since: {-1s}"), "304"),
		"date before Date":     get(nil, l("If-Modified-Since: {-2s}"), "200 one"),
		"304 describes no content": get(l(etag, "Content-Type: text/x", "Content-Language: de", "X-A: 1"), l(`If-None-Match: "a"`), "304",
			"!Content-Type", "!Content-Language", "!Content-Length", "X-A: 1"),
		"not for errors": {steps: []step{
			{origin: reply(404, "no", fresh, etag)},
			{with: l(`If-None-Match: "a"`), want: "404 no"},
		}},
		"RFC 850 date": get(l("Last-Modified: {-100s}"), l("If-Modified-Since: Sunday, 01-Mar-26 11:58:20 GMT"), "304"),
	})
}

func TestConditionalRequestsSent(t *testing.T) {
	runStories(t, map[string]story{
		"entity tag": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			{after: 61 * sec, origin: reply(304, "", fresh), sent: []string{`If-None-Match: "a"`, "!If-Modified-Since"}, want: "200 one",
				has: []string{"Cache-Status: larder; fwd=stale; fwd-status=304; ttl=60; stored", "Age: 0"}},
			{after: 59 * sec, want: "200 one"},
		}},
		"weak entity tag": {steps: []step{
			{origin: reply(200, "one", fresh, `Etag: W/"a"`)},
			{after: 61 * sec, origin: reply(304, ""), sent: []string{`If-None-Match: W/"a"`}, want: "200 one"},
		}},
		"both validators": {steps: []step{
			{origin: reply(200, "one", fresh, etag, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")},
			{after: 61 * sec, origin: reply(304, ""), sent: []string{`If-None-Match: "a"`, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"}, want: "200 one"},
		}},
		"in place of the client's": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			{after: 61 * sec, with: []string{`If-None-Match: "b"`, "If-Modified-Since: {0s}"}, origin: reply(304, ""),
				sent: []string{`If-None-Match: "a"`, "!If-Modified-Since"}, want: "200 one"},
			{after: 61 * sec, with: []string{`If-None-Match: "b", "a"`}, origin: reply(304, ""), sent: []string{`If-None-Match: "a"`}, want: "304"},
		}},
		"no validator": {steps: []step{
			{origin: reply(200, "one", fresh)},
			{after: 61 * sec, origin: reply(200, "two"), sent: []string{"!If-None-Match", "!If-Modified-Since"}, want: "200 two"},
		}},
		"none when nothing is stored": {steps: []step{
			{with: []string{`If-None-Match: "a"`}, origin: reply(200, "one", fresh, etag), sent: []string{"!If-None-Match"}, want: "304"},
			{want: "200 one"},
		}},
		"with the selecting fields": {steps: []step{
			{with: []string{"Abc: 123"}, origin: reply(200, "one", fresh, etag, "Vary: Abc")},
			{after: 61 * sec, with: []string{"Abc: 123"}, origin: reply(304, ""), sent: []string{`If-None-Match: "a"`, "Abc: 123"}, want: "200 one"},
		}},
		"not with another variant's": {steps: []step{
			{with: []string{"Abc: 123"}, origin: reply(200, "one", fresh, etag, "Vary: Abc")},
			{with: []string{"Abc: 456"}, origin: reply(200, "two"), sent: []string{"!If-None-Match"}, want: "200 two"},
		}},
		"a full response replaces": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			{after: 61 * sec, origin: reply(200, "two", fresh, `Etag: "b"`), want: "200 two"},
			{after: sec, want: "200 two", has: []string{`Etag: "b"`}},
		}},
		"without freshness, always": {steps: []step{
			{origin: reply(200, "one", etag)},
			{origin: reply(304, ""), sent: []string{`If-None-Match: "a"`}, want: "200 one"},
			{origin: reply(304, ""), sent: []string{`If-None-Match: "a"`}, want: "200 one"},
		}},
	})
}

func TestNoCacheResponse(t *testing.T) {
	runStories(t, map[string]story{
		"validated each time": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=60, no-cache", etag)},
			{origin: reply(304, ""), sent: []string{`If-None-Match: "a"`}, want: "200 one"},
			{origin: reply(200, "two", "Cache-Control: No-Cache", etag), want: "200 two"},
		}},
		"not stored without a validator": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=60, no-cache")},
			{origin: reply(200, "two"), want: "200 two"},
		}},
	})
}

// RFC 9111, 3.2 and 4.3.4.
func TestUpdateBy304(t *testing.T) {
	runStories(t, map[string]story{
		"replaces, adds and keeps": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag, "A: 1", "B: 1", "Set-Cookie: a=b", "Content-Foo: 1", "Content-Type: text/plain")},
			{after: 2 * sec, origin: reply(304, "", fresh, etag, "A: 2", "C: 2", "Set-Cookie: a=c", "Content-Foo: 2", "Content-Type: text/plain;charset=utf-8"),
				want: "200 one", has: []string{"A: 2", "B: 1", "C: 2", "Set-Cookie: a=c", "Content-Foo: 2", "Content-Type: text/plain;charset=utf-8"}},
			{after: sec, want: "200 one", has: []string{"A: 2", "B: 1", "C: 2", "Set-Cookie: a=c", "Cache-Control: max-age=60"}},
		}},
		"not Content-Length": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag, "Content-Length: 3")},
			{after: 2 * sec, origin: reply(304, "", fresh, etag, "Content-Length: 10"), want: "200 one", has: []string{"Content-Length: 3"}},
			{after: sec, want: "200 one", has: []string{"Content-Length: 3"}},
		}},
		"not what describes the stored bytes": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag, "Content-Encoding: gzip", "Content-Md5: 1")},
			{after: 2 * sec, origin: reply(304, "", fresh, etag, "Content-Encoding: br", "Content-Md5: 2", "Content-Digest: 2", "Content-Range: bytes 0-2/9"),
				want: "200 one", has: []string{"Content-Encoding: gzip", "Content-Md5: 1", "!Content-Digest", "!Content-Range"}},
			{after: sec, want: "200 one", has: []string{"Content-Encoding: gzip", "Content-Md5: 1", "!Content-Digest", "!Content-Range", "Cache-Control: max-age=60"}},
		}},
		"not fields of the connection": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag, "A: 1")},
			{after: 2 * sec, origin: reply(304, "", fresh, "Connection: a", "A: 2", "Keep-Alive: x"), want: "200 one", has: []string{"A: 1", "!Keep-Alive"}},
		}},
		"Date and Age": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=10", etag, "Date: {0s}", "Age: 5")},
			{after: 20 * sec, origin: reply(304, "", "Date: {0s}"), want: "200 one", has: []string{"Date: {0s}", "Age: 0"}},
			{after: 9 * sec, want: "200 one", has: []string{"Date: {-9s}", "Age: 9"}},
		}},
		"that forbids storing": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag)},
			{after: 2 * sec, origin: reply(304, "", "Cache-Control: no-store"), want: "200 one"},
			{origin: reply(200, "two"), sent: []string{"!If-None-Match"}, want: "200 two"},
		}},
	})
}

// An origin that answers an unconditional request after an unfitting 304 is
// asked twice, and its answer is used.
func TestUnfitting304(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", "Cache-Control: max-age=1", etag))
	r.get("/")
	r.clock.advance(2 * sec)
	r.h = r.cache.Handler(originFunc(func(n int) *response {
		if n == 1 {
			return reply(304, "", `Etag: "b"`)
		}
		return reply(200, "two", fresh, `Etag: "b"`)
	}))
	if rec := r.get("/"); rec.Body.String() != "two" {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
	if rec := r.get("/"); rec.Body.String() != "two" || rec.Header().Get("Etag") != `"b"` {
		t.Errorf("then got %d %q", rec.Code, rec.Body)
	}
}

// RFC 9111, 4.3.5, and HEAD from GET.
func TestHEAD(t *testing.T) {
	head := func(s step) step { s.method = "HEAD"; return s }
	runStories(t, map[string]story{
		"from a stored GET": {steps: []step{
			{origin: reply(200, "one", fresh, "X-A: 1")},
			head(step{after: sec, want: "200", has: []string{"Content-Length: 3", "X-A: 1", "Age: 1", "Cache-Status: ~hit"}}),
		}},
		"conditional": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			head(step{with: []string{`If-None-Match: "a"`}, want: "304"}),
		}},
		"ignores Range": {steps: []step{
			{origin: reply(200, "one", fresh)},
			head(step{with: []string{"Range: bytes=0-0"}, want: "200", has: []string{"Content-Length: 3"}}),
		}},
		"passes when nothing is stored, and is not stored": {steps: []step{
			head(step{origin: reply(200, "", fresh), want: "200"}),
			{origin: reply(200, "one", fresh), want: "200 one"},
		}},
		"freshens the stored response": {steps: []step{
			{origin: reply(200, "one", fresh, etag, "A: 1", "B: 1")},
			head(step{after: 61 * sec, origin: reply(200, "", fresh, etag, "A: 2", "Content-Length: 3"), want: "200"}),
			{after: sec, want: "200 one", has: []string{"A: 2", "B: 1"}},
		}},
		"of another length makes it stale": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			head(step{with: []string{"Cache-Control: no-cache"}, origin: reply(200, "", fresh, "Content-Length: 4")}),
			{origin: reply(200, "four", fresh), sent: []string{`If-None-Match: "a"`}, want: "200 four"},
		}},
		"of another validator makes it stale": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			head(step{with: []string{"Cache-Control: no-cache"}, origin: reply(200, "", fresh, `Etag: "b"`)}),
			{origin: reply(200, "two", fresh), want: "200 two"},
		}},
		"an error says nothing": {steps: []step{
			{origin: reply(200, "one", fresh, etag)},
			head(step{with: []string{"Cache-Control: no-cache"}, origin: reply(410, "", fresh)}),
			{want: "200 one"},
		}},
	})
}

// Who validates with credentials of their own learns that the stored response still holds, and
// leaves it to the others, as stale as it was.
func TestValidationWithCredentialsKeepsTheStored(t *testing.T) {
	for _, with := range []string{"Cookie: a=b", "Authorization: x"} {
		runStory(t, story{steps: []step{
			{origin: reply(200, "one", etag)},
			{after: sec, with: []string{with}, origin: reply(304, ""), sent: []string{`If-None-Match: "a"`}, want: "200 one"},
			{after: sec, origin: reply(304, ""), sent: []string{`If-None-Match: "a"`}, want: "200 one"},
			{after: sec, with: []string{with}, origin: reply(200, "mine"), want: "200 mine"},
		}})
	}
	// What says of itself that it must not be stored is gone.
	runStory(t, story{steps: []step{
		{origin: reply(200, "one", etag)},
		{after: sec, origin: reply(304, "", "Cache-Control: no-store"), want: "200 one"},
		{after: sec, origin: reply(200, "two"), sent: []string{"!If-None-Match"}, want: "200 two"},
	}})
}
