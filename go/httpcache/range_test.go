package httpcache

import "testing"

// RFC 9110, 14; RFC 9111, 3.3 and 3.4.

func TestRangeOfStoredResponse(t *testing.T) {
	get := func(stored []string, with []string, want string, has ...string) story {
		return story{steps: []step{
			{origin: reply(200, "0123456789", append([]string{fresh, "Date: {0s}"}, stored...)...)},
			{after: sec, with: with, want: want, has: has},
		}}
	}
	l := func(v ...string) []string { return v }
	runStories(t, map[string]story{
		"both positions":     get(nil, l("Range: bytes=2-4"), "206 234", "Content-Range: bytes 2-4/10", "Content-Length: 3", "Age: 1"),
		"first position":     get(nil, l("Range: bytes=7-"), "206 789", "Content-Range: bytes 7-9/10"),
		"suffix":             get(nil, l("Range: bytes=-2"), "206 89", "Content-Range: bytes 8-9/10"),
		"beyond the end":     get(nil, l("Range: bytes=8-99"), "206 89"),
		"unsatisfiable":      get(nil, l("Range: bytes=10-"), "416", "Content-Range: bytes */10"),
		"far beyond":         get(nil, l("Range: bytes=9227000000000000000-"), "416", "Content-Range: bytes */10"),
		"several":            get(nil, l("Range: bytes=0-1,3-4"), "200 0123456789", "!Content-Range"),
		"malformed":          get(nil, l("Range: bytes=x"), "200 0123456789"),
		"other unit":         get(nil, l("Range: lines=1-2"), "200 0123456789"),
		"If-Range strong":    get(l(etag), l("Range: bytes=0-1", `If-Range: "a"`), "206 01"),
		"If-Range weak":      get(l(`Etag: W/"a"`), l("Range: bytes=0-1", `If-Range: W/"a"`), "200 0123456789"),
		"If-Range no match":  get(l(etag), l("Range: bytes=0-1", `If-Range: "b"`), "200 0123456789"),
		"If-Range date":      get(l("Last-Modified: {-100s}"), l("Range: bytes=0-1", "If-Range: {-101s}"), "206 01"),
		"If-Range later":     get(l("Last-Modified: {-100s}"), l("Range: bytes=0-1", "If-Range: {-50s}"), "200 0123456789"),
		"If-Range weak date": get(l("Last-Modified: {0s}"), l("Range: bytes=0-1", "If-Range: {-1s}"), "200 0123456789"),
		"condition first":    get(l(etag), l("Range: bytes=0-1", `If-None-Match: "a"`), "304"),
		"only of 200": {steps: []step{
			{origin: reply(404, "0123456789", fresh)},
			{with: l("Range: bytes=0-1"), want: "404 0123456789"},
		}},
		"stored fields are kept": {steps: []step{
			{origin: reply(200, "0123456789", fresh, "A: 1", "Content-Type: text/x")},
			{with: l("Range: bytes=0-1"), want: "206 01", has: l("A: 1", "Content-Type: text/x")},
		}},
		"stale is validated whole": {steps: []step{
			{origin: reply(200, "0123456789", fresh, etag)},
			{after: 61 * sec, with: l("Range: bytes=0-1"), origin: reply(304, "", fresh), sent: l(`If-None-Match: "a"`, "!Range"), want: "206 01"},
			{with: l("Range: bytes=2-3"), want: "206 23"},
		}},
	})
}

func TestStoredParts(t *testing.T) {
	l := func(v ...string) []string { return v }
	part := func(contentRange, body string, header ...string) *response {
		return reply(206, body, append(l(fresh, "Content-Range: "+contentRange), header...)...)
	}
	first := func(origin *response) step {
		return step{with: l("Range: bytes=4-8"), origin: origin, sent: l("Range: bytes=4-8")}
	}
	runStories(t, map[string]story{
		"the same range": {steps: []step{
			first(part("bytes 4-8/10", "45678")),
			{after: sec, with: l("Range: bytes=4-8"), want: "206 45678", has: l("Content-Range: bytes 4-8/10", "Age: 1", "Content-Length: 5")},
		}},
		"a range within": {steps: []step{
			first(part("bytes 4-8/10", "45678")),
			{with: l("Range: bytes=5-6"), want: "206 56", has: l("Content-Range: bytes 5-6/10")},
		}},
		"a suffix within": {steps: []step{
			first(part("bytes 4-9/10", "456789")),
			{with: l("Range: bytes=-2"), want: "206 89", has: l("Content-Range: bytes 8-9/10")},
			{with: l("Range: bytes=8-"), want: "206 89"},
		}},
		"of unknown length": {steps: []step{
			first(part("bytes 4-8/*", "45678")),
			{with: l("Range: bytes=5-6"), want: "206 56", has: l("Content-Range: bytes 5-6/*")},
			{with: l("Range: bytes=-1"), origin: part("bytes 9-9/10", "9"), want: "206 9"},
		}},
		"not a range beyond": {steps: []step{
			first(part("bytes 4-8/10", "45678")),
			{with: l("Range: bytes=5-9"), origin: part("bytes 5-9/10", "56789"), want: "206 56789"},
		}},
		"not the whole": {steps: []step{
			first(part("bytes 4-8/10", "45678")),
			{origin: reply(200, "0123456789"), sent: l("!Range"), want: "200 0123456789"},
		}},
		"not when stale": {steps: []step{
			first(part("bytes 4-8/10", "45678")),
			{after: 61 * sec, with: l("Range: bytes=4-8"), origin: part("bytes 4-8/10", "xxxxx"), want: "206 xxxxx"},
		}},
		"If-Range must fit": {steps: []step{
			first(part("bytes 4-8/10", "45678", etag)),
			{with: l("Range: bytes=4-8", `If-Range: "a"`), want: "206 45678"},
			{with: l("Range: bytes=4-8", `If-Range: "b"`), origin: reply(200, "x"), want: "200 x"},
		}},
		"Vary applies": {steps: []step{
			{with: l("Range: bytes=4-8", "Foo: 1"), origin: part("bytes 4-8/10", "45678", "Vary: Foo")},
			{with: l("Range: bytes=4-8", "Foo: 2"), origin: part("bytes 4-8/10", "xxxxx", "Vary: Foo"), want: "206 xxxxx"},
			{with: l("Range: bytes=4-8", "Foo: 1"), want: "206 45678"},
		}},
		"an unsafe method invalidates": {steps: []step{
			first(part("bytes 4-8/10", "45678")),
			{method: "PUT", body: "x", origin: reply(204, "")},
			{with: l("Range: bytes=4-8"), origin: part("bytes 4-8/10", "xxxxx"), want: "206 xxxxx"},
		}},
		"multipart is not stored": {steps: []step{
			{with: l("Range: bytes=0-1,3-4"), origin: reply(206, "parts", fresh, "Content-Type: multipart/byteranges; boundary=x"), want: "206 parts"},
			{with: l("Range: bytes=0-1,3-4"), origin: reply(206, "again", fresh), want: "206 again"},
		}},
		"206 without a Range is not stored": {steps: []step{
			{origin: part("bytes 4-8/10", "45678"), want: "206 45678"},
			{with: l("Range: bytes=4-8"), origin: part("bytes 4-8/10", "xxxxx"), want: "206 xxxxx"},
		}},
		"416 is not stored for requests without Range": {steps: []step{
			{with: l("Range: bytes=99-"), origin: reply(416, "no", fresh), want: "416 no"},
			{origin: reply(200, "0123456789", fresh), want: "200 0123456789"},
		}},
		"a whole response to a Range is stored": {steps: []step{
			{with: l("Range: bytes=0-1"), origin: reply(200, "0123456789", fresh), want: "200 0123456789"},
			{want: "200 0123456789"},
		}},
		"length that contradicts Content-Range": {steps: []step{
			{with: l("Range: bytes=-5"), origin: part("bytes 4-9/10", "01234"), want: "206 01234"},
			{with: l("Range: bytes=-5"), want: "206 01234"},
			{with: l("Range: bytes=6-8"), want: "206 234"},
			{with: l("Range: bytes=6-"), want: "206 234"},
			{with: l("Range: bytes=-1"), want: "206 4"},
		}},
	})
}

func TestCompletingParts(t *testing.T) {
	l := func(v ...string) []string { return v }
	first := step{with: l("Range: bytes=0-3"), origin: reply(206, "0123", fresh, etag, "Content-Range: bytes 0-3/10", "A: 1", "B: 1")}
	sent := l("Range: bytes=4-", `If-Range: "a"`)
	runStories(t, map[string]story{
		"the rest is asked for": {steps: []step{
			first,
			{origin: reply(206, "456789", fresh, etag, "Content-Range: bytes 4-9/10", "B: 2"), sent: sent, want: "200 0123456789",
				has: l("Content-Length: 10", "!Content-Range", "A: 1", "B: 2")},
			{after: sec, want: "200 0123456789", has: l("Content-Length: 10", "!Content-Range", "A: 1", "B: 2")},
			{with: l("Range: bytes=3-4"), want: "206 34"},
		}},
		"a changed representation comes whole": {steps: []step{
			first,
			{origin: reply(200, "new", fresh, `Etag: "b"`), sent: sent, want: "200 new"},
			{want: "200 new"},
		}},
		"not with a weak validator": {steps: []step{
			{with: l("Range: bytes=0-3"), origin: reply(206, "0123", fresh, `Etag: W/"a"`, "Content-Range: bytes 0-3/10")},
			{origin: reply(200, "0123456789"), sent: l("!Range"), want: "200 0123456789"},
		}},
	})
}

// A 206 that does not fit the stored part is not used: the whole is requested.
func TestUnfittingRest(t *testing.T) {
	for name, rest := range map[string]*response{
		"other validator": reply(206, "456789", fresh, `Etag: "b"`, "Content-Range: bytes 4-9/10"),
		"no validator":    reply(206, "456789", fresh, "Content-Range: bytes 4-9/10"),
		"other position":  reply(206, "56789", fresh, etag, "Content-Range: bytes 5-9/10"),
		"other length":    reply(206, "4567", fresh, etag, "Content-Range: bytes 4-7/8"),
		"unsatisfiable":   reply(416, "", "Content-Range: bytes */4"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.set(reply(206, "0123", fresh, etag, "Content-Range: bytes 0-3/10"))
			r.get("/", "Range: bytes=0-3")
			r.h = r.cache.Handler(originFunc(func(n int) *response {
				if n == 1 {
					return rest
				}
				return reply(200, "whole", fresh)
			}))
			if rec := r.get("/"); rec.Code != 200 || rec.Body.String() != "whole" {
				t.Errorf("got %d %q", rec.Code, rec.Body)
			}
		})
	}
}
